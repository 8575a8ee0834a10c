//! A hostile tenant, and whoever listens on a port: what they try with the command line of somebody else.

mod terminal;
mod token;
