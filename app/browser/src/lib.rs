//! The WASM entry point: hydrate() and the fetch transport.
