# shellcheck shell=bash disable=SC2154 # variables of bin/compile and of the plan
# Dependencies by the lock file, the scripts of package.json, and what is left out of the slug.

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
  # Development dependencies are needed for the build and pruned after it.
  case $tool in
    npm) install_with_npm ;;
    yarn)
      info 'Installing node modules (yarn.lock)'
      if [ -n "$berry" ]; then
        export YARN_ENABLE_GLOBAL_CACHE=false YARN_ENABLE_TELEMETRY=0
        if [ ! -d .yarn/cache ] && [ -d "$cache/yarn-berry" ]; then mkdir -p .yarn && cp -a "$cache/yarn-berry" .yarn/cache; fi
        yarn install --immutable
      else
        yarn install --frozen-lockfile --ignore-engines --non-interactive --production=false --cache-folder "$cache/yarn"
      fi 2>&1 | indent || dependencies_failed
      if [ -n "$berry" ] && [ -d .yarn/cache ]; then rm -rf "$cache/yarn-berry" && cp -a .yarn/cache "$cache/yarn-berry"; fi
      ;;
    pnpm)
      info 'Installing node modules (pnpm-lock.yaml)'
      local frozen=--frozen-lockfile
      [ -f pnpm-lock.yaml ] || frozen=--no-frozen-lockfile
      CI=true pnpm install $frozen --prod=false --store-dir "$cache/pnpm" --package-import-method=copy 2>&1 | indent || dependencies_failed
      ;;
  esac
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
  if [ "${node_version%%.*}" -ge 16 ]; then command+=(--include=dev); else command+=(--production=false); fi
  "${command[@]}" 2>&1 | indent || dependencies_failed
}

prune_dependencies() {
  [ -n "$dev_dependencies" ] || return 0
  topic 'Pruning devDependencies'
  if [ "$NODE_ENV" != production ]; then
    info "Skipping because NODE_ENV is not 'production'"
  elif [ "$NPM_CONFIG_PRODUCTION$YARN_PRODUCTION" = false ] || [ "$PNPM_SKIP_PRUNING" = true ]; then
    info 'Skipping because a config var says so'
  elif [ -n "$berry" ] && [[ $(yarn --version) == [23].* ]]; then
    info 'Skipping: this version of yarn cannot prune'
  elif [ -n "$berry" ]; then
    yarn workspaces focus --all --production 2>&1 | indent || fail 'yarn could not prune the development dependencies. What it said is above.'
  else
    case $tool in
      npm) if [ "${node_version%%.*}" -ge 16 ]; then npm prune --omit=dev; else npm prune --production; fi ;;
      yarn) yarn install --frozen-lockfile --ignore-engines --non-interactive --ignore-scripts --prefer-offline --production=true --cache-folder "$cache/yarn" ;;
      pnpm) CI=true pnpm prune --prod --config.ignore-scripts=true ;;
    esac 2>&1 | indent || fail "$tool could not prune the development dependencies. What it said is above."
  fi
}
