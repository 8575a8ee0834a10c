# Sourced at the start of every dyno, after the config vars are set.
export PATH="$PATH:$HOME/target/release"
# Rocket listens where these say.
export ROCKET_ADDRESS="${ROCKET_ADDRESS:-0.0.0.0}"
[ -z "$PORT" ] || export ROCKET_PORT="${ROCKET_PORT:-$PORT}"
