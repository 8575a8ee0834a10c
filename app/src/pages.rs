//! The pages, each in a file of its own.

mod apps;
mod create;
mod login;
mod not_found;

pub use self::{apps::AppsPage, login::LoginPage, not_found::NotFoundPage};
