//! A hostile tenant, and a program that listens on a port: attacks on another user's command line.

mod terminal;
mod token;
