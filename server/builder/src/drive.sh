#!/usr/bin/env bash
# Drives the buildpacks of one build. Runs inside the build dyno, as the app's user.
#
#   drive.sh given|detect BUILD_DIR CACHE_DIR ENV_DIR PACKS OUT BUILDER
#
# BUILDER/list has a line for each buildpack: number|kind|label|reference|url. What the platform
# wants to know afterwards is left in OUT: `name` (what the last buildpack calls the app),
# `release.yml` (what its bin/release printed), `failed` (why there is no slug).

mode=$1 build=$2 cache=$3 env_dir=$4 packs=$5 out=$6 builder=$7
cache_limit_mb=6144
# Where tools cache things by default. $HOME is the app's directory, as in dynos, but this does not belong in a slug.
home_caches=(.npm/_cacache .npm/_logs .cache/pip .cache/uv .cache/pypoetry .cache/pipenv .cache/yarn .cache/pnpm .cache/node-gyp
  .local/share/pnpm .yarn/berry .cargo/registry)
export GIT_CONFIG_GLOBAL=$builder/gitconfig GIT_TERMINAL_PROMPT=0 GIT_ALLOW_PROTOCOL=https:http:file
exec </dev/null
# A cancelled build: everything in the dyno is asked to stop, and the dyno ends with this script. So it
# waits for the buildpack, which may have something to put away.
trap 'exit 143' TERM

