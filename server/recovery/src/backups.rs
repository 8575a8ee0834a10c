//! Backups and their policy, for administrators.

use std::path::Path;

use anyhow::Context as _;
use api::backups::{Backup, BackupPolicy, BackupPolicyUpdate};
use axum::{Json, extract::State, http::HeaderMap, response::Response};
use base::{Base, Change, Error, Result, Subject, SubjectKind, pages, secrets::Secrets, web::Input};
use chrono::Utc;
use identity::Actor;
use sqlx::types::Json as Stored;
use store::backups::{LIST, Policy, Row};

use crate::{
    plan::{Plan, Progress},
    s3::{self, Access},
    target::{Place, Target},
};

/// The name of the schedule.
pub const SCHEDULE: &str = "backups";
/// What the secret access key is encrypted for.
const SECRET: &str = "backup credentials";
const MOST_DAYS: u32 = 3650;

fn shown(row: Row) -> Backup {
    let positive = |number: i64| u64::try_from(number).unwrap_or_default();
    Backup {
        id: row.id,
        name: row.name,
        target: row.target,
        state: row.state,
        with_logs: row.with_logs,
        bytes: positive(row.bytes),
        stored_bytes: positive(row.stored_bytes),
        files: positive(row.files),
        error: row.error,
        started_at: row.started_at,
        finished_at: row.finished_at,
        verified_at: row.verified_at,
        removed_at: row.removed_at,
    }
}

/// `GET /backups`
pub async fn backup_list(State(base): State<Base>, actor: Actor, headers: HeaderMap) -> Result<Response> {
    actor.must_administer()?;
    let range = pages::requested(&headers, &LIST)?;
    let page = store::backups::backup_list(base.db(), &range).await?;
    Ok(pages::respond(&LIST, &range, page.map(shown)))
}

/// `GET /backup-policy`
pub async fn backup_policy_info(State(base): State<Base>, actor: Actor) -> Result<Json<BackupPolicy>> {
    actor.must_administer()?;
    Ok(Json(policy(&base).await?))
}

async fn policy(base: &Base) -> Result<BackupPolicy> {
    let row = store::backups::backup_policy_info(base.db()).await?;
    let missing = || Error::Internal(anyhow::anyhow!("the schedule {SCHEDULE} is missing"));
    let schedule = store::schedules::schedule_by_name(base.db(), SCHEDULE).await?.ok_or_else(missing)?;
    Ok(BackupPolicy {
        target: row.target,
        endpoint: row.endpoint,
        region: row.region,
        access_key_id: row.access_key_id,
        has_secret: row.secret.is_some(),
        has_passphrase: row.wrapped_key.is_some(),
        with_logs: row.with_logs,
        keep: u32::try_from(row.keep).unwrap_or_default(),
        cron: schedule.cron,
        zone: schedule.zone,
        next_run_at: schedule.next_at,
    })
}

/// `PATCH /backup-policy`: takes effect with the next backup.
pub async fn backup_policy_update(
    State(base): State<Base>,
    actor: Actor,
    Input(update): Input<BackupPolicyUpdate>,
) -> Result<Json<BackupPolicy>> {
    actor.must_administer()?;
    let wrapped = wrap(&base, update.passphrase.clone()).await?;
    let mut tx = actor.change(Subject::named(SubjectKind::Setting, "backups")).await?;
    let mut row = store::backups::backup_policy_hold(&mut tx).await?;
    apply(&base, &mut row, &update)?;
    if let Some(wrapped) = wrapped {
        row.wrapped_key = wrapped;
    }
    let is_safe = row.wrapped_key.is_some() || update.key_is_kept_elsewhere == Some(true);
    if row.target.is_some() && !is_safe && (update.target.is_some() || update.passphrase.is_some()) {
        return Err(Error::invalid(
            "passphrase is required: it decrypts the master key in the backups. If you keep a copy of master.key elsewhere, set key_is_kept_elsewhere instead; without the key, backups cannot be restored.",
        ));
    }
    store::backups::backup_policy_update(&mut *tx, &row, Utc::now()).await?;
    schedule(&mut tx, row.target.is_some(), &update).await?;
    let summary = match &row.target {
        Some(target) => format!("Set the target of backups to {target}."),
        None => "Turned backups off.".to_owned(),
    };
    let data = serde_json::json!({
        "target": row.target, "endpoint": row.endpoint, "keep": row.keep, "with_logs": row.with_logs,
        "cron": update.cron, "zone": update.zone, "passphrase": row.wrapped_key.is_some(),
    });
    tx.record("backup_policy.update", summary, data);
    tx.commit().await?;
    Ok(Json(policy(&base).await?))
}

/// The wrapped master key for a new passphrase. Inside: nothing, for an empty one.
async fn wrap(base: &Base, passphrase: Option<String>) -> Result<Option<Option<Stored<serde_json::Value>>>> {
    let Some(passphrase) = passphrase else { return Ok(None) };
    if passphrase.is_empty() {
        return Ok(Some(None));
    }
    let secrets = base.secrets().clone();
    let wrapped = tokio::task::spawn_blocking(move || secrets.wrap(&passphrase)).await;
    let wrapped = wrapped.map_err(anyhow::Error::new)?.map_err(|err| Error::invalid(format!("{err:#}")))?;
    Ok(Some(Some(Stored(serde_json::to_value(wrapped).map_err(anyhow::Error::new)?))))
}

