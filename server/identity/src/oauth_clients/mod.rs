//! OAuth clients: third-party programs that people authorize to act for them.
//!
//! This file manages them; asking people is in `consent`, codes and tokens are in `tokens`.

pub(crate) mod consent;
pub(crate) mod tokens;

use api::ids::OauthClientId;
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{
    Base, Change, Error, Result, pages, secrets,
    web::{Created, Input},
};
use chrono::Utc;
use store::oauth_clients::{LIST, Row};
use store::pages::Page;

use crate::{actor::Actor, row_limits, subjects, urls};

const PURPOSE: &str = "oauth client";

fn missing() -> Error {
    Error::not_found("client", "Couldn't find that OAuth client.")
}

fn shown(base: &Base, row: Row) -> Result<api::oauth_clients::OauthClient> {
    let secret = base.secrets().open(PURPOSE, &row.secret)?;
    Ok(api::oauth_clients::OauthClient {
        id: row.id,
        name: row.name,
        redirect_uri: row.redirect_uri,
        secret: String::from_utf8(secret).map_err(anyhow::Error::new)?,
        ignores_delinquent: Some(false),
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

/// The caller's client with this id.
async fn find(base: &Base, actor: &Actor, id: &str) -> Result<Row> {
    let id: OauthClientId = id.parse().map_err(|_| missing())?;
    let row = store::oauth_clients::oauth_client_info(base.db(), id).await?;
    row.filter(|row| row.account_id == actor.account.id).ok_or_else(missing)
}

fn name(given: &str) -> Result<String> {
    let name = given.trim();
    match !name.is_empty() && name.chars().count() <= 100 && !name.chars().any(char::is_control) {
        true => Ok(name.into()),
        false => Err(Error::invalid("name must have 1 to 100 characters and no control characters.")),
    }
}

/// Parses a redirect URL. Without TLS, only on the user's own machine.
fn redirect_uri(given: &str) -> Result<String> {
    let given = given.trim();
    let url = urls::parse(given).ok_or_else(|| Error::invalid("redirect_uri is not a URI."))?;
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let safe = url.scheme() == "https" || url.scheme() == "http" && is_local;
    match safe && url.fragment().is_none() && url.username().is_empty() && url.password().is_none() {
        true => Ok(given.into()),
        false => Err(Error::invalid("redirect_uri must be an https URI without a fragment or password.")),
    }
}

fn note(tx: &mut Change, action: &str, row: &Row, done: &str) {
    let data = serde_json::json!({ "client": row.id, "redirect_uri": row.redirect_uri });
    tx.record(action, format!("{done} the OAuth client {}.", row.name), data);
}

/// `GET /oauth/clients`
pub async fn oauth_client_list(State(base): State<Base>, actor: Actor, headers: HeaderMap) -> Result<Response> {
    let range = pages::requested(&headers, &LIST)?;
    let page = store::oauth_clients::oauth_client_list(base.db(), actor.account.id, &range).await?;
    let Page { rows, ends, has_more } = page;
    let rows = rows.into_iter().map(|row| shown(&base, row)).collect::<Result<Vec<_>>>()?;
    Ok(pages::respond(&LIST, &range, Page { rows, ends, has_more }))
}

/// `POST /oauth/clients`
pub async fn oauth_client_create(
    State(base): State<Base>,
    actor: Actor,
    Input(create): Input<api::oauth_clients::OauthClientCreate>,
) -> Result<Created<api::oauth_clients::OauthClient>> {
    actor.must_be_a_person().await?;
    let (secret, now) = (secrets::random(), Utc::now());
    let row = Row {
        id: OauthClientId::now_v7(),
        account_id: actor.account.id,
        name: name(&create.name)?,
        redirect_uri: redirect_uri(&create.redirect_uri)?,
        secret: base.secrets().seal(PURPOSE, secret.as_bytes()),
        secret_hash: secrets::hash(&secret),
        created_at: now,
        updated_at: now,
    };
    let mut tx = actor.change(subjects::oauth_client(&row)).await?;
    row_limits::admit(&mut tx, &row_limits::OAUTH_CLIENTS, row.account_id).await?;
    store::oauth_clients::oauth_client_create(&mut *tx, &row).await?;
    note(&mut tx, "oauth_client.create", &row, "Made");
    tx.commit().await?;
    Ok(Created(shown(&base, row)?))
}

/// `GET /oauth/clients/{client}`
pub async fn oauth_client_info(
    State(base): State<Base>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<api::oauth_clients::OauthClient>> {
    Ok(Json(shown(&base, find(&base, &actor, &id).await?)?))
}

/// `PATCH /oauth/clients/{client}`
pub async fn oauth_client_update(
    State(base): State<Base>,
    actor: Actor,
    Path(id): Path<String>,
    Input(update): Input<api::oauth_clients::OauthClientUpdate>,
) -> Result<Json<api::oauth_clients::OauthClient>> {
    let mut row = find(&base, &actor, &id).await?;
    if let Some(given) = update.name {
        row.name = name(&given)?;
    }
    if let Some(given) = update.redirect_uri {
        row.redirect_uri = redirect_uri(&given)?;
    }
    save(&base, &actor, row, "oauth_client.update", "Changed").await
}

/// `POST /oauth/clients/{client}/actions/rotate-credentials`: the old secret becomes invalid.
pub async fn oauth_client_rotate(
    State(base): State<Base>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<api::oauth_clients::OauthClient>> {
    let mut row = find(&base, &actor, &id).await?;
    let secret = secrets::random();
    row.secret = base.secrets().seal(PURPOSE, secret.as_bytes());
    row.secret_hash = secrets::hash(&secret);
    save(&base, &actor, row, "oauth_client.rotate", "Replaced the secret of").await
}

async fn save(
    base: &Base,
    actor: &Actor,
    mut row: Row,
    action: &str,
    done: &str,
) -> Result<Json<api::oauth_clients::OauthClient>> {
    row.updated_at = Utc::now();
    let mut tx = actor.change(subjects::oauth_client(&row)).await?;
    store::oauth_clients::oauth_client_update(&mut *tx, &row).await?;
    note(&mut tx, action, &row, done);
    tx.commit().await?;
    Ok(Json(shown(base, row)?))
}

/// `DELETE /oauth/clients/{client}`: with all its tokens.
pub async fn oauth_client_delete(
    State(base): State<Base>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<api::oauth_clients::OauthClient>> {
    let row = find(&base, &actor, &id).await?;
    let mut tx = actor.change(subjects::oauth_client(&row)).await?;
    for account in store::oauth_clients::oauth_client_accounts(&mut tx, row.id).await? {
        tx.publish_end_of(account);
    }
    if !store::oauth_clients::oauth_client_delete(&mut *tx, row.id).await? {
        return Err(missing());
    }
    note(&mut tx, "oauth_client.delete", &row, "Removed");
    tx.commit().await?;
    Ok(Json(shown(&base, row)?))
}
