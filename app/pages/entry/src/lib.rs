//! The pages before a session exists: sign-in and consent.
#![recursion_limit = "512"]

mod consent;
mod login;
mod sign_in_link;

pub use crate::{consent::ConsentPage, login::LoginPage, sign_in_link::SignInLinkPage};
