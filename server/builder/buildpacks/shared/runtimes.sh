# shellcheck shell=bash
# Runtimes, which the platform installs once for all apps of the machine. Builds can read them, and put links to them
# into the app, which become files when the slug is packed.

runtimes=/tmp/runtimes

# Asks the platform, and sets $response: ok, outdated, or error and the reason.
request_runtime() { # words
  response=
  printf '%s\n' "$*" >/tmp/builder/ask && IFS= read -r response </tmp/builder/answer
}

# Sets $store to the folder of a version of a runtime, which is installed if it is missing.
provide() { # runtime version what
  store=$runtimes/files/$1-$2
  request_runtime provide "$1" "$2"
  [ "$response" = ok ] || fail "$3 $2 cannot be had: ${response#error }."
}
