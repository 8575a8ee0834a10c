# How a buildpack talks, and what it takes from the config vars.

topic() { printf -- '-----> %s\n' "$*"; }
info() { printf '       %s\n' "$*"; }
warn() { printf ' !     %s\n' "$@"; }
indent() { sed -u 's/^/       /'; }
fail() {
  warn "$@"
  exit 1
}

# Config vars, but for those that would break the build itself.
export_env() { # directory
  local file name
  for file in "$1"/*; do
    name=${file##*/}
    [ -f "$file" ] && [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || continue
    case $name in
      PATH | HOME | TMPDIR | LANG | GIT_DIR | CPATH | CPPATH | LIBRARY_PATH | LD_PRELOAD | LD_LIBRARY_PATH | \
        BASH_ENV | ENV | IFS | STACK | SOURCE_VERSION | REQUEST_ID | BUILD_DIR | UID | EUID | PPID | BASHOPTS | SHELLOPTS) continue ;;
    esac
    export "$name=$(cat "$file")"
  done
}

# A checksum of the config vars, which installers and the packages' own build scripts can read.
config_digest() {
  (cd "$env_dir" && find . -type f -print0 | sort -z | xargs -0 -r sha256sum)
}
