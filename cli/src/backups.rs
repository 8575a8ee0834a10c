//! `platform:backups`: backups of the platform, for administrators.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use api::backups::{Backup, BackupPolicy, BackupPolicyUpdate, BackupState};
use chrono::Utc;
use clap::Args;

use crate::{
    context::Context,
    output::{self, Action, Cell, DIM, GREEN, NONE, RED, Table, ago, bytes, moment, span},
};

/// Shows where and when the platform is backed up, and its backups (administrators only)
#[derive(Args)]
pub struct List {}

impl List {
    /// `platform:backups`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let client = cx.client()?;
        let policy = client.backup_policy_info().await?;
        let backups: Vec<Backup> = client.backup_page(None).await?.items;
        if cx.json {
            return output::json(&serde_json::json!({ "policy": policy, "backups": backups }));
        }
        show_policy(&policy);
        let mut table = Table::new(&["Backup", "State", "Size", "New", "Duration", "Verified", ""]);
        for backup in &backups {
            table.row(row(backup));
        }
        table.print();
        Ok(())
    }
}

fn row(backup: &Backup) -> [Cell; 7] {
    let colour = match backup.state {
        BackupState::Failed => RED,
        BackupState::Verified => GREEN,
        _ => NONE,
    };
    let state = if backup.removed_at.is_some() { "expired" } else { backup.state.as_str() };
    let seconds =
        |end: chrono::DateTime<Utc>| u64::try_from((end - backup.started_at).num_seconds()).unwrap_or_default();
    [
        (&backup.name).into(),
        Cell::new(state, colour),
        bytes(backup.bytes).into(),
        bytes(backup.stored_bytes).into(),
        backup.finished_at.map(|end| span(seconds(end))).unwrap_or_default().into(),
        backup.verified_at.map_or("never".to_owned(), |at| ago(at, Utc::now())).into(),
        match &backup.error {
            Some(why) => Cell::new(why, RED),
            None => Cell::new(&backup.target, DIM),
        },
    ]
}

fn show_policy(policy: &BackupPolicy) {
    let Some(target) = &policy.target else {
        out!(
            "No backups are scheduled. Set a target: wharf platform:backups:set --target DIR --passphrase-file FILE\n"
        );
        return;
    };
    let key = if policy.has_passphrase { "in the backups, with a passphrase" } else { "not in the backups" };
    output::pairs(&[
        ("Target", target.clone()),
        ("Endpoint", policy.endpoint.clone().unwrap_or_default()),
        ("When", format!("{}, {}", policy.cron, policy.zone)),
        ("Next", policy.next_run_at.map(moment).unwrap_or_default()),
        ("Kept", format!("{} days", policy.keep)),
        ("Logs", if policy.with_logs { "included" } else { "left out" }.to_owned()),
        ("Master key", key.to_owned()),
    ]);
    out!("");
}

/// Sets where and when the platform is backed up
#[derive(Args)]
pub struct Set {
    /// A folder on the server or s3://bucket/prefix; empty turns backups off
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// URL of the S3-compatible service; empty for Amazon S3
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Region of the bucket
    #[arg(long)]
    region: Option<String>,
    /// Access key ID for the bucket
    #[arg(long, value_name = "ID")]
    access_key_id: Option<String>,
    /// File with the secret access key
    #[arg(long, value_name = "FILE")]
    secret_access_key_file: Option<PathBuf>,
    /// File with the passphrase that decrypts the master key in the backups
    #[arg(long, value_name = "FILE", conflicts_with = "key_is_kept_elsewhere")]
    passphrase_file: Option<PathBuf>,
    /// Make backups without the master key: a copy of master.key is kept elsewhere
    #[arg(long)]
    key_is_kept_elsewhere: bool,
    /// When, in crontab syntax, such as '30 3 * * *'
    #[arg(long)]
    cron: Option<String>,
    /// Time zone, such as Europe/Berlin
    #[arg(long)]
    zone: Option<String>,
    /// Days whose last backup is kept
    #[arg(long, value_name = "DAYS")]
    keep: Option<u32>,
    /// Whether logs, metrics and the output of builds are included
    #[arg(long, value_name = "true|false")]
    with_logs: Option<bool>,
}

impl Set {
    /// `platform:backups:set`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let update = BackupPolicyUpdate {
            target: self.target,
            endpoint: self.endpoint,
            region: self.region,
            access_key_id: self.access_key_id,
            secret_access_key: self.secret_access_key_file.as_deref().map(secret).transpose()?,
            passphrase: self.passphrase_file.as_deref().map(secret).transpose()?,
            key_is_kept_elsewhere: self.key_is_kept_elsewhere.then_some(true),
            with_logs: self.with_logs,
            keep: self.keep,
            cron: self.cron,
            zone: self.zone,
        };
        let action = Action::start("Setting backups");
        let policy = cx.client()?.backup_policy_update(&update).await?;
        action.finish(cx.json, &policy)
    }
}

/// The secret in a file, without the end of its line: arguments are visible to other users.
fn secret(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Backs the platform up now
#[derive(Args)]
pub struct Run {}

impl Run {
    /// `platform:backups:run`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let action = Action::start("Backing up the platform");
        let job = cx.client()?.schedule_run("backups").await?;
        action.done_with(format!("job {}; follow it with wharf jobs:info {}", job.id, job.id));
        if cx.json { output::json(&job) } else { Ok(()) }
    }
}
