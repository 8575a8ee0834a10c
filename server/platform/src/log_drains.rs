//! Log drains: kept and listed. They are not checked, since the receiver may come later.

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use chrono::Utc;
use store::log_drains::{LIST, Row};
use uuid::Uuid;

use crate::{
    Platform,
    actor::Actor,
    apps,
    change::Change,
    error::{Error, Result},
    events, pages,
    rights::Can,
    web::{Created, Input},
};

/// Drains an app may have. See behaviour.md 4.2.
const MOST: i64 = 5;
const SCHEMES: [&str; 4] = ["syslog://", "syslog+tls://", "http://", "https://"];

fn shown(row: &Row, app: &store::apps::Row) -> api::log_drains::LogDrain {
    api::log_drains::LogDrain {
        id: row.id.into(),
        url: row.url.clone(),
        token: row.token.clone(),
        addon: None,
        app: Some(apps::app_ref(app)),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

async fn find(platform: &Platform, app: &store::apps::Row, drain: &str) -> Result<Row> {
    let row = store::log_drains::log_drain_info(platform.db(), app.id, drain).await?;
    row.ok_or_else(|| Error::not_found("log_drain", "Couldn't find that log drain."))
}

/// `GET /apps/{app}/log-drains`
pub async fn log_drain_list(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let app = actor.app(&app, Can::Operate).await?;
    let range = pages::asked(&headers, &LIST)?;
    let page = store::log_drains::log_drain_list(platform.db(), app.id, &range).await?;
    Ok(pages::answer(&LIST, &range, page.map(|row| shown(&row, &app))))
}

/// `GET /apps/{app}/log-drains/{drain}`
pub async fn log_drain_info(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, drain)): Path<(String, String)>,
) -> Result<Json<api::log_drains::LogDrain>> {
    let app = actor.app(&app, Can::Operate).await?;
    let row = find(&platform, &app, &drain).await?;
    Ok(Json(shown(&row, &app)))
}

/// `POST /apps/{app}/log-drains`
pub async fn log_drain_create(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    Input(create): Input<api::log_drains::LogDrainCreate>,
) -> Result<Created<api::log_drains::LogDrain>> {
    let app = actor.app(&app, Can::Operate).await?;
    let rest = SCHEMES.iter().find_map(|s| create.url.strip_prefix(s));
    if rest.is_none_or(str::is_empty) || create.url.len() > 2048 || create.url.contains(char::is_whitespace) {
        let known = SCHEMES.join(", ");
        return Err(Error::invalid(format!("URL of a drain must begin with one of {known} and name a host.")));
    }
    let now = Utc::now();
    let token = format!("d.{}", Uuid::now_v7());
    let row = Row { id: Uuid::now_v7(), app_id: app.id, url: create.url, token, created_at: now, updated_at: now };
    let mut tx = platform.change().await?;
    // Two at once are counted one after the other.
    store::apps::app_lock(&mut *tx, app.id).await?;
    if store::log_drains::log_drain_count(&mut *tx, app.id).await? >= MOST {
        return Err(Error::invalid(format!("An app can have {MOST} drains. Remove one first.")));
    }
    store::log_drains::log_drain_create(&mut *tx, &row).await.map_err(|err| match store::broken_constraint(&err) {
        Some(_) => Error::invalid("Url has already been taken"),
        None => err.into(),
    })?;
    note(&actor, &mut tx, &app, "log_drain.create", "Added a log drain.", &row).await?;
    tx.commit().await?;
    Ok(Created(shown(&row, &app)))
}

/// `DELETE /apps/{app}/log-drains/{drain}`: by id, token or percent-encoded URL.
pub async fn log_drain_delete(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, drain)): Path<(String, String)>,
) -> Result<Json<api::log_drains::LogDrain>> {
    let app = actor.app(&app, Can::Operate).await?;
    let row = find(&platform, &app, &drain).await?;
    let mut tx = platform.change().await?;
    store::log_drains::log_drain_delete(&mut *tx, row.id).await?;
    note(&actor, &mut tx, &app, "log_drain.delete", "Removed a log drain.", &row).await?;
    tx.commit().await?;
    Ok(Json(shown(&row, &app)))
}

async fn note(
    actor: &Actor,
    tx: &mut Change,
    app: &store::apps::Row,
    action: &str,
    summary: &str,
    row: &Row,
) -> Result<()> {
    // The URL may hold a password, so that only the id is noted.
    let data = serde_json::json!({ "log_drain": row.id });
    actor.event(tx, events::New { action, subject: &app.name, app: Some(app.id), summary: summary.into(), data }).await
}
