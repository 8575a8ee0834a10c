//! A hostile tenant: attacks on the router, by target.
//!
//! Both clients and apps are hostile. Each attack is either rejected or forwarded in an unambiguous form, and the bytes
//! received by the other side are compared exactly.

mod floods;
mod identity;
mod other_apps;
mod service;
mod smuggling;
