//! *Wharf:* signing in: what the page for it offers. Told to anybody.

use serde::{Deserialize, Serialize};

/// The ways to sign in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SignInOptions {
    pub providers: Vec<SignInProvider>,
    /// Whether passwords are taken.
    #[serde(default)]
    pub password: bool,
}

/// A button.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignInProvider {
    pub name: String,
    pub title: String,
    pub kind: String,
    /// Addresses of these get in.
    pub domains: Vec<String>,
}