/// Text that was given: inside, nothing if it is empty.
fn given(text: Option<&String>) -> Option<Option<String>> {
    text.map(|text| Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

fn apply(base: &Base, row: &mut Policy, update: &BackupPolicyUpdate) -> Result<()> {
    let invalid = |err: anyhow::Error| Error::invalid(format!("{err:#}"));
    if let Some(target) = given(update.target.as_ref()) {
        row.target =
            target.map(|text| Place::parse(&text)).transpose().map_err(invalid)?.map(|place| place.to_string());
    }
    if let Some(endpoint) = given(update.endpoint.as_ref()) {
        if let Some(url) = &endpoint {
            s3::check_endpoint(url, base.outbound()).map_err(invalid)?;
        }
        row.endpoint = endpoint;
    }
    let fields = [(&update.region, &mut row.region, 100), (&update.access_key_id, &mut row.access_key_id, 200)];
    for (text, field, most) in fields {
        let Some(text) = given(text.as_ref()) else { continue };
        if text.as_ref().is_some_and(|text| text.len() > most) {
            return Err(Error::invalid(format!("region and access_key_id have at most {most} characters.")));
        }
        *field = text;
    }
    if let Some(secret) = given(update.secret_access_key.as_ref()) {
        if secret.as_ref().is_some_and(|secret| secret.len() > 1000) {
            return Err(Error::invalid("secret_access_key has at most 1,000 characters."));
        }
        row.secret = secret.map(|secret| base.secrets().seal(SECRET, secret.as_bytes()));
    }
    if let Some(keep) = update.keep {
        let days = Some(keep).filter(|days| (1..=MOST_DAYS).contains(days)).and_then(|days| i32::try_from(days).ok());
        row.keep = days.ok_or_else(|| Error::invalid(format!("keep must be between 1 and {MOST_DAYS} days.")))?;
    }
    row.with_logs = update.with_logs.unwrap_or(row.with_logs);
    check(base, row)
}

/// Rejects a target that can be seen to be unusable.
fn check(base: &Base, row: &Policy) -> Result<()> {
    let Some(place) = place(row)? else { return Ok(()) };
    match place {
        place if place.is_inside(&base.settings().data) => Err(Error::invalid(format!(
            "{place} is in the data directory, and would be lost with it. Choose another disk, or s3://bucket/prefix."
        ))),
        Place::Folder(path) if path == Path::new("/") => Err(Error::invalid("Choose a folder of its own for backups.")),
        Place::Folder(_) => Ok(()),
        Place::Bucket { .. } if row.access_key_id.is_none() || row.secret.is_none() => {
            Err(Error::invalid("access_key_id and secret_access_key are required for a bucket."))
        }
        Place::Bucket { .. } => Ok(()),
    }
}

/// Sets the times of the schedule, and turns it on or off.
async fn schedule(tx: &mut Change, is_on: bool, update: &BackupPolicyUpdate) -> Result<()> {
    let missing = || Error::Internal(anyhow::anyhow!("the schedule {SCHEDULE} is missing"));
    let now = store::schedules::schedule_by_name(&mut **tx, SCHEDULE).await?.ok_or_else(missing)?;
    let (cron, zone) = (update.cron.as_deref().unwrap_or(&now.cron), update.zone.as_deref().unwrap_or(&now.zone));
    background::Times::parse(cron, zone).map_err(|err| Error::invalid(format!("{err:#}.")))?;
    background::set_times(tx, SCHEDULE, (cron, zone), is_on, Utc::now()).await?;
    Ok(())
}

fn place(policy: &Policy) -> anyhow::Result<Option<Place>> {
    policy.target.as_deref().map(Place::parse).transpose()
}

/// The plan of a policy; nothing without a target.
///
/// # Errors
/// If the target cannot be opened.
pub async fn planned(base: &Base, run: &Path, progress: Progress) -> anyhow::Result<Option<Plan>> {
    let policy = store::backups::backup_policy_info(base.db()).await.context("read the policy of backups")?;
    let Some(place) = place(&policy)? else { return Ok(None) };
    let access = access(base.secrets(), &policy)?;
    let wrapped = policy.wrapped_key.as_ref().map(|stored| serde_json::from_value(stored.0.clone()));
    Ok(Some(Plan {
        base: base.clone(),
        run: run.to_owned(),
        target: Target::open(&place, &access, base.outbound(), true)?,
        wrapped_key: wrapped.transpose().context("read the encrypted master key")?,
        with_logs: policy.with_logs,
        keep: u32::try_from(policy.keep).unwrap_or(1),
        progress,
    }))
}

fn access(secrets: &Secrets, policy: &Policy) -> anyhow::Result<Access> {
    let secret = policy.secret.as_deref().map(|sealed| secrets.open(SECRET, sealed)).transpose()?;
    Ok(Access {
        endpoint: policy.endpoint.clone(),
        region: policy.region.clone(),
        access_key_id: policy.access_key_id.clone(),
        secret_access_key: secret.map(String::from_utf8).transpose().context("read the secret access key")?,
    })
}
