//! Authorizations: API tokens. A token is shown once, when it is created. One with the scope `deploy` can be limited to
//! apps: then it can deploy these, and do nothing else.

use api::{
    authorizations::AuthorizationApp,
    ids::{AccountId, AppId, AuthorizationId},
};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{
    Base, Change, Error, Result,
    credential::Credential,
    pages, secrets,
    web::{Created, Input},
};
use chrono::{DateTime, Duration, Utc};
use store::{
    apps::Filter,
    authorizations::{LIST, Listed, Row},
    pages::Range,
};

use crate::{actor::Actor, rights::Can, scopes};

/// A new token and its row.
pub fn make(
    account: AccountId,
    description: &str,
    scope: Vec<String>,
    expires_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> (Row, String) {
    let token = format!("wharf-{}", secrets::random());
    let row = Row {
        id: AuthorizationId::now_v7(),
        account_id: account,
        description: description.into(),
        scope,
        token_hash: secrets::hash(&token),
        hint: hint(&token),
        expires_at,
        last_used_at: None,
        client_id: None,
        parent_id: None,
        apps: None,
        created_at: now,
        updated_at: now,
    };
    (row, token)
}

/// The masked form in lists: ten asterisks between the ends, as clients expect.
fn hint(token: &str) -> String {
    format!("{}**********{}", &token[..9], &token[token.len() - 3..])
}

/// The owner of the caller's own tokens.
fn own_user(actor: &Actor) -> api::authorizations::AuthorizationUser {
    api::authorizations::AuthorizationUser {
        id: actor.account.id,
        email: actor.account.email.clone(),
        full_name: actor.account.name.clone(),
    }
}

/// The token of `user` as it appears in responses; unmasked only when it was just created.
pub fn shown(
    row: Row,
    user: api::authorizations::AuthorizationUser,
    token: Option<String>,
) -> api::authorizations::Authorization {
    let expires_in = row.expires_at.map(|at| (at - Utc::now()).num_seconds().max(0));
    api::authorizations::Authorization {
        id: row.id,
        description: row.description,
        scope: row.scope,
        access_token: Some(api::authorizations::AccessToken {
            id: row.id,
            token: token.unwrap_or(row.hint),
            expires_in,
        }),
        user,
        created_at: row.created_at,
        updated_at: row.updated_at,
        client: None,
        grant: None,
        refresh_token: None,
        session: None,
        last_used_at: row.last_used_at,
        expires_at: row.expires_at,
        apps: row.apps.map(|apps| apps.into_iter().map(|id| AuthorizationApp { id, name: None }).collect()),
    }
}

/// Adds the names of the apps that tokens are limited to, of those that are visible to the caller.
pub async fn add_names(tokens: &mut [api::authorizations::Authorization], actor: &Actor) -> Result<()> {
    let ids: Vec<AppId> = tokens.iter().flat_map(|token| token.apps.iter().flatten()).map(|app| app.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let filter = Filter { ids: Some(&ids), ..Filter::default() };
    let visible = actor.apps(&filter, &Range::longest(&store::apps::LIST)).await?;
    for app in tokens.iter_mut().flat_map(|token| token.apps.iter_mut().flatten()) {
        app.name = visible.rows.iter().find(|row| row.id == app.id).map(|row| row.name.clone());
    }
    Ok(())
}

pub fn missing() -> Error {
    Error::not_found("authorization", "Couldn't find that authorization.")
}

async fn find(base: &Base, actor: &Actor, id: &str) -> Result<Listed> {
    let wanted = match (id, actor.credential) {
        ("~", Credential::Token(own)) => own,
        _ => id.parse().map_err(|_| missing())?,
    };
    let found = store::authorizations::authorization_info(base.db(), actor.account.id, wanted, Utc::now()).await?;
    found.ok_or_else(missing)
}

/// The maximum number of valid tokens per account, excluding those of OAuth clients, the oldest of which is replaced.
const MOST: i64 = 100;
/// In a browser, a person can create this many more, whatever programs have created: `wharf login` needs one.
const RESERVE: i64 = 10;

/// Fails if `account` has the maximum number of tokens. The caller inserts the next one in the same transaction.
pub async fn admit(tx: &mut sqlx::PgConnection, account: AccountId, actor: &Actor) -> Result<()> {
    let most = match actor.credential {
        Credential::Token(_) => MOST,
        Credential::Session(_) => MOST + RESERVE,
    };
    let has = store::authorizations::authorization_count(tx, account, Utc::now()).await?;
    if has < most {
        return Ok(());
    }
    let whose = if account == actor.account.id { "Your account" } else { "The service account" };
    Err(Error::quota(format!(
        "{whose} has {has} tokens; the maximum is {most}. Revoke unused ones: `wharf authorizations` and the console \
         list them."
    )))
}

/// The default validity of a deploy token, and of a token created in a browser; programs expect that others of theirs
/// do not expire.
const USUAL: Duration = Duration::days(90);
/// How many apps a token can be limited to; one for more than that is created without a limit.
const MOST_APPS: usize = 50;

/// `POST /oauth/authorizations`
pub async fn authorization_create(
    actor: Actor,
    Input(mut create): Input<api::authorizations::AuthorizationCreate>,
) -> Result<Created<api::authorizations::Authorization>> {
    actor.must_be_a_person().await?;
    if matches!(actor.credential, Credential::Session(_)) && create.expires_in.is_none() {
        create.expires_in = Some(USUAL.num_seconds().into());
    }
    let (row, token) = new_token(create, actor.account.id, &actor).await?;
    let mut tx = actor.change(actor.subject()).await?;
    admit(&mut tx, row.account_id, &actor).await?;
    store::authorizations::authorization_create(&mut *tx, &row).await?;
    let summary = format!("Created the token \"{}\".", row.description);
    note(&mut tx, "authorization.create", &row, summary);
    tx.commit().await?;
    let mut made = shown(row, own_user(&actor), Some(token));
    add_names(std::slice::from_mut(&mut made), &actor).await?;
    Ok(Created(made))
}

fn check_description(description: &str) -> Result<()> {
    match description.chars().count() <= 255 && !description.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(Error::invalid("Description must have at most 255 characters and no control characters.")),
    }
}

/// A new token of `account` as requested, and its row; nothing is written.
///
/// It can do no more than the credential that creates it: its scope is not wider, and if that is an expiring token, it
/// expires with it at the latest and is deleted with it. One that is limited to apps can only be for deploying, and only
/// apps that the caller can deploy.
pub async fn new_token(
    create: api::authorizations::AuthorizationCreate,
    account: AccountId,
    actor: &Actor,
) -> Result<(Row, String)> {
    let description = create.description.unwrap_or_else(|| "Long-lived user authorization".into());
    check_description(&description)?;
    let scope = scopes::checked(create.scope.filter(|s| !s.is_empty()).unwrap_or_else(|| vec!["global".into()]))?;
    let now = Utc::now();
    let apps = limits(create.apps.unwrap_or_default(), &scope, actor).await?;
    let expires_at = match create.expires_in {
        None if scope == [scopes::DEPLOY] => {
            Some(actor.scope.expires_at.map_or(now + USUAL, |own| own.min(now + USUAL)))
        }
        wanted => ends(lifetime(wanted)?.map(|life| now + life), actor)?,
    };
    if !actor.scope.contains(&scope) {
        return Err(Error::forbidden("A token cannot create a token with a wider scope than its own."));
    }
    let (row, token) = make(account, &description, scope, expires_at, now);
    let parent_id = actor.scope.expires_at.and(actor.credential.token());
    Ok((Row { parent_id, apps, ..row }, token))
}

/// The apps with these names or ids; `None` without any, for a token that is not limited to apps.
async fn limits(names: Vec<String>, scope: &[String], actor: &Actor) -> Result<Option<Vec<AppId>>> {
    if names.is_empty() {
        return Ok(None);
    }
    if scope != [scopes::DEPLOY] {
        return Err(Error::invalid("Only a token with the scope deploy, and no other, can be limited to apps."));
    }
    if names.len() > MOST_APPS {
        return Err(Error::invalid(format!(
            "A token can be limited to at most {MOST_APPS} apps. Without apps, it can deploy all those of its account."
        )));
    }
    let mut apps = Vec::new();
    for name in names {
        let app = actor.app(&name, Can::Deploy).await?.id;
        if !apps.contains(&app) {
            apps.push(app);
        }
    }
    Ok(Some(apps))
}

/// The expiry of a token for which `wanted` was requested: that of the caller's credential, if nothing was requested.
fn ends(wanted: Option<DateTime<Utc>>, actor: &Actor) -> Result<Option<DateTime<Utc>>> {
    match (wanted, actor.scope.expires_at) {
        (Some(wanted), Some(own)) if wanted > own => Err(Error::forbidden(format!(
            "This token expires at {}. It cannot create a token that expires later.",
            own.format("%Y-%m-%d %H:%M:%S UTC")
        ))),
        (wanted, own) => Ok(wanted.or(own)),
    }
}

/// Rejects access of a token to a more powerful one. An expiring token has access to those that it created, an OAuth
/// client's only to itself.
pub fn must_not_exceed_credential(row: &Row, actor: &Actor) -> Result<()> {
    let Credential::Token(own) = actor.credential else { return Ok(()) };
    let is_child = row.parent_id == Some(own);
    let is_better = actor.scope.is_oauth_client || actor.scope.expires_at.is_some() && !is_child;
    match row.id != own && (is_better || !actor.scope.contains(&row.scope)) {
        true => {
            Err(Error::forbidden("That token may have a wider scope or a later expiry than the one you are using."))
        }
        false => Ok(()),
    }
}

/// One of the caller's authorizations, and the client that has it.
fn with_client(listed: Listed, actor: &Actor) -> api::authorizations::Authorization {
    let Listed { row, client_id, client_name, client_redirect_uri } = listed;
    let client =
        client_id.map(|id| serde_json::json!({ "id": id, "name": client_name, "redirect_uri": client_redirect_uri }));
    api::authorizations::Authorization { client, ..shown(row, own_user(actor), None) }
}

fn lifetime(given: Option<serde_json::Value>) -> Result<Option<Duration>> {
    let seconds = match given {
        None | Some(serde_json::Value::Null) => return Ok(None),
        Some(serde_json::Value::String(s)) if s == "never" => return Ok(None),
        Some(serde_json::Value::Number(n)) => n.as_i64(),
        Some(serde_json::Value::String(s)) => s.trim().parse().ok(),
        Some(_) => None,
    };
    match seconds {
        Some(s) if (1..=315_360_000).contains(&s) => Ok(Some(Duration::seconds(s))),
        _ => Err(Error::invalid("expires_in must be a number of seconds from 1 to 315360000 (ten years).")),
    }
}

fn note(tx: &mut Change, action: &str, row: &Row, summary: String) {
    let data = serde_json::json!({
        "authorization": row.id, "scope": row.scope, "apps": row.apps, "expires_at": row.expires_at,
    });
    tx.record(action, summary, data);
}

/// `GET /oauth/authorizations`
pub async fn authorization_list(State(base): State<Base>, actor: Actor, headers: HeaderMap) -> Result<Response> {
    let range = pages::requested(&headers, &LIST)?;
    let page = store::authorizations::authorization_list(base.db(), actor.account.id, Utc::now(), &range).await?;
    let mut page = page.map(|listed| with_client(listed, &actor));
    add_names(&mut page.rows, &actor).await?;
    Ok(pages::respond(&LIST, &range, page))
}

/// `GET /oauth/authorizations/{authorization}`
pub async fn authorization_info(
    State(base): State<Base>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<api::authorizations::Authorization>> {
    let mut found = with_client(find(&base, &actor, &id).await?, &actor);
    add_names(std::slice::from_mut(&mut found), &actor).await?;
    Ok(Json(found))
}

/// `PATCH /oauth/authorizations/{authorization}`
pub async fn authorization_update(
    State(base): State<Base>,
    actor: Actor,
    Path(id): Path<String>,
    Input(update): Input<api::authorizations::AuthorizationUpdate>,
) -> Result<Json<api::authorizations::Authorization>> {
    let mut row = find(&base, &actor, &id).await?.row;
    must_not_exceed_credential(&row, &actor)?;
    if let Some(description) = update.description {
        check_description(&description)?;
        let mut tx = actor.change(actor.subject()).await?;
        store::authorizations::authorization_describe(&mut *tx, row.id, &description, Utc::now()).await?;
        note(&mut tx, "authorization.update", &row, format!("Renamed a token to \"{description}\"."));
        tx.commit().await?;
        row.description = description;
    }
    Ok(Json(shown(row, own_user(&actor), None)))
}

/// `POST /oauth/authorizations/{authorization}/actions/regenerate-tokens`
pub async fn authorization_rotate(
    State(base): State<Base>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<api::authorizations::Authorization>> {
    actor.must_be_a_person().await?;
    let mut row = find(&base, &actor, &id).await?.row;
    must_not_exceed_credential(&row, &actor)?;
    let token = format!("wharf-{}", secrets::random());
    row.hint = hint(&token);
    row.updated_at = Utc::now();
    let mut tx = actor.change(actor.subject()).await?;
    let hash = secrets::hash(&token);
    store::authorizations::authorization_rotate(&mut *tx, row.id, &hash, &row.hint, row.updated_at).await?;
    note(&mut tx, "authorization.rotate", &row, format!("Replaced the token \"{}\".", row.description));
    tx.commit().await?;
    Ok(Json(shown(row, own_user(&actor), Some(token))))
}

/// `DELETE /oauth/authorizations/{authorization}`
pub async fn authorization_delete(
    State(base): State<Base>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<api::authorizations::Authorization>> {
    let row = find(&base, &actor, &id).await?.row;
    must_not_exceed_credential(&row, &actor)?;
    let mut tx = actor.change(actor.subject()).await?;
    if !store::authorizations::authorization_delete(&mut *tx, row.id).await? {
        return Err(missing());
    }
    note(&mut tx, "authorization.delete", &row, format!("Revoked the token \"{}\".", row.description));
    tx.commit().await?;
    Ok(Json(shown(row, own_user(&actor), None)))
}
