//! Exchanges codes and refresh tokens for tokens (RFC 6749, 7009, 7636).

use std::collections::HashMap;

use api::ids::{AccountId, AuthorizationId};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base::{
    Base, Change, Error, Result,
    credential::Credential,
    events::{EventActor, Originator},
    secrets,
    web::{Form, Input},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use chrono::{Duration, Utc};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use store::{oauth_clients as clients, oauth_clients::Row};

use crate::{authorizations, payers, request, subjects};

/// Validity of a client's token (devcenter "OAuth").
const LIFE: Duration = Duration::hours(8);
/// Authorizations of one account per client, and of all clients: people sign in to a client repeatedly, which leaves
/// earlier ones unused.
const MOST_OF_CLIENT: i64 = 10;
const MOST_OF_ALL: i64 = 100;
/// The number of wrong secrets or codes per address before a lockout.
const FREE: u32 = 20;

/// An error of RFC 6749, 5.2.
enum Wrong {
    Protocol(StatusCode, &'static str, &'static str),
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Wrong {
    fn from(err: E) -> Self {
        Self::Failed(err.into())
    }
}

const CLIENT: Wrong = Wrong::Protocol(StatusCode::UNAUTHORIZED, "invalid_client", "Wrong client ID or secret.");
const GRANT: Wrong = Wrong::Protocol(
    StatusCode::BAD_REQUEST,
    "invalid_grant",
    "The code or refresh token belongs to another client, has already been used, or has expired.",
);

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        match self {
            Self::Failed(err) => err.into_response(),
            Self::Protocol(status, id, message) => {
                let body = json!({ "error": id, "error_description": message, "id": id, "message": message });
                (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
            }
        }
    }
}

/// A client that has authenticated itself.
struct Caller {
    client: Row,
    /// The payer of its requests: its owner, who has the secret, and not the people for whom the tokens are.
    payer: AccountId,
}

/// The fields of the form.
type Fields = HashMap<String, String>;

/// The new tokens, before they are written in one of two formats.
struct NewTokens {
    authorization: AuthorizationId,
    account: AccountId,
    scope: Vec<String>,
    token: String,
    refresh: String,
}

/// `POST /oauth/token`: with a form and a response as in OAuth.
pub async fn token_create(State(base): State<Base>, headers: HeaderMap, Form(form): Form<Fields>) -> Response {
    let tokens = match make(&base, &headers, &form).await {
        Ok(made) => made,
        Err(wrong) => return wrong.into_response(),
    };
    let body = json!({
        "access_token": tokens.token, "token_type": "Bearer", "expires_in": LIFE.num_seconds(),
        "refresh_token": tokens.refresh, "scope": tokens.scope.join(" "), "user_id": tokens.account,
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// `POST /oauth/tokens`: the same in JSON, as in the Platform API.
pub async fn token_create_json(State(base): State<Base>, headers: HeaderMap, Input(body): Input<Value>) -> Response {
    let mut form = Fields::new();
    for (key, value) in [
        ("grant_type", &body["grant"]["type"]),
        ("code", &body["grant"]["code"]),
        ("client_secret", &body["client"]["secret"]),
        ("refresh_token", &body["refresh_token"]["token"]),
    ] {
        if let Some(value) = value.as_str() {
            form.insert(key.to_owned(), value.to_owned());
        }
    }
    let tokens = match make(&base, &headers, &form).await {
        Ok(made) => made,
        Err(wrong) => return wrong.into_response(),
    };
    let body = json!({
        "id": tokens.authorization, "user": { "id": tokens.account }, "authorization": { "id": tokens.authorization },
        "access_token": { "id": tokens.authorization, "token": tokens.token, "expires_in": LIFE.num_seconds() },
        "refresh_token": { "id": tokens.authorization, "token": tokens.refresh, "expires_in": null },
    });
    (StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// `POST /oauth/revoke`: a client revokes its token. Anything else counts as revoked, too.
pub async fn token_delete(State(base): State<Base>, headers: HeaderMap, Form(form): Form<Fields>) -> Response {
    match delete(&base, &headers, &form).await {
        Ok(()) => Json(json!({})).into_response(),
        Err(wrong) => wrong.into_response(),
    }
}

async fn delete(base: &Base, headers: &HeaderMap, form: &Fields) -> Result<(), Wrong> {
    let caller = caller(base, headers, form).await?;
    let hash = secrets::hash(form.get("token").map_or("", String::as_str));
    let mut tx = begin(base, headers, &caller).await?;
    if let Some(of) = clients::oauth_grant_delete(&mut *tx, caller.client.id, &hash).await? {
        note(headers, &mut tx, &caller.client, of, "authorization.delete", "revoked its token").await?;
    }
    Ok(tx.commit().await?)
}

async fn make(base: &Base, headers: &HeaderMap, form: &Fields) -> Result<NewTokens, Wrong> {
    let caller = caller(base, headers, form).await?;
    let made = match form.get("grant_type").map(String::as_str) {
        Some("authorization_code") => exchange(base, headers, &caller, form).await,
        Some("refresh_token") => refresh(base, headers, &caller, form).await,
        _ => {
            let message = "grant_type must be authorization_code or refresh_token.";
            Err(Wrong::Protocol(StatusCode::BAD_REQUEST, "unsupported_grant_type", message))
        }
    };
    if matches!(made, Err(Wrong::Protocol(_, "invalid_grant", _))) {
        base.rate_limits().failed(&tries(headers), FREE);
    }
    made
}

fn tries(headers: &HeaderMap) -> String {
    format!("OAuth clients from {}", request::client(request::address(headers).as_deref()))
}

/// The calling client, whose request is counted: by HTTP Basic, or by the form. The secret alone is enough, as on Heroku.
async fn caller(base: &Base, headers: &HeaderMap, form: &Fields) -> Result<Caller, Wrong> {
    let tries = tries(headers);
    let basic = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Basic "));
    let basic = basic.and_then(|v| String::from_utf8(BASE64_STANDARD.decode(v).ok()?).ok());
    let (id, secret) = match basic.as_deref().and_then(|basic| basic.split_once(':')) {
        Some((id, secret)) => (Some(id.to_owned()), secret.to_owned()),
        None => (form.get("client_id").cloned(), form.get("client_secret").cloned().unwrap_or_default()),
    };
    let found = clients::oauth_client_by_secret(base.db(), &secrets::hash(&secret)).await?;
    match found.filter(|client| id.is_none_or(|id| id == client.id.to_string())) {
        // Secrets are too long to be guessed, so a valid one is not locked out by other clients at the same address.
        Some(client) => {
            let payer = payers::of_account(base, client.account_id).await?;
            base.rate_limits().take_for_client(payer)?;
            Ok(Caller { client, payer })
        }
        None if base.rate_limits().is_locked(&tries) => Err(Error::too_many_refused().into()),
        None => {
            base.rate_limits().failed(&tries, FREE);
            Err(CLIENT)
        }
    }
}

async fn exchange(base: &Base, headers: &HeaderMap, caller: &Caller, form: &Fields) -> Result<NewTokens, Wrong> {
    let (client, now) = (&caller.client, Utc::now());
    let mut tx = begin(base, headers, caller).await?;
    let code = secrets::hash(form.get("code").map_or("", String::as_str));
    let code = clients::oauth_code_by_hash(&mut *tx, &code).await?.filter(|code| code.client_id == client.id);
    let code = code.ok_or(GRANT)?;
    if code.used_at.is_some() {
        // The code has leaked: the token that it was first exchanged for is revoked.
        if let Some(id) = code.authorization_id {
            store::authorizations::authorization_delete(&mut *tx, id).await?;
            let done = "used a code twice, so its token was revoked";
            note(headers, &mut tx, client, (id, code.account_id), "authorization.delete", done).await?;
            tx.commit().await?;
        }
        return Err(GRANT);
    }
    let is_same = |uri: &String| *uri == code.redirect_uri;
    let proves = match (&code.challenge, form.get("code_verifier")) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => {
            let hashed = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
            secrets::same(hashed.as_bytes(), challenge.as_bytes())
        }
        _ => false,
    };
    let fits = proves && code.expires_at > now && form.get("redirect_uri").is_none_or(is_same);
    let account = store::accounts::account_info(&mut *tx, code.account_id).await?;
    if !fits || account.is_none() {
        // A code can be tried only once.
        clients::oauth_code_used(&mut *tx, code.id, None, now).await?;
        tx.commit().await?;
        return Err(GRANT);
    }
    let (row, token) = authorizations::make(code.account_id, &client.name, code.scope.clone(), Some(now + LIFE), now);
    let refresh = format!("wharf-refresh-{}", secrets::random());
    store::authorizations::authorization_create(&mut *tx, &row).await?;
    clients::oauth_grant_create(&mut *tx, row.id, client.id, &secrets::hash(&refresh)).await?;
    let (most, of_all) = (MOST_OF_CLIENT, MOST_OF_ALL);
    if clients::oauth_grant_trim(&mut *tx, code.account_id, client.id, most, of_all).await? {
        tx.publish_end_of(code.account_id);
    }
    clients::oauth_code_used(&mut *tx, code.id, Some(row.id), now).await?;
    note(headers, &mut tx, client, (row.id, code.account_id), "authorization.create", "got a token").await?;
    tx.commit().await?;
    Ok(NewTokens { authorization: row.id, account: code.account_id, scope: code.scope, token, refresh })
}

async fn refresh(base: &Base, headers: &HeaderMap, caller: &Caller, form: &Fields) -> Result<NewTokens, Wrong> {
    let (client, now) = (&caller.client, Utc::now());
    let old = form.get("refresh_token").cloned().unwrap_or_default();
    let (row, token) = authorizations::make(AccountId::nil(), "", Vec::new(), Some(now + LIFE), now);
    let mut tx = begin(base, headers, caller).await?;
    let (hash, ends) = (secrets::hash(&old), now + LIFE);
    let found = clients::oauth_grant_refresh(&mut *tx, client.id, &hash, &row.token_hash, &row.hint, ends, now).await?;
    let (authorization, account, scope) = found.ok_or(GRANT)?;
    store::accounts::account_info(&mut *tx, account).await?.ok_or(GRANT)?;
    let of = (authorization, account);
    note(headers, &mut tx, client, of, "authorization.refresh", "refreshed its token").await?;
    tx.commit().await?;
    Ok(NewTokens { authorization, account, scope, token, refresh: old })
}

/// Begins a change by a client, before the user is known.
async fn begin(base: &Base, headers: &HeaderMap, caller: &Caller) -> Result<Change> {
    let who = EventActor::visitor(Some(&caller.client.name), request::address(headers));
    base.change_for(caller.payer, who, subjects::oauth_client(&caller.client)).await
}

/// Records what a client did for a person, with its authorization.
async fn note(
    headers: &HeaderMap,
    tx: &mut Change,
    client: &Row,
    (authorization, account): (AuthorizationId, AccountId),
    action: &str,
    done: &str,
) -> Result<()> {
    // Even if the account is suspended: its owner may read what was done with the authorization.
    let Some(account) = store::accounts::account_info_any(&mut **tx, account).await? else { return Ok(()) };
    let credential = Some(Credential::Token(authorization).to_string());
    let (subject, email) = (subjects::account(&account), account.email);
    let address = request::address(headers);
    tx.on_behalf_of(Originator { account: account.id, email, credential, token: None, address });
    let data = json!({ "client": client.id, "authorization": authorization });
    tx.record_of(subject, action, format!("The program {} {done}.", client.name), data);
    Ok(())
}
