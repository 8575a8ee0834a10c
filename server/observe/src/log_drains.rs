//! Log drains: stored and listed. The receiver is not checked, since it may be set up later.
//!
//! A drain's URL is shown to everybody who can operate the app, since it identifies the drain; at rest, URL and token
//! are encrypted, and looked up by their fingerprints.

use anyhow::Context as _;
use api::ids::{AppId, LogDrainId};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{
    Change, Error, Result, Subject, pages,
    secrets::Secrets,
    web::{Created, Input},
};
use chrono::Utc;
use identity::{Actor, Can};
use platform::{Platform, app_refs};
use store::{
    log_drains::{LIST, Row},
    pages::Page,
};
use uuid::Uuid;

/// The maximum number of drains of an app.
const MOST: i64 = 5;
const SCHEMES: [&str; 4] = ["syslog://", "syslog+tls://", "http://", "https://"];

/// Rows that are encrypted per query.
const BATCH: i64 = 500;

/// A decrypted drain.
struct Drain {
    row: Row,
    url: String,
    token: String,
}

fn purpose(app: AppId) -> String {
    format!("log drain of {app}")
}

/// A fingerprint of a URL or token, for lookups. It never has the form of a URL.
fn fingerprint(secrets: &Secrets, app: AppId, text: &str) -> String {
    written(&secrets.mac(&purpose(app), text.as_bytes()))
}

/// The fingerprints under which a URL or token may be stored: of this version, and of the first one.
fn fingerprints(secrets: &Secrets, app: AppId, text: &str) -> [String; 2] {
    [fingerprint(secrets, app, text), written(&secrets.legacy_mac(&purpose(app), text.as_bytes()))]
}

fn written(mac: &[u8]) -> String {
    format!("sealed:{}", hex::encode(mac))
}

impl Drain {
    /// The drain with its row, encrypted.
    fn sealed(secrets: &Secrets, url: String, token: String, row: Row) -> Self {
        let text = serde_json::to_vec(&[&url, &token]).expect("a list of strings always serialises");
        let print = |text: &str| fingerprint(secrets, row.app_id, text);
        let sealed = Some(secrets.seal(&purpose(row.app_id), &text));
        let row = Row { url: print(&url), token: print(&token), sealed, ..row };
        Self { row, url, token }
    }

    fn open(secrets: &Secrets, row: Row) -> anyhow::Result<Self> {
        let Some(sealed) = &row.sealed else {
            return Ok(Self { url: row.url.clone(), token: row.token.clone(), row });
        };
        let text = secrets.open(&purpose(row.app_id), sealed)?;
        let (url, token) = serde_json::from_slice(&text).context("read a log drain")?;
        Ok(Self { row, url, token })
    }

    fn shown(self, app: &store::apps::Row) -> api::log_drains::LogDrain {
        api::log_drains::LogDrain {
            id: self.row.id,
            url: self.url,
            token: self.token,
            addon: None,
            app: Some(app_refs::app_ref(app)),
            created_at: self.row.created_at,
            updated_at: self.row.updated_at,
        }
    }
}

fn missing() -> Error {
    Error::not_found("log_drain", "Couldn't find that log drain.")
}

async fn find(platform: &Platform, app: &store::apps::Row, drain: &str) -> Result<Drain> {
    let fingerprints = fingerprints(platform.secrets(), app.id, drain);
    let row = store::log_drains::log_drain_info(platform.db(), app.id, drain, &fingerprints).await?;
    let row = row.ok_or_else(missing)?;
    Ok(Drain::open(platform.secrets(), row)?)
}

/// Encrypts drains that an older server has stored unencrypted. Returns a line with their number.
pub(crate) async fn seal_old(platform: &Platform) -> anyhow::Result<usize> {
    let (db, mut after, mut done) = (platform.db(), LogDrainId::nil(), 0);
    loop {
        let rows = store::log_drains::log_drain_open(db, after, BATCH).await;
        let rows = rows.context("find unencrypted log drains")?;
        let Some(last) = rows.last() else { return Ok(done) };
        after = last.id;
        for row in rows {
            let sealed = Drain::sealed(platform.secrets(), row.url.clone(), row.token.clone(), row).row;
            match store::log_drains::log_drain_seal(db, &sealed).await {
                // Both servers have added the same drain.
                Err(err) if store::broken_constraint(&err).is_some() => {
                    store::log_drains::log_drain_delete(db, sealed.id).await.context("remove a duplicate log drain")?;
                }
                outcome => outcome.context("encrypt a log drain")?,
            }
            done += 1;
        }
    }
}

