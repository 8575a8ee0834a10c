
# Yarn's Plug'n'Play: there is no node_modules, so Node.js loads packages through this file, unless yarn starts it.
if [ -f "$HOME/.pnp.cjs" ]; then
  export NODE_OPTIONS="--require $HOME/.pnp.cjs${NODE_OPTIONS:+ $NODE_OPTIONS}"
  [ ! -f "$HOME/.pnp.loader.mjs" ] || NODE_OPTIONS="--experimental-loader file://$HOME/.pnp.loader.mjs $NODE_OPTIONS"
fi
export YARN_ENABLE_TELEMETRY=0
