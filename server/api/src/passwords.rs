//! *Wharf:* passwords of one's own, their codes, and whether anybody is let in by them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What there is of one's own password. Neither it nor what makes its codes is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Password {
    /// Whether the platform lets anybody in by a password.
    pub enabled: bool,
    /// Whether one is in force: confirmed by a code.
    pub set: bool,
    /// Recovery codes that were not used.
    pub recovery_codes: i64,
    pub updated_at: Option<DateTime<Utc>>,
}

/// Begins a password.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct PasswordCreate {
    #[serde(default)]
    pub password: String,
}

/// What an authenticator needs to make codes. Told this once; nothing is in force until a code is shown.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct PasswordEnrolment {
    /// In base32, to type.
    pub secret: String,
    /// `otpauth://totp/…`
    pub uri: String,
    /// The address as a QR code: an SVG document.
    pub qr: String,
}

/// Puts another password in place of the one in force.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct PasswordUpdate {
    #[serde(default)]
    pub password: String,
    /// Of the authenticator, or a recovery code.
    #[serde(default)]
    pub code: String,
}

/// That somebody can make codes.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct PasswordProof {
    /// Of the authenticator, or a recovery code where one is taken.
    #[serde(default)]
    pub code: String,
}

/// Each is taken once in place of a code. Told this once.
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
    /// Of the authenticator, or a recovery code.
    #[serde(default)]
    pub code: String,
    /// Where to go on: a path of the console.
    #[serde(default)]
    pub next: String,
}

/// A browser was signed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignedIn {
    /// Where to go on: a path of the console, whatever was asked for.
    pub next: String,
}

/// Whether anybody is let in by a password.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PasswordPolicy {
    pub enabled: bool,
    /// Accounts that have a password. They keep it while passwords are off.
    pub accounts: i64,
}

/// Turns passwords on or off.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PasswordPolicyUpdate {
    #[serde(default)]
    pub enabled: Option<bool>,
}
