# shellcheck shell=bash
# cp, ln, mv and rm for buildpacks that were written for a build directory other than /app: they copy or link what they
# have installed to /app, where it will run. Here, that is the same file, and there is nothing to do.
#
#   same.sh PROGRAM ARGUMENTS
program=$1
shift
if [ "$program" = ln ] && [ $# -ge 2 ] && [ "$(realpath -s -- "${@: -2:1}")" = "$(realpath -s -- "${@: -1}")" ]; then
  exit 0
fi
{ said=$(LC_ALL=C command -p "$program" "$@" 2>&1 >&3); } 3>&1
code=$?
# The build directory itself cannot be removed, but is empty afterwards.
rest=$(grep -vE " are the same file$|^rm: cannot remove '/app/?': (Device or resource busy|Permission denied|Read-only file system)$" <<<"$said")
[ -z "$rest" ] || printf '%s\n' "$rest" >&2
[ -n "$rest" ] || [ -z "$said" ] || exit 0
exit "$code"
