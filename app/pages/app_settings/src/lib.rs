//! The settings of an app.
#![recursion_limit = "512"]

mod settings;

pub use crate::settings::SettingsPage;
