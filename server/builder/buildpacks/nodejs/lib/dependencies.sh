# shellcheck shell=bash disable=SC2154 # variables of bin/compile and of the plan
# Dependencies by the lock file, and the scripts of package.json.

run_script() { # name
  info "Running $1 ($tool)"
  case $tool in
    npm) npm run --if-present "$1" ;;
    *) "$tool" run "$1" ;;
  esac 2>&1 | indent || fail "The script $1 of package.json failed. What it said is above."
}

dependencies_failed() {
  case $tool in
    npm)
      [ -z "$locks" ] || warn 'If package.json and the lock file do not agree: run npm install, commit the lock file and push again.'
      ;;
    *) warn "If package.json and the lock file do not agree: run $tool install, commit the lock file and push again." ;;
  esac
  fail "$tool could not install the dependencies. What it said is above."
}

install_dependencies() {
  topic 'Installing dependencies'
  if [ -n "$is_complete" ]; then
    info 'package.json names no packages'
    return
  fi
  if [ -n "$berry" ]; then
    install_with_berry
    return
  fi
  find_modules_key
  if restore_modules; then
    info 'Restored node_modules from the cache'
    return
  fi
  : >/tmp/before-installation
  # Development dependencies are needed for the build and pruned after it.
  case $tool in
    npm) install_with_npm ;;
    yarn)
      info 'Installing node modules (yarn.lock)'
      yarn install --frozen-lockfile --ignore-engines --non-interactive --production="${YARN_PRODUCTION:-false}" --cache-folder "$cache/yarn" \
        2>&1 | indent || dependencies_failed
      ;;
    pnpm)
      info 'Installing node modules (pnpm-lock.yaml)'
      pnpm_install --prod="$([ "$NPM_CONFIG_PRODUCTION" = true ] && echo true || echo false)" 2>&1 | indent || dependencies_failed
      ;;
  esac
  keep_modules
}

pnpm_install() { # options
  local frozen=--frozen-lockfile
  [ -f pnpm-lock.yaml ] || frozen=--no-frozen-lockfile
  CI=true pnpm install $frozen --store-dir "$cache/pnpm" --package-import-method=copy "$@"
}

# Yarn 2 and later. With Plug'n'Play, the archives of the packages are part of the app.
install_with_berry() {
  info 'Installing node modules (yarn.lock)'
  export YARN_ENABLE_TELEMETRY=0 YARN_ENABLE_GLOBAL_CACHE=true YARN_GLOBAL_FOLDER=$cache/yarn-berry
  if [ -n "$pnp" ]; then
    export YARN_ENABLE_GLOBAL_CACHE=false
    if [ ! -d .yarn/cache ] && [ -d "$cache/yarn-pnp" ]; then mkdir -p .yarn && cp -a "$cache/yarn-pnp" .yarn/cache; fi
  fi
  yarn install --immutable 2>&1 | indent || dependencies_failed
  if [ -n "$pnp" ] && [ -d .yarn/cache ]; then rm -rf "$cache/yarn-pnp" && cp -a .yarn/cache "$cache/yarn-pnp"; fi
}

install_with_npm() {
  local command
  if [ -d node_modules ]; then
    info 'Prebuild detected (node_modules already exists)'
    info 'Rebuilding any native modules'
    npm rebuild 2>&1 | indent || dependencies_failed
    command=(npm install)
  elif [ -n "$locks" ]; then
    info "Installing node modules ($locks)"
    command=(npm ci)
  else
    info 'Installing node modules (package.json)'
    command=(npm install)
  fi
  [ "$USE_NPM_INSTALL" != true ] || command=(npm install)
  if [ "$NPM_CONFIG_PRODUCTION" = true ]; then
    command+=(--production)
  elif [ "${node_version%%.*}" -ge 16 ]; then
    command+=(--include=dev)
  else
    command+=(--production=false)
  fi
  "${command[@]}" 2>&1 | indent || dependencies_failed
}
