# shellcheck shell=bash disable=SC2154 # variables of bin/compile and of the plan
# Development dependencies are left out of the slug, unless a config var that Heroku documents says otherwise.

# Sets $skipped to the reason for keeping them.
why_not_pruned() {
  skipped=
  if [ "$NODE_ENV" != production ]; then
    skipped="NODE_ENV is not 'production'"
  elif [ "$NPM_CONFIG_PRODUCTION" = false ] || { [ "$tool" = npm ] && [ -n "$NPM_CONFIG_PRODUCTION" ]; }; then
    skipped="NPM_CONFIG_PRODUCTION is '$NPM_CONFIG_PRODUCTION'"
  elif [ "$tool" = yarn ] && [ -z "$berry" ] && [ -n "$YARN_PRODUCTION" ]; then
    skipped="YARN_PRODUCTION is '$YARN_PRODUCTION'"
  elif [ -n "$berry" ] && { [ "$YARN2_SKIP_PRUNING" = true ] || [ "$YARN_PRODUCTION" = false ]; }; then
    skipped="a config var says so"
  elif [ "$tool" = pnpm ] && [ "$PNPM_SKIP_PRUNING" = true ]; then
    skipped="PNPM_SKIP_PRUNING is 'true'"
  elif [ -n "$berry" ] && [[ $(yarn --version) == [23].* ]] && ! yarn plugin runtime 2>/dev/null | grep -q workspace-tools; then
    skipped='this version of yarn needs the plugin workspace-tools for it'
  fi
}

prune_dependencies() {
  local skipped
  [ -n "$dev_dependencies" ] || return 0
  topic 'Pruning devDependencies'
  why_not_pruned
  if [ -n "$skipped" ]; then
    info "Skipping because $skipped"
    return
  fi
  case $tool in
    npm) if [ "${node_version%%.*}" -ge 16 ]; then npm prune --omit=dev; else npm prune --production; fi ;;
    yarn)
      if [ -n "$berry" ]; then
        yarn workspaces focus --all --production
      else
        yarn install --frozen-lockfile --ignore-engines --non-interactive --ignore-scripts --prefer-offline --production=true --cache-folder "$cache/yarn"
      fi
      ;;
    # `pnpm prune` knows only the packages of the root, and removes those of all workspaces.
    pnpm) pnpm_install --prod --offline --ignore-scripts --config.modules-cache-max-age=0 ;;
  esac 2>&1 | indent || fail "$tool could not prune the development dependencies. The reason is above."
}
