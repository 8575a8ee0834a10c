//! Releases: a slug with a configuration, numbered and immutable.
//!
//! A release without a release phase succeeds in the transaction that creates it; otherwise a job runs the release
//! phase when it gets a slot ([`queue`]), and a failure does not affect the previous release.

mod job;
mod output;
mod queue;
mod routes;
mod run;

use api::{
    ids::{AccountId, AppId, ReleaseId, SlugId},
    releases::ReleaseStatus,
};
use base::{Error, Result, links::Links};
use chrono::Utc;
use identity::{
    Actor,
    quotas::{self, Quota},
};
use sqlx::{PgConnection, PgExecutor};
use store::releases::Row;

pub(crate) use self::queue::{Queue, SLOTS};
pub use self::{
    queue::admit,
    routes::{release_cancel, release_create, release_info, release_list, release_rollback_effects},
    run::Run,
};
use crate::{
    Platform, app_refs,
    config_values::{self, Config},
    released,
};

/// The contents of a new release.
#[derive(Clone, Debug, Default)]
pub struct New<'a> {
    /// Generated if absent; specified by jobs, which may create the same release twice.
    pub id: Option<ReleaseId>,
    pub app: AppId,
    pub description: &'a str,
    pub slug: Option<SlugId>,
    /// The slug of the newest release instead of `slug`.
    pub keeps_slug: bool,
    pub commit: Option<String>,
    /// Its release phase was admitted before, and must not be rejected.
    pub is_admitted: bool,
    /// The watch period in seconds, if it is not the app's.
    pub watch: Option<i32>,
}

/// Creates a release for `actor` and returns its version. Rejected if too many release phases of the app wait.
pub(crate) async fn create(
    platform: &Platform,
    tx: &mut PgConnection,
    actor: &Actor,
    new: &New<'_>,
    config: Config<'_>,
) -> Result<i32> {
    create_for(platform, tx, actor.account.id, new, config).await
}

/// Like [`create`], for an account without a current request.
pub async fn create_for(
    platform: &Platform,
    tx: &mut PgConnection,
    account: AccountId,
    new: &New<'_>,
    config: Config<'_>,
) -> Result<i32> {
    store::apps::app_lock(&mut *tx, new.app).await?;
    let slug_id =
        if new.keeps_slug { store::releases::release_newest_slug(&mut *tx, new.app).await? } else { new.slug };
    let slug = match slug_id {
        // Retention may have removed it since the caller looked.
        Some(id) => {
            let slug = store::slugs::slug_info(&mut *tx, id).await?;
            Some(slug.ok_or_else(|| Error::not_found("slug", "Couldn't find that slug."))?)
        }
        None => None,
    };
    let phase = slug.as_ref().is_some_and(|s| s.process_types.contains_key("release"));
    if phase && !new.is_admitted {
        admit(&mut *tx, new.app).await?;
    }
    let restored = if let Config::Restore(set) = &config { Some(*set) } else { None };
    let config = config_values::settle(platform.secrets(), tx, new.app, config).await?;
    // A release occupies disk space permanently, unless it only refers to data of an earlier one: rolling back is
    // always allowed.
    if !new.is_admitted && restored != Some(config) {
        quotas::admit_for_app(tx, new.app, Quota::Disk, 0).await?;
    }
    let id = new.id.unwrap_or_else(ReleaseId::now_v7);
    let row = store::releases::New {
        id,
        app: new.app,
        status: if phase { ReleaseStatus::Pending } else { ReleaseStatus::Succeeded },
        description: new.description,
        account,
        slug: slug_id,
        config,
        commit: new.commit.as_deref(),
        watch: if slug.as_ref().is_some_and(serves_files) { Some(0) } else { new.watch },
        now: Utc::now(),
    };
    let version = store::releases::release_create(&mut *tx, &row).await?;
    if phase {
        queue::start(tx).await?;
    } else {
        released::settle(tx, new.app, slug.as_ref()).await?;
    }
    Ok(version)
}

/// Whether the platform's own file server answers the requests of a slug: nothing of the tenant runs, so once it is up,
/// there is nothing to watch.
fn serves_files(slug: &store::slugs::Row) -> bool {
    slug.process_types.get("web").is_some_and(|command| command == FILE_SERVER)
}

/// The command of the static buildpack.
const FILE_SERVER: &str = ".heroku/static/serve .";

/// Logs in the app's log that a release was created.
pub fn announce(platform: &Platform, app: AppId, version: i32, email: &str) {
    platform.said(app, "api", &format!("Release v{version} created by user {email}"));
}

/// The release of `app` with this version (`v12`, `12`) or id.
pub async fn find(db: impl PgExecutor<'_>, app: &store::apps::Row, release: &str) -> Result<Row> {
    let missing = || Error::not_found("release", "Couldn't find that release.");
    let version = release.trim_start_matches('v').parse::<i32>();
    let row = match (version, release.parse::<ReleaseId>()) {
        (Ok(version), _) => store::releases::release_at(db, app.id, version).await?,
        (_, Ok(id)) => store::releases::release_info(db, id).await?.filter(|r| r.app_id == app.id),
        _ => None,
    };
    row.ok_or_else(missing)
}

/// The release as it appears in responses.
pub fn shown(row: &Row, current: Option<ReleaseId>, app: &store::apps::Row, links: &Links) -> api::releases::Release {
    let output_stream_url = || links.signed("streams/releases", "release output", row.id);
    api::releases::Release {
        id: row.id,
        app: app_refs::app_ref(app),
        version: row.version,
        status: row.status,
        current: current == Some(row.id),
        description: row.description.clone(),
        user: api::refs::UserRef { id: row.account_id.into(), email: row.email.clone() },
        slug: row.slug_id.map(|id| api::refs::IdRef { id: id.into() }),
        addon_plan_names: Vec::new(),
        artifacts: row.slug_id.map(|id| serde_json::json!({ "type": "slug", "id": id })).into_iter().collect(),
        eligible_for_rollback: row.status.may_roll_back_to(),
        output_stream_url: row.has_output.then(output_stream_url).flatten(),
        created_at: row.created_at,
        updated_at: row.updated_at,
        commit: row.commit.clone(),
        error: row.error.clone(),
        cancelled: row.cancelled_at.is_some(),
        queued: row.status.is_pending() && row.started_at.is_none(),
        rollout: row.rollout,
        watch_seconds: row.watch_seconds,
        failed_dyno: row.failed_dyno.clone(),
        up_at: row.up_at,
        up_since: row.up_since,
        up_seconds: row.up_seconds,
    }
}
