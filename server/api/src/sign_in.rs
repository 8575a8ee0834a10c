//! *Wharf:* the sign-in page's options. Public.

use serde::{Deserialize, Serialize};

use crate::identity_providers::ProviderKind;

/// The sign-in methods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SignInOptions {
    pub providers: Vec<SignInProvider>,
    /// Whether password sign-in is on.
    #[serde(default)]
    pub password: bool,
}

/// A sign-in button.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignInProvider {
    pub name: String,
    pub title: String,
    pub kind: ProviderKind,
    /// Domains whose addresses may sign in.
    pub domains: Vec<String>,
}
