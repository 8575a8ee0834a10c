//! The account of the user.
#![recursion_limit = "512"]

mod account;
mod oauth_clients;

pub use crate::account::AccountPage;
