//! A hostile tenant: attacks on the router, by target.
//!
//! Clients and apps are hostile alike. Each attack is either refused or passed on in a way that can
//! be read once only, and what the other side got is compared byte for byte.

mod floods;
mod identity;
mod other_apps;
mod service;
mod smuggling;
