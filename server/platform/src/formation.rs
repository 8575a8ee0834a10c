//! Formation: the desired number and size of dynos per process type.

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{Error, Result, Subject, dyno_sizes, pages, web::Input};
use chrono::Utc;
use identity::{
    Actor, Can,
    quotas::{self, Quota},
};
use store::formation::{LIST, Row};

use crate::{Platform, app_refs};

/// Dynos of one type. (Heroku's limit, devcenter "limits".)
const MOST: i32 = 100;

/// Names of other log sources, which process types must not imitate, also not those of one-off dynos.
const RESERVED: [&str; 6] = ["api", "app", "heroku", "logplex", "router", "wharf"];

/// Rejects a process type that could be taken for another log source.
pub fn check_reserved(kind: &str) -> Result<()> {
    if !RESERVED.contains(&kind.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    let taken = RESERVED.join(", ");
    Err(Error::invalid(format!("Invalid process type {kind}: {taken} is reserved for log sources.")))
}

/// A size may be given, since clients set one for all types.
const RELEASE: &str = "The release phase cannot be scaled: its command runs once per release, before the release takes \
                       effect. Use another name in the Procfile for processes that run continuously.";

/// The process type as it appears in responses.
pub fn shown(row: &Row, app: &store::apps::Row) -> api::formation::Formation {
    api::formation::Formation {
        id: row.id,
        app: app_refs::app_ref(app),
        kind: row.kind.clone(),
        command: row.command.clone(),
        quantity: row.quantity,
        size: row.size.clone(),
        dyno_size: api::refs::Ref { id: dyno_sizes::size_id(&row.size), name: row.size.clone() },
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn missing(kind: &str) -> Error {
    Error::not_found("formation", format!("Couldn't find that process type ({kind})."))
}

fn find(rows: &[Row], kind: &str) -> Result<Row> {
    rows.iter().find(|r| r.kind == kind || r.id.to_string() == kind).cloned().ok_or_else(|| missing(kind))
}

/// `GET /apps/{app}/formation`
pub async fn formation_list(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let app = actor.app(&app, Can::View).await?;
    let range = pages::requested(&headers, &LIST)?;
    let page = store::formation::formation_page(platform.db(), app.id, &range).await?;
    Ok(pages::respond(&LIST, &range, page.map(|row| shown(&row, &app))))
}

/// `GET /apps/{app}/formation/{type}`
pub async fn formation_info(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, kind)): Path<(String, String)>,
) -> Result<Json<api::formation::Formation>> {
    let app = actor.app(&app, Can::View).await?;
    let rows = store::formation::formation_list(platform.db(), app.id).await?;
    Ok(Json(shown(&find(&rows, &kind)?, &app)))
}

/// `PATCH /apps/{app}/formation`: all changes or none.
pub async fn formation_batch_update(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    Input(body): Input<api::formation::FormationBatchUpdate>,
) -> Result<Json<Vec<api::formation::Formation>>> {
    let app = actor.app(&app, Can::Scale).await?;
    let updates = body.updates.into_iter().map(|update| {
        let kind = update.kind.clone().ok_or_else(|| Error::invalid("Each update must name its type."))?;
        Ok((kind, update))
    });
    let changed = scale(&platform, &actor, &app, updates.collect::<Result<_>>()?).await?;
    Ok(Json(changed.iter().map(|row| shown(row, &app)).collect()))
}

/// `PATCH /apps/{app}/formation/{type}`
pub async fn formation_update(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, kind)): Path<(String, String)>,
    Input(update): Input<api::formation::FormationUpdate>,
) -> Result<Json<api::formation::Formation>> {
    let app = actor.app(&app, Can::Scale).await?;
    let changed = scale(&platform, &actor, &app, vec![(kind.clone(), update)]).await?;
    changed.first().map(|row| Json(shown(row, &app))).ok_or_else(|| missing(&kind))
}

async fn scale(
    platform: &Platform,
    actor: &Actor,
    app: &store::apps::Row,
    updates: Vec<(String, api::formation::FormationUpdate)>,
) -> Result<Vec<Row>> {
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    actor.lock_app(&mut tx, app.id).await?;
    let rows = store::formation::formation_list(&mut *tx, app.id).await?;
    let mut changed = Vec::new();
    for (kind, update) in &updates {
        let row = wanted(find(&rows, kind)?, update)?;
        if row.kind == "release" && row.quantity > 0 {
            return Err(Error::invalid(RELEASE));
        }
        store::formation::formation_scale(&mut *tx, row.id, row.quantity, &row.size, Utc::now()).await?;
        changed.push(row);
    }
    // Reducing usage is allowed even above the quota.
    let size =
        |row: &Row| i64::from(row.quantity) * dyno_sizes::size(&row.size).map_or(0, |size| size.memory_mb as i64);
    let before = |new: &Row| rows.iter().find(|old| old.id == new.id).map_or(0, size);
    if changed.iter().any(|new| size(new) > before(new)) {
        quotas::admit_for_app(&mut tx, app.id, Quota::Dynos, 0).await?;
        quotas::admit_for_app(&mut tx, app.id, Quota::Memory, 0).await?;
    }
    let text = changed.iter().map(|r| format!("{}@{}:{}", r.kind, r.quantity, r.size)).collect::<Vec<_>>().join(" ");
    tx.record("formation.update", format!("Scaled to {text}."), serde_json::json!({ "formation": text }));
    tx.commit().await?;
    if !changed.is_empty() {
        platform.said(app.id, "api", &format!("Scaled to {text} by user {}", actor.account.email));
    }
    Ok(changed)
}

fn wanted(mut row: Row, update: &api::formation::FormationUpdate) -> Result<Row> {
    if let Some(quantity) = update.quantity {
        row.quantity = quantity.from(row.quantity);
    }
    if !(0..=MOST).contains(&row.quantity) {
        return Err(Error::invalid(format!("Quantity of {} must be from 0 to {MOST}.", row.kind)));
    }
    if let Some(size) = update.size.as_ref().or(update.dyno_size.as_ref()) {
        let known = dyno_sizes::size(size).ok_or_else(|| {
            Error::invalid(format!("Couldn't find the dyno size {size}. Valid sizes: {}.", dyno_sizes::size_names()))
        })?;
        row.size = known.name.into();
    }
    Ok(row)
}
