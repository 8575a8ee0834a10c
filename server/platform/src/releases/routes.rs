//! The routes of releases.

use api::{
    ids::{AppId, ReleaseId, SlugId},
    releases::{ReleaseStatus, Rollout},
};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{
    Error, Result, Subject, pages,
    web::{Created, Input},
};
use chrono::Utc;
use identity::{
    Actor, Can,
    quotas::{self, Quota},
};
use sqlx::{PgConnection, PgExecutor};
use store::releases::{LIST, Row};

use super::{New, announce, create, find, shown};
use crate::{
    Platform,
    config_values::{self, Config},
};

async fn current(platform: &Platform, app: AppId) -> Result<Option<ReleaseId>> {
    Ok(store::releases::release_current(platform.db(), app).await?.map(|r| r.id))
}

/// `GET /apps/{app}/releases`
pub async fn release_list(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let app = actor.app(&app, Can::View).await?;
    let current = current(&platform, app.id).await?;
    let range = pages::requested(&headers, &LIST)?;
    let page = store::releases::release_list(platform.db(), app.id, &range).await?;
    let links = actor.links();
    Ok(pages::respond(&LIST, &range, page.map(|row| shown(&row, current, &app, &links))))
}

/// `GET /apps/{app}/releases/{release}`
pub async fn release_info(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, release)): Path<(String, String)>,
) -> Result<Json<api::releases::Release>> {
    let app = actor.app(&app, Can::View).await?;
    let row = find(platform.db(), &app, &release).await?;
    Ok(Json(shown(&row, current(&platform, app.id).await?, &app, &actor.links())))
}

/// `POST /apps/{app}/releases`: releases a slug, or rolls back to an earlier release.
pub async fn release_create(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    Input(body): Input<api::releases::ReleaseCreate>,
) -> Result<Created<api::releases::Release>> {
    let app = actor.app(&app, Can::Deploy).await?;
    let slug = match (&body.slug, &body.release) {
        (Some(slug), None) => Some(released(&platform, &actor, &app, slug).await?),
        (None, Some(_)) => None,
        _ => return Err(Error::invalid("Specify either slug or release.")),
    };
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    actor.lock_app(&mut tx, app.id).await?;
    let wish = match slug {
        Some(slug) => of_slug(adopted(&mut tx, &app, slug).await?, body.description),
        None => back_to(eligible(&mut *tx, &app, body.release.as_deref().unwrap_or_default()).await?),
    };
    let id = ReleaseId::now_v7();
    let new = New {
        id: Some(id),
        app: app.id,
        description: &wish.description,
        slug: wish.slug,
        commit: wish.commit,
        ..New::default()
    };
    let version = create(&platform, &mut tx, &actor, &new, wish.config).await?;
    let data = serde_json::json!({ "release": version, "slug": wish.slug });
    tx.record(wish.action, format!("{} (v{version}).", wish.description), data);
    tx.commit().await?;
    platform.said(app.id, "api", &format!("{} by user {}", wish.description, actor.account.email));
    announce(&platform, app.id, version, &actor.account.email);
    let row = store::releases::release_info(platform.db(), id).await?.ok_or_else(Error::no_app)?;
    Ok(Created(shown(&row, current(&platform, app.id).await?, &app, &actor.links())))
}

/// `POST /apps/{app}/releases/{release}/actions/cancel`: ends its release phase, running or queued; the release fails.
pub async fn release_cancel(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, release)): Path<(String, String)>,
) -> Result<Json<api::releases::Release>> {
    let app = actor.app(&app, Can::Deploy).await?;
    let row = find(platform.db(), &app, &release).await?;
    let why = format!("cancelled by {}", actor.account.email);
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    if !store::releases::release_cancel(&mut *tx, row.id, &why, Utc::now()).await? {
        return Err(Error::invalid(format!(
            "Release v{} does not have a running or waiting release phase, or it was already cancelled.",
            row.version
        )));
    }
    let summary = format!("Cancelled the release phase of v{}.", row.version);
    tx.record("release.cancel", summary, serde_json::json!({ "release": row.version }));
    tx.commit().await?;
    release_info(State(platform), actor, Path((app.id.to_string(), row.id.to_string()))).await
}

struct Wish {
    action: &'static str,
    description: String,
    slug: Option<SlugId>,
    commit: Option<String>,
    config: Config<'static>,
}

/// The slug with this id, if it is complete and the caller may release it to `app`.
async fn released(platform: &Platform, actor: &Actor, app: &store::apps::Row, slug: &str) -> Result<store::slugs::Row> {
    let missing = || Error::not_found("slug", "Couldn't find that slug.");
    let id: SlugId = slug.parse().map_err(|_| missing())?;
    let slug = store::slugs::slug_info(platform.db(), id).await?.ok_or_else(missing)?;
    // A slug of another app can be released by those who may deploy that app, too: this is a promotion.
    if slug.app_id != app.id {
        actor.app(&slug.app_id.to_string(), Can::Deploy).await.map_err(|_| missing())?;
    }
    if slug.checksum.is_none() {
        return Err(Error::invalid("The slug has no content yet. Upload it to its blob URL first."));
    }
    if let Some(why) = slug.fault.as_ref().filter(|_| slug.refused) {
        return Err(Error::invalid(format!("The slug cannot be unpacked: {why}. Create another one.")));
    }
    Ok(slug)
}

