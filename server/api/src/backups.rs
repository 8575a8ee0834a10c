//! *Wharf:* backups of the platform, for administrators: where and when they are made, and what became of each.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ids::BackupId, named::named};

named! {
    /// The state of a backup.
    pub enum BackupState {
        /// It is being made.
        Running = "running",
        /// It is complete, and is being verified.
        Completed = "completed",
        /// It was read again and restored into a temporary database.
        Verified = "verified",
        /// It was not made, or could not be restored.
        Failed = "failed",
    }
}

/// A backup of the platform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backup {
    pub id: BackupId,
    /// Its name in the target, for `wharfd restore --backup`.
    pub name: String,
    /// A folder or `s3://bucket/prefix`.
    pub target: String,
    pub state: BackupState,
    /// Whether it has logs, metrics and the output of builds.
    pub with_logs: bool,
    /// Bytes of everything that it consists of.
    pub bytes: u64,
    /// Bytes of what was not in the target before.
    pub stored_bytes: u64,
    pub files: u64,
    pub error: Option<String>,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub verified_at: Option<DateTime<Utc>>,
    /// When it was removed from the target.
    pub removed_at: Option<DateTime<Utc>>,
}

/// Where and when the platform is backed up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackupPolicy {
    /// A folder or `s3://bucket/prefix`; nothing: there are no backups.
    pub target: Option<String>,
    /// The URL of the S3-compatible service; nothing: Amazon S3.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub access_key_id: Option<String>,
    /// Whether a secret access key is stored. It is never shown.
    pub has_secret: bool,
    /// Whether the backups contain the master key, encrypted with a passphrase. Without it, they can be restored only
    /// with a copy of `master.key`.
    pub has_passphrase: bool,
    /// Whether logs, metrics and the output of builds are backed up.
    pub with_logs: bool,
    /// Days whose last backup is kept.
    pub keep: u32,
    /// When backups are made, in crontab syntax.
    pub cron: String,
    /// The time zone, by its IANA name.
    pub zone: String,
    pub next_run_at: Option<DateTime<Utc>>,
}

/// Changes the given fields of the policy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BackupPolicyUpdate {
    /// A folder or `s3://bucket/prefix`; empty: no more backups. Existing ones stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Empty: Amazon S3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<String>,
    /// The passphrase that decrypts the master key in the backups. It is not stored. Empty: the backups do not contain
    /// the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<String>,
    /// Required, as `true`, for backups without a passphrase: a copy of `master.key` is kept elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_is_kept_elsewhere: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_logs: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}
