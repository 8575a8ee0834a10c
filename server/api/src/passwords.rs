//! *Wharf:* passwords, their second factor, and whether password sign-in is on.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The state of one's password. Neither the password nor the TOTP secret is returned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Password {
    /// Whether password sign-in is on.
    pub enabled: bool,
    /// Whether one is active: confirmed with a code.
    pub set: bool,
    /// Unused recovery codes.
    pub recovery_codes: i64,
    pub updated_at: Option<DateTime<Utc>>,
}

/// Starts setting a password.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct PasswordCreate {
    #[serde(default)]
    pub password: String,
}

/// The TOTP secret for an authenticator app. Returned once; the password is not active until a code is
/// confirmed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct PasswordEnrolment {
    /// In base32, to type.
    pub secret: String,
    /// `otpauth://totp/…`
    pub uri: String,
    /// The URL as a QR code: an SVG document.
    pub qr: String,
}

/// Changes the active password.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct PasswordUpdate {
    #[serde(default)]
    pub password: String,
    /// From the authenticator app, or a recovery code.
    #[serde(default)]
    pub code: String,
}

/// Proof of the second factor.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct PasswordProof {
    /// From the authenticator app, or a recovery code where accepted.
    #[serde(default)]
    pub code: String,
}

/// Each is accepted once in place of a code. Returned once.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct RecoveryCodes {
    pub codes: Vec<String>,
}

/// Signs a browser in.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct PasswordSignIn {
    #[serde(default)]
    pub email: String,
    #[serde(default)]
    pub password: String,
    /// From the authenticator app, or a recovery code.
    #[serde(default)]
    pub code: String,
    /// Where to redirect: a path of the console.
    #[serde(default)]
    pub next: String,
}

/// A browser was signed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignedIn {
    /// Where to redirect: a path of the console, whatever was requested.
    pub next: String,
}

/// Whether password sign-in is on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PasswordPolicy {
    pub enabled: bool,
    /// Accounts with a password. They keep it while password sign-in is off.
    pub accounts: i64,
}

/// Turns password sign-in on or off.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PasswordPolicyUpdate {
    #[serde(default)]
    pub enabled: Option<bool>,
}
