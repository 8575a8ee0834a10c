# shellcheck shell=bash disable=SC2154 # variables of bin/compile and of the plan
# Node.js and the package managers, which are runtimes of the platform. The app gets links to them.

# Sets $version to the newest version of a runtime in a range.
resolve() { # runtime range what
  local list=$runtimes/versions/$1.json code
  version=
  if [[ $2 =~ ^v?[0-9]+\.[0-9]+\.[0-9]+$ ]]; then
    version=${2#v}
    return
  fi
  request_runtime versions "$1"
  case $response in
    ok) ;;
    outdated) warn "The npm registry does not answer; choosing among the versions known from an earlier build." ;;
    *) fail "The npm registry cannot be asked for the versions of $3: ${response#error }." ;;
  esac
  version=$(node "$here/lib/plan.js" newest "$2" <"$list") && return
  code=$?
  [ $code -ne 2 ] || fail "\"$2\" in package.json is not a range of versions of $3." 'Write it as "22.x" or "^22.3.0".'
  fail "$3 $2, which package.json asks for, cannot be had: there is no such version in the npm registry." \
    "The newest is $(node "$here/lib/plan.js" newest 'x' <"$list"). Change it in package.json and push again."
}

# Runs a check that is passed by the same versions every time only once.
once() { # key command
  local passed=$cache/passed/$1
  shift
  [ ! -f "$passed" ] || return 0
  "$@" >/dev/null && mkdir -p "$cache/passed" && : >"$passed"
}

install_node() {
  topic 'Installing binaries'
  info "engines.node (package.json):   ${engines_node:-unspecified}"
  info "engines.npm (package.json):    ${engines_npm:-unspecified (use default)}"
  [ "$tool" != yarn ] || info "engines.yarn (package.json):   ${engines_yarn:-unspecified (use default)}"
  [ "$tool" != pnpm ] || info "engines.pnpm (package.json):   ${engines_pnpm:-unspecified (use default)}"
  [ -z "$dangerous" ] || warn "engines.node \"$engines_node\" also allows versions with breaking changes. Better name one line, such as \"22.x\"."
  [ -n "$engines_node" ] && [ "$engines_node" = "$range_node" ] || info "Using the default line of Node.js: $range_node"
  info "Resolving node version $range_node..."
  resolve node "$range_node" Node.js
  node_version=$version
  if [ -d "$runtimes/files/node-$node_version" ]; then
    info "Using node $node_version from the cache"
  else
    info "Downloading and installing node $node_version..."
  fi
  provide node "$node_version" Node.js
  # Earlier versions of this buildpack kept their own.
  rm -rf "$cache/node" "$cache/versions" "$cache"/tools/{npm,yarn,pnpm}-*
  mkdir -p .heroku/node/bin .heroku/node/lib/node_modules
  ln -sfn "$store/bin/node" .heroku/node/bin/node
  # Headers stay out of the slug: only building native modules needs them. What is installed globally goes into it.
  export npm_config_nodedir=$store npm_config_prefix=$build/.heroku/node
  PATH=$build/.heroku/node/bin:$PATH
  once "node-$node_version" node -e 0 ||
    fail "Node.js $node_version does not run on this stack. Choose another version in engines.node."
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
  provide npm "$version" npm
  tool_version=$version
  [ -n "$engines_npm" ] || info "Using default npm version: $version"
  ln -sfn "$store" .heroku/node/lib/node_modules/npm
  ln -sf ../lib/node_modules/npm/bin/npm-cli.js .heroku/node/bin/npm
  ln -sf ../lib/node_modules/npm/bin/npx-cli.js .heroku/node/bin/npx
  once "node-$node_version-npm-$version" npm --version ||
    fail "npm $version does not run with Node.js $node_version. Change engines.npm in package.json."
}

# Puts yarn or pnpm beside Node.js; both are one JavaScript file with a launcher.
install_tool() { # name runtime range
  local script
  resolve "$2" "$3" "$1"
  provide "$2" "$version" "$1"
  tool_version=$version
  info "Using $1 $version"
  ln -sfn "$store" ".heroku/node/lib/node_modules/$1"
  script=$(node -p "const b = require('$store/package.json').bin; typeof b === 'string' ? b : b['$1']")
  ln -sf "../lib/node_modules/$1/$script" ".heroku/node/bin/$1"
  once "node-$node_version-$1-$version" "$1" --version ||
    fail "$1 $version does not run with Node.js $node_version. Change engines in package.json."
}

install_package_manager() {
  case $tool in
    yarn)
      if [ -n "$berry" ]; then install_tool yarn yarn-berry "${engines_yarn:-4}"; else install_tool yarn yarn "${engines_yarn:-1}"; fi
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
  [ -z "$pnp" ] || cat "$1/lib/profile.pnp.sh" >>.profile.d/nodejs.sh
  cat >"$1/export" <<EXPORT
export PATH="$build/.heroku/node/bin:\$PATH:$build/node_modules/.bin"
export NODE_HOME="$build/.heroku/node" npm_config_prefix="$build/.heroku/node"
EXPORT
}