/// The slug as one of the app's own, which is locked. A slug of another app is copied: the archive is shared, but whatever happens to
/// the other app, this one keeps its slug, which counts for its owner's quota.
async fn adopted(tx: &mut PgConnection, app: &store::apps::Row, slug: store::slugs::Row) -> Result<store::slugs::Row> {
    if slug.app_id == app.id {
        return Ok(slug);
    }
    // From here on the archive stays, unless the other app was already being destroyed.
    store::slugs::slug_archive_hold(&mut *tx, slug.checksum.as_deref().unwrap_or_default()).await?;
    if !store::slugs::slug_stays(&mut *tx, slug.id).await? {
        return Err(Error::not_found("slug", "Couldn't find that slug."));
    }
    if let Some(copy) = store::slugs::slug_copy(&mut *tx, &slug, app.id).await? {
        return Ok(copy);
    }
    let now = Utc::now();
    let copy = store::slugs::Row { id: SlugId::now_v7(), app_id: app.id, created_at: now, updated_at: now, ..slug };
    quotas::admit_for_app(tx, app.id, Quota::Disk, copy.size.unwrap_or_default()).await?;
    store::slugs::slug_create(tx, &copy).await?;
    Ok(copy)
}

fn of_slug(slug: store::slugs::Row, description: Option<String>) -> Wish {
    let commit = slug.commit;
    let short = commit.as_deref().map(|c| c.chars().take(8).collect::<String>());
    let description = description.filter(|d| !d.is_empty()).unwrap_or_else(|| match short {
        Some(commit) => format!("Deploy {commit}"),
        None => "Deploy".to_owned(),
    });
    Wish { action: "release.create", description, slug: Some(slug.id), commit, config: Config::Keep }
}

/// The release with this version or id, if it can be rolled back to.
async fn eligible(db: impl PgExecutor<'_>, app: &store::apps::Row, release: &str) -> Result<Row> {
    let old = find(db, app, release).await?;
    if !old.status.may_roll_back_to() {
        return Err(Error::invalid(format!(
            "Release v{} {}, so it cannot be rolled back to.",
            old.version,
            match old.status {
                ReleaseStatus::Pending => "is still pending",
                ReleaseStatus::Failed => "failed",
                _ => "has expired",
            }
        )));
    }
    Ok(old)
}

fn back_to(old: Row) -> Wish {
    Wish {
        action: "release.rollback",
        description: format!("Rollback to v{}", old.version),
        slug: old.slug_id,
        commit: old.commit,
        config: Config::Restore(old.config_id),
    }
}

/// `GET /apps/{app}/releases/{release}/rollback`: previews a rollback.
pub async fn release_rollback_effects(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, release)): Path<(String, String)>,
) -> Result<Json<api::releases::RollbackEffects>> {
    let app = actor.app(&app, Can::Deploy).await?;
    let old = eligible(platform.db(), &app, &release).await?;
    let mut db = platform.db().acquire().await?;
    let (now, earlier) = config_values::both(platform.secrets(), &mut db, app.id, old.config_id).await?;
    drop(db);
    let (now, then) = (now.effective(), now.with_own_of(&earlier).effective());
    let current = store::releases::release_current(platform.db(), app.id).await?;
    let config_set = then.iter().filter(|(k, v)| now.get(*k) != Some(*v)).map(|(k, _)| k.clone()).collect::<Vec<_>>();
    let config_unset = now.keys().filter(|k| !then.contains_key(*k)).cloned().collect::<Vec<_>>();
    let slug = match old.slug_id {
        Some(id) => store::slugs::slug_info(platform.db(), id).await?,
        None => None,
    };
    let effects = effects(&old, current.as_ref(), slug.as_ref(), config_set.len() + config_unset.len());
    Ok(Json(api::releases::RollbackEffects { effects, config_set, config_unset }))
}

fn effects(old: &Row, current: Option<&Row>, slug: Option<&store::slugs::Row>, vars: usize) -> Vec<String> {
    let mut effects = Vec::new();
    if current.and_then(|c| c.slug_id) == old.slug_id {
        effects.push("The code does not change.".to_owned());
    } else {
        match old.commit.as_deref().map(|c| c.chars().take(8).collect::<String>()) {
            Some(commit) => effects.push(format!("The code goes back to {commit}, without a build.")),
            None => effects.push("The code goes back to that of the release, without a build.".to_owned()),
        }
    }
    match vars {
        0 => effects.push("Config vars do not change.".to_owned()),
        1 => effects.push("1 config var changes.".to_owned()),
        n => effects.push(format!("{n} config vars change.")),
    }
    match slug {
        None => effects.push("The release does not have code: all dynos stop.".to_owned()),
        Some(slug) if slug.process_types.contains_key("release") => {
            effects.push("The release phase runs again; if it fails, nothing changes.".to_owned());
        }
        Some(_) => {}
    }
    if slug.is_some() {
        effects.push("New web dynos start and take over once they are up; no request is lost.".to_owned());
    }
    effects.push("Databases and other data do not change.".to_owned());
    if slug.is_some() && old.up_at.is_none() && matches!(old.rollout, Rollout::Failed | Rollout::Superseded) {
        effects.push(format!("v{} was never up, so it may not come up this time either.", old.version));
    }
    effects
}
