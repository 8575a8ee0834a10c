//! *Wharf:* e-mail about invitations, and the server that sends it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::named::named;

named! {
    /// How the connection to the mail server is encrypted.
    pub enum MailTls {
        /// Encrypted before anything is sent; a server that does not offer it is not used.
        StartTls = "starttls",
        /// Encrypted from the beginning.
        Tls = "tls",
        /// Not encrypted: for servers in a trusted network, and without a password.
        None = "none",
    }
}

named! {
    /// What a message is about.
    pub enum MailKind {
        TeamInvitation = "team_invitation",
        Collaborator = "collaborator",
        AppTransfer = "app_transfer",
    }
}

named! {
    /// The state of a message.
    pub enum MailState {
        /// Waiting for its first or next attempt.
        Pending = "pending",
        /// Accepted by the mail server.
        Sent = "sent",
        /// Rejected, or given up after a day.
        Failed = "failed",
        /// Not sent, since its subject was cancelled or answered before.
        Cancelled = "cancelled",
    }
}

impl MailState {
    /// Whether nothing more is done about it.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Sent | Self::Failed | Self::Cancelled)
    }
}

/// A message about an invitation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    pub state: MailState,
    /// Why the last attempt failed.
    pub error: Option<String>,
    pub updated_at: DateTime<Utc>,
}

/// The mail server. The password is never returned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MailServer {
    /// Whether there is one; all other fields are empty if not.
    pub configured: bool,
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub user: Option<String>,
    /// Whether a password is stored.
    pub has_password: bool,
    /// The sender address of all messages.
    pub sender: String,
    pub updated_at: Option<DateTime<Utc>>,
}

/// Sets the given fields of the mail server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MailServerUpdate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `starttls`, `tls` or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    /// An empty one: no authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Required again whenever the server, the encryption or the user changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
}

/// Sends a test message.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MailTest {
    /// The recipient; by default the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What the mail server answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MailTested {
    /// Whether it accepted the message.
    pub ok: bool,
    pub to: String,
    /// Its answer, or why there is none.
    pub answer: String,
}
