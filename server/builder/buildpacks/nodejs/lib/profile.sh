# Sourced at the start of every dyno, after the config vars are set.
export PATH="$HOME/.heroku/node/bin:$PATH:$HOME/bin:$HOME/node_modules/.bin"
export NODE_HOME="$HOME/.heroku/node"
export NODE_ENV="${NODE_ENV:-production}"

# Megabytes that the dyno may use, by its cgroup (second or first version).
if [ -z "$MEMORY_AVAILABLE" ]; then
  for wharf_file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    read -r wharf_bytes 2>/dev/null <"$wharf_file" || continue
    case $wharf_bytes in
      *[!0-9]* | '') ;;
      *) [ "${#wharf_bytes}" -gt 13 ] || MEMORY_AVAILABLE=$((wharf_bytes / 1048576)) ;;
    esac
    break
  done 2>/dev/null
  unset wharf_file wharf_bytes
fi
export MEMORY_AVAILABLE="${MEMORY_AVAILABLE:-512}"
export WEB_MEMORY="${WEB_MEMORY:-512}"
if [ -z "$WEB_CONCURRENCY" ]; then
  WEB_CONCURRENCY=$((MEMORY_AVAILABLE / WEB_MEMORY))
  [ "$WEB_CONCURRENCY" -ge 1 ] || WEB_CONCURRENCY=1
fi
export WEB_CONCURRENCY
