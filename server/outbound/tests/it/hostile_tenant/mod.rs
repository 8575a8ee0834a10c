//! A hostile tenant supplies URLs. One module per target of attack.

mod inside;
mod memory;
mod others;