fail() { # why, then lines that explain it
  printf '%s\n' "$1" >"$out/failed"
  shift
  [ $# -eq 0 ] || printf ' !     %s\n' "$@"
  exit 1
}

indent() { sed -u 's/^/       /'; }

# shellcheck source=encodings.sh
. "$builder/encodings.sh"

# Remote repositories are kept as bare mirrors in the cache: a build fetches only what is new.
mirror() { # url label: sets $mirror
  mirror=$cache/.buildpacks/$(printf %s "$1" | sha256sum | cut -c1-16).git
  mkdir -p "$cache/.buildpacks"
  if ! timeout 60 git -C "$mirror" fetch --quiet --prune --tags --force origin '+refs/heads/*:refs/heads/*' >/dev/null 2>&1; then
    rm -rf "$mirror"
    timeout 120 git clone --quiet --bare -- "$1" "$mirror" 2>&1 | grep -v '^Cloning into' | indent
    [ "${PIPESTATUS[0]}" -eq 0 ] || fail "failed to fetch buildpack $2" \
      "The buildpack $2 cannot be cloned. Check its URL, and that it can be read without a password."
  fi
}

clone() { # path reference directory label
  git clone --quiet --shared "$1" "$3" 2>&1 | indent
  [ "${PIPESTATUS[0]}" -eq 0 ] || fail "failed to fetch buildpack $4" "The buildpack $4 cannot be cloned."
  if [ -n "$2" ] && ! git -C "$3" checkout --quiet "$2" -- 2>/dev/null; then
    fail "failed to fetch buildpack $4" "The buildpack $4 has no branch, tag or commit $2."
  fi
}

fetch() { # number kind reference url label
  local dir=$packs/$1
  case $2 in
    built-in) ;;
    git)
      mirror "$4" "$5"
      clone "$mirror" "$3" "$dir" "$5"
      ;;
    local)
      if [ -e "$4/.git" ] || [ -e "$4/HEAD" ]; then clone "$4" "$3" "$dir" "$5"; else cp -R "$4" "$dir"; fi
      ;;
    archive)
      mkdir -p "$dir"
      if ! timeout 120 curl -fsSL --retry 2 "$4" -o /tmp/buildpack.tgz || ! tar -xzf /tmp/buildpack.tgz -C "$dir"; then
        fail "failed to fetch buildpack $5" "The buildpack $5 cannot be downloaded or unpacked."
      fi
      rm -f /tmp/buildpack.tgz
      ;;
  esac
  local script
  for script in detect compile; do
    [ -f "$dir/bin/$script" ] || fail "failed to fetch buildpack $5" "The buildpack $5 has no bin/$script."
  done
  chmod +x "$dir"/bin/* 2>/dev/null
}

detect() { # number: sets $name
  local said
  said=$(cd "$build" && "$packs/$1/bin/detect" "$build" 2>&1) || return 1
  name=$(printf '%s\n' "$said" | head -n 1 | tr -d '\r|' | cut -c1-100)
}

# Buildpacks of others may copy from the build directory to /app.
tolerate_copies() { # kind
  local program
  [ "$1" != built-in ] || return 0
  mkdir -p /tmp/tolerant
  for program in cp ln mv rm; do
    printf '#!/bin/sh\nexec bash %s/same.sh %s "$@"\n' "$builder" $program >/tmp/tolerant/$program
    chmod +x /tmp/tolerant/$program
  done
  PATH=/tmp/tolerant:$PATH
}

compile() { # number kind
  printf -- '-----> %s app detected\n' "${name:-Unnamed}"
  # What a buildpack leaves running must not keep the build from ending: wait for this alone.
  (cd "$build" && tolerate_copies "$2" && exec "$packs/$1/bin/compile" "$build" "$cache" "$env_dir") || {
    local code=$?
    [ $code -lt 126 ] || printf ' !     bin/compile ended with status %s\n' "$code"
    fail "failed to compile ${name:-the} app"
  }
  if [ -f "$packs/$1/export" ]; then
    # shellcheck disable=SC1091
    . "$packs/$1/export"
  fi
  : >"$out/release.yml"
  if [ -x "$packs/$1/bin/release" ]; then
    (cd "$build" && "$packs/$1/bin/release" "$build" >"$out/release.yml") ||
      fail "failed to release ${name:-the} app" "bin/release of the buildpack failed."
  fi
  printf '%s\n' "$name" >"$out/name"
}

undetected() {
  printf ' !     No default language could be detected for this app.\n'
  printf '\t\t\tHINT: This occurs when the buildpack to use for this application cannot be detected automatically.\n'
  printf '\t\t\tIt needs one of these files at its root: package.json (Node.js), requirements.txt, pyproject.toml or\n'
  printf '\t\t\tPipfile (Python), Cargo.toml (Rust), static.json or index.html (static site).\n'
  printf '\t\t\tOr set a buildpack: buildpacks:set heroku/nodejs, or buildpacks:set https://example.com/buildpack.git\n'
  fail 'no default language could be detected for this app'
}

# Removes what tools have cached in the app's directory, unless it is part of the app.
find_home_caches() {
  local place
  for place in "${home_caches[@]}"; do [ -e "$build/$place" ] || unwanted+=("$place"); done
}
remove_home_caches() {
  local place
  cd "$build" || return
  for place in "${unwanted[@]}"; do
    [ -e "$place" ] || continue
    rm -rf "$place" && rmdir -p "$(dirname "$place")" 2>/dev/null
  done
}

unwanted=()
find_home_caches
convert_encodings "$build"
if [ "$mode" = detect ]; then
  found=
  while IFS='|' read -r number kind label reference url <&3; do
    if detect "$number"; then
      found=$number
      printf -- '-----> Using buildpack: %s\n' "$label"
      break
    fi
  done 3<"$builder/list"
  [ -n "$found" ] || undetected
  compile "$found" built-in
else
  while IFS='|' read -r number kind label reference url <&3; do
    fetch "$number" "$kind" "$reference" "$url" "$label"
  done 3<"$builder/list"
  while IFS='|' read -r number kind label reference url <&3; do
    detect "$number" || fail "failed to detect set buildpack $label" \
      "The buildpack $label is set for this app, but says that the app is not of its kind." \
      "Check that the files it looks for are at the root of the repository, or set another buildpack."
    compile "$number" "$kind"
  done 3<"$builder/list"
fi

remove_home_caches
used=$(du -sm "$cache" 2>/dev/null | cut -f1)
if [ "${used:-0}" -gt $cache_limit_mb ]; then
  printf -- '-----> Clearing the build cache (%s MB, the limit is %s MB)\n' "$used" $cache_limit_mb
  find "$cache" -mindepth 1 -delete 2>/dev/null
elif [ "${used:-0}" -gt $((cache_limit_mb * 3 / 4)) ]; then
  printf -- '-----> The build cache has %s MB. Above %s MB, it is cleared. To clear it now: wharf builds:cache:purge\n' "$used" $cache_limit_mb
fi
exit 0
