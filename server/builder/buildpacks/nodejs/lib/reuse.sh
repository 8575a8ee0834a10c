# shellcheck shell=bash disable=SC2154 # variables of bin/compile and of the plan
# What is kept between builds: node_modules, and the folders in cacheDirectories of package.json.

# Sets $modules_key to a checksum of all that the package manager reads. It is empty if that is too much.
find_modules_key() {
  modules_key=
  [ -n "$is_reusable" ] && [ "$NODE_MODULES_CACHE" != false ] || return 0
  modules_key=$(
    {
      printf '%s\n' 1 "$node_version" "$tool" "$tool_version" "$NODE_ENV"
      find . \( -name node_modules -o -path ./.heroku -o -path ./.git \) -prune -o -type f \( -name package.json -o -name package-lock.json \
        -o -name npm-shrinkwrap.json -o -name yarn.lock -o -name pnpm-lock.yaml -o -name pnpm-workspace.yaml -o -name .npmrc \
        -o -name .yarnrc -o -name '*.patch' -o -name .netrc \) -print0 | sort -z | xargs -0 -r sha256sum
      config_digest
    } | sha256sum | cut -c1-32
  )
}

# The first file of the app that the installation has changed: npm and yarn make the commands of workspaces executable,
# which restoring node_modules would not do.
touched() {
  find . \( -path './.?*' -o -name node_modules \) -prune -o -type f -cnewer /tmp/before-installation -print -quit
}

restore_modules() {
  [ -n "$modules_key" ] && [ "$(cat "$cache/modules.key" 2>/dev/null)" = "$modules_key" ] && cp -a "$cache/modules/." .
}

keep_modules() {
  rm -rf "$cache/modules.key" "$cache/modules"
  [ -n "$modules_key" ] && [ -z "$(touched)" ] && [ -z "$(node "$here/lib/plan.js" scripted .)" ] || return 0
  mkdir -p "$cache/modules"
  find . -path ./.heroku -prune -o -type d -name node_modules -prune -print0 |
    xargs -0 -r cp -a --parents --target-directory="$cache/modules" && printf '%s\n' "$modules_key" >"$cache/modules.key"
}

# Calls a function for each of cacheDirectories.
each_directory() { # function
  local list name
  [ -n "$cache_directories" ] && [ "$NODE_MODULES_CACHE" != false ] || return 0
  IFS=: read -ra list <<<"$cache_directories"
  for name in "${list[@]}"; do "$1" "$name"; done
}

restore_directory() { # name
  [ -d "$cache/directories/$1" ] && [ ! -e "$1" ] || return 0
  info "Restoring $1 from the cache"
  mkdir -p "$(dirname "$1")" && cp -a "$cache/directories/$1" "$1"
}

keep_directory() { # name
  if [ ! -d "$1" ]; then
    info "$1 does not exist, so it is not kept"
    return
  fi
  info "Keeping $1 for the next build"
  mkdir -p "$(dirname "$cache/directories/$1")" && cp -a "$1" "$cache/directories/$1"
}

restore_directories() { each_directory restore_directory; }

keep_directories() {
  [ -z "$cache_directories" ] || topic 'Caching build'
  rm -rf "$cache/directories"
  each_directory keep_directory
}
