//! *Wharf:* signing in: what the page for it offers. Told to anybody.

use serde::{Deserialize, Serialize};

/// The ways to sign in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SignInOptions {
    pub providers: Vec<SignInProvider>,
    /// Whether a local password can be used.
    pub passwords: bool,
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

/// Switches of signing in, for administrators.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SignInSettings {
    /// Whether people may have local passwords. Off unless it is switched on.
    pub passwords: bool,
}
