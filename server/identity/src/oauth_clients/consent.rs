//! Consent: asks people whether a client can act for them, and redirects them to it with a code.
//!
//! Redirects only go to the exact URL that is registered for the client.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base::{
    Base, Error, Result,
    credential::Credential,
    secrets,
    web::{Form, Search},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{Duration, Utc};
use serde::Deserialize;
use store::oauth_clients::{Code, Row};

use crate::{actor::Actor, row_limits, scopes, subjects};
use api::{
    ids::{OauthClientId, OauthCodeId},
    oauth_clients::{Consent, ConsentQuery},
};

/// Validity of a code (devcenter "OAuth").
const LIFE: Duration = Duration::minutes(5);
/// The maximum size of the state that a client gets back with the code: it is part of the redirect's URL.
const MOST_STATE: usize = 4096;

/// The client and the scope of a valid consent request.
async fn check(base: &Base, query: &ConsentQuery) -> Result<(Row, Vec<String>)> {
    let unknown = || Error::not_found("client", "There is no OAuth client with this client_id.");
    let id: OauthClientId = query.client_id.parse().map_err(|_| unknown())?;
    let client = store::oauth_clients::oauth_client_info(base.db(), id).await?.ok_or_else(unknown)?;
    if query.redirect_uri.as_ref().is_some_and(|uri| *uri != client.redirect_uri) {
        return Err(Error::invalid(format!(
            "{} requested a redirect to a URI that is not registered. Access was not granted.",
            client.name
        )));
    }
    if query.response_type != "code" {
        return Err(Error::invalid("response_type must be code."));
    }
    match (&query.code_challenge, query.code_challenge_method.as_deref()) {
        (None, None) => {}
        (Some(challenge), Some("S256")) => check_challenge(challenge)?,
        _ => return Err(Error::invalid("code_challenge requires code_challenge_method S256.")),
    }
    if query.state.as_ref().is_some_and(|state| state.len() > MOST_STATE) {
        return Err(Error::invalid(format!("state must have at most {MOST_STATE} bytes.")));
    }
    let words = query.scope.as_deref().unwrap_or("global").split([' ', ',']).filter(|s| !s.is_empty());
    let scope = scopes::checked(words.map(String::from))?;
    Ok((client, if scope.is_empty() { vec!["global".into()] } else { scope }))
}

/// A challenge is a SHA-256 hash in base64url (RFC 7636, 4.2).
fn check_challenge(challenge: &str) -> Result<()> {
    match BASE64_URL_SAFE_NO_PAD.decode(challenge) {
        Ok(hash) if hash.len() == 32 => Ok(()),
        _ => Err(Error::invalid("code_challenge must be a SHA-256 hash in base64url, of 43 characters.")),
    }
}

/// `GET /oauth/consent`: the contents of the page.
pub async fn consent_info(
    State(base): State<Base>,
    _: Actor,
    Search(query): Search<ConsentQuery>,
) -> Result<Json<Consent>> {
    let (client, scope) = check(&base, &query).await?;
    let owner = store::accounts::account_info(base.db(), client.account_id).await?;
    let owner = owner.map(|owner| owner.email).unwrap_or_default();
    Ok(Json(Consent { client: client.name, owner, scope, redirect_uri: client.redirect_uri }))
}

/// A person's decision, from the page's form.
#[derive(Deserialize)]
pub struct Answer {
    #[serde(flatten)]
    query: ConsentQuery,
    #[serde(default)]
    allow: Option<String>,
}

/// `POST /oauth/authorize`: the form of the page. Redirects the browser to the client.
pub async fn consent_create(State(base): State<Base>, actor: Actor, Form(answer): Form<Answer>) -> Result<Response> {
    // A token with full access could otherwise create others that outlive it.
    if !matches!(actor.credential, Credential::Session(_)) {
        return Err(Error::forbidden("Only a person signed in to a browser can authorize an OAuth client."));
    }
    let (client, scope) = check(&base, &answer.query).await?;
    let mut back = outbound::Url::parse(&client.redirect_uri).map_err(anyhow::Error::new)?;
    let now = Utc::now();
    let mut tx = actor.change(subjects::oauth_client(&client)).await?;
    let allowed = answer.allow.is_some();
    if allowed {
        let code = secrets::random();
        let row = Code {
            id: OauthCodeId::now_v7(),
            client_id: client.id,
            account_id: actor.account.id,
            code_hash: secrets::hash(&code),
            scope: scope.clone(),
            redirect_uri: client.redirect_uri.clone(),
            challenge: answer.query.code_challenge,
            authorization_id: None,
            used_at: None,
            expires_at: now + LIFE,
            created_at: now,
            updated_at: now,
        };
        store::oauth_clients::oauth_code_create(&mut *tx, &row).await?;
        store::oauth_clients::oauth_code_trim(&mut *tx, row.account_id, row_limits::MOST_KEPT).await?;
        back.query_pairs_mut().append_pair("code", &code);
    } else {
        back.query_pairs_mut().append_pair("error", "access_denied");
    }
    if let Some(state) = &answer.query.state {
        back.query_pairs_mut().append_pair("state", state);
    }
    let word = if allowed { "Authorized" } else { "Denied" };
    let summary = format!("{word} the program {} with the scope {}.", client.name, scope.join(", "));
    let data = serde_json::json!({ "client": client.id, "scope": scope });
    let action = if allowed { "consent.create" } else { "consent.refuse" };
    tx.record(action, summary, data);
    tx.commit().await?;
    let headers = [
        (header::LOCATION, back.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}
