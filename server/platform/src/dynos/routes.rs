//! The routes of dynos.

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{Error, Result, Subject, pages, web::Accepted};
use chrono::Utc;
use identity::{Actor, Can};
use store::dynos::{LIST, Which};

use super::{shown, shown_one_off, visible};
use crate::Platform;

type Done = Result<Accepted<serde_json::Value>>;

/// `GET /apps/{app}/dynos`
pub async fn dyno_list(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let app = actor.app(&app, Can::View).await?;
    let range = pages::requested(&headers, &LIST)?;
    let page = store::dynos::dyno_list_shown(platform.db(), app.id, &range).await?;
    Ok(pages::respond(&LIST, &range, page.map(|row| shown(&platform, &row, &app))))
}

/// `GET /apps/{app}/dynos/{dyno}`: by name or id. A one-off dyno also after its end.
pub async fn dyno_info(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, dyno)): Path<(String, String)>,
) -> Result<Json<api::dynos::Dyno>> {
    let app = actor.app(&app, Can::View).await?;
    let rows = visible(store::dynos::dyno_list(platform.db(), app.id).await?);
    if let Some(row) = rows.iter().find(|r| r.name == dyno || r.id.to_string() == dyno) {
        return Ok(Json(shown(&platform, row, &app)));
    }
    let one_off = store::one_offs::one_off_info(platform.db(), app.id, &dyno).await?;
    one_off.map(|row| Json(shown_one_off(&platform, &row, &app))).ok_or_else(missing)
}

fn missing() -> Error {
    Error::not_found("dyno", "Couldn't find that dyno.")
}

/// `DELETE /apps/{app}/dynos`: restarts all.
pub async fn dyno_restart_all(State(platform): State<Platform>, actor: Actor, Path(app): Path<String>) -> Done {
    let app = actor.app(&app, Can::Scale).await?;
    act(&platform, &actor, &app, Which::All, Act::Restart).await
}

/// `DELETE /apps/{app}/dynos/{dyno}`: restarts one. A one-off dyno is stopped.
pub async fn dyno_restart(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, dyno)): Path<(String, String)>,
) -> Done {
    if let Some(name) = one_off(&platform, &actor, &app, &dyno).await? {
        return stop_one_off(&platform, &actor, &app, &name).await;
    }
    let app = actor.app(&app, Can::Scale).await?;
    let name = name(&platform, &app, &dyno).await?;
    act(&platform, &actor, &app, which(&name), Act::Restart).await
}

/// `DELETE /apps/{app}/formations/{type}`: restarts all of a type.
pub async fn formation_restart(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, kind)): Path<(String, String)>,
) -> Done {
    let app = actor.app(&app, Can::Scale).await?;
    known_type(&platform, &app, &kind).await?;
    act(&platform, &actor, &app, Which::Type(&kind), Act::Restart).await
}

/// `POST /apps/{app}/dynos/{dyno}/actions/stop`
pub async fn dyno_stop(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, dyno)): Path<(String, String)>,
) -> Done {
    if let Some(name) = one_off(&platform, &actor, &app, &dyno).await? {
        return stop_one_off(&platform, &actor, &app, &name).await;
    }
    let app = actor.app(&app, Can::Scale).await?;
    let name = name(&platform, &app, &dyno).await?;
    act(&platform, &actor, &app, which(&name), Act::Stop).await
}

/// `POST /apps/{app}/formations/{type}/actions/stop`
pub async fn formation_stop(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, kind)): Path<(String, String)>,
) -> Done {
    let app = actor.app(&app, Can::Scale).await?;
    known_type(&platform, &app, &kind).await?;
    act(&platform, &actor, &app, Which::Type(&kind), Act::Stop).await
}

/// The name of a running one-off dyno, if `dyno` is the name or id of one.
async fn one_off(platform: &Platform, actor: &Actor, app: &str, dyno: &str) -> Result<Option<String>> {
    let app = actor.app(app, Can::View).await?;
    let row = store::one_offs::one_off_info(platform.db(), app.id, dyno).await?;
    Ok(row.filter(|row| row.ended_at.is_none()).map(|row| row.name))
}

/// Requests that a one-off dyno stops: by those who could have started it, and by those who stop other dynos.
async fn stop_one_off(platform: &Platform, actor: &Actor, app: &str, name: &str) -> Done {
    let app = match actor.app(app, Can::Run).await {
        Ok(app) => app,
        Err(_) => actor.app(app, Can::Scale).await?,
    };
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    store::one_offs::one_off_stop(&mut *tx, app.id, Some(name), Utc::now()).await?;
    tx.record("dyno.stop", format!("Stopped the one-off dyno {name}."), serde_json::json!({ "dynos": name }));
    tx.commit().await?;
    platform.said(app.id, "api", &format!("Stopped the one-off dyno {name} by user {}", actor.account.email));
    Ok(Accepted(serde_json::json!({})))
}

#[derive(Clone, Copy)]
enum Act {
    Restart,
    Stop,
}

/// `web` is a process type, `web.1` a dyno.
fn which(name: &str) -> Which<'_> {
    if name.contains('.') { Which::Name(name) } else { Which::Type(name) }
}

/// The name of a dyno that exists or is desired: it may be restarting.
async fn name(platform: &Platform, app: &store::apps::Row, dyno: &str) -> Result<String> {
    let rows = store::dynos::dyno_list(platform.db(), app.id).await?;
    if let Some(row) = rows.iter().find(|r| r.name == dyno || r.id.to_string() == dyno) {
        return Ok(row.name.clone());
    }
    let formation = store::formation::formation_list(platform.db(), app.id).await?;
    let wanted = formation.iter().any(|f| {
        let ordinal = dyno.strip_prefix(&f.kind).and_then(|rest| rest.strip_prefix('.')?.parse::<i32>().ok());
        f.kind == dyno || ordinal.is_some_and(|n| (1..=f.quantity).contains(&n))
    });
    if wanted { Ok(dyno.to_owned()) } else { Err(missing()) }
}

async fn known_type(platform: &Platform, app: &store::apps::Row, kind: &str) -> Result<()> {
    let formation = store::formation::formation_list(platform.db(), app.id).await?;
    if formation.iter().any(|f| f.kind == kind) {
        return Ok(());
    }
    Err(Error::not_found("formation", format!("Couldn't find that process type ({kind}).")))
}

async fn act(platform: &Platform, actor: &Actor, app: &store::apps::Row, which: Which<'_>, act: Act) -> Done {
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    let now = Utc::now();
    let (action, verb) = match act {
        Act::Restart => {
            store::dynos::dyno_retire(&mut *tx, app.id, which, now).await?;
            ("dyno.restart", "Restarted")
        }
        Act::Stop => {
            store::dynos::dyno_stop(&mut *tx, app.id, which, now).await?;
            ("dyno.stop", "Stopped")
        }
    };
    let what = match which {
        Which::All => "all dynos".to_owned(),
        Which::Name(name) => format!("the dyno {name}"),
        Which::Type(kind) => format!("all {kind} dynos"),
    };
    tx.record(action, format!("{verb} {what}."), serde_json::json!({ "dynos": what }));
    tx.commit().await?;
    platform.said(app.id, "api", &format!("{verb} {what} by user {}", actor.account.email));
    Ok(Accepted(serde_json::json!({})))
}