/// `GET /apps/{app}/log-drains`
pub async fn log_drain_list(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let app = actor.app(&app, Can::Operate).await?;
    let range = pages::requested(&headers, &LIST)?;
    let page = store::log_drains::log_drain_list(platform.db(), app.id, &range).await?;
    let Page { rows, ends, has_more } = page;
    let opened = rows.into_iter().map(|row| Ok(Drain::open(platform.secrets(), row)?.shown(&app)));
    let opened = opened.collect::<anyhow::Result<Vec<_>>>()?;
    Ok(pages::respond(&LIST, &range, Page { rows: opened, ends, has_more }))
}

/// `GET /apps/{app}/log-drains/{drain}`
pub async fn log_drain_info(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, drain)): Path<(String, String)>,
) -> Result<Json<api::log_drains::LogDrain>> {
    let app = actor.app(&app, Can::Operate).await?;
    Ok(Json(find(&platform, &app, &drain).await?.shown(&app)))
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
    // Neither white space, nor characters that are invisible or hide others.
    let is_visible = create.url.bytes().all(|byte| byte.is_ascii_graphic());
    if rest.is_none_or(str::is_empty) || create.url.len() > 2048 || !is_visible {
        let known = SCHEMES.join(", ");
        return Err(Error::invalid(format!(
            "The URL of a drain must start with one of {known}, contain a host, and have at most 2048 visible ASCII \
             characters."
        )));
    }
    let now = Utc::now();
    let token = format!("d.{}", Uuid::now_v7());
    let row = Row {
        id: LogDrainId::now_v7(),
        app_id: app.id,
        url: String::new(),
        token: String::new(),
        sealed: None,
        created_at: now,
        updated_at: now,
    };
    let drain = Drain::sealed(platform.secrets(), create.url, token, row);
    let taken = || Error::invalid("Url has already been taken");
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    // Concurrent requests are counted one after the other.
    actor.lock_app(&mut tx, app.id).await?;
    if store::log_drains::log_drain_count(&mut *tx, app.id).await? >= MOST {
        return Err(Error::invalid(format!("An app can have at most {MOST} drains. Remove one first.")));
    }
    // Including one that is not encrypted yet.
    let fingerprints = fingerprints(platform.secrets(), app.id, &drain.url);
    if store::log_drains::log_drain_info(&mut *tx, app.id, &drain.url, &fingerprints).await?.is_some() {
        return Err(taken());
    }
    store::log_drains::log_drain_create(&mut *tx, &drain.row).await.map_err(|err| {
        match store::broken_constraint(&err) {
            Some(_) => taken(),
            None => err.into(),
        }
    })?;
    note(&mut tx, "log_drain.create", "Added a log drain.", drain.row.id);
    tx.commit().await?;
    Ok(Created(drain.shown(&app)))
}

/// `DELETE /apps/{app}/log-drains/{drain}`: by id, token or percent-encoded URL.
pub async fn log_drain_delete(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, drain)): Path<(String, String)>,
) -> Result<Json<api::log_drains::LogDrain>> {
    let app = actor.app(&app, Can::Operate).await?;
    let drain = find(&platform, &app, &drain).await?;
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    if !store::log_drains::log_drain_delete(&mut *tx, drain.row.id).await? {
        return Err(missing());
    }
    note(&mut tx, "log_drain.delete", "Removed a log drain.", drain.row.id);
    tx.commit().await?;
    Ok(Json(drain.shown(&app)))
}

/// The URL may contain a password, so only the id is recorded.
fn note(tx: &mut Change, action: &str, summary: &str, drain: LogDrainId) {
    tx.record(action, summary, serde_json::json!({ "log_drain": drain }));
}
