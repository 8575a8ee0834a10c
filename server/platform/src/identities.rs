//! Identities: the accounts at providers that sign one's own account in.

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use store::identities::LIST;
use uuid::Uuid;

use crate::{
    Platform,
    actor::Actor,
    error::{Error, Result},
    events,
    identity_providers::membership,
    pages,
};

/// `GET /account/identities`
pub async fn identity_list(State(platform): State<Platform>, actor: Actor, headers: HeaderMap) -> Result<Response> {
    let range = pages::asked(&headers, &LIST)?;
    let page = store::identities::identity_list(platform.db(), actor.account.id, &range).await?;
    let page = page.map(|row| api::identities::Identity {
        id: row.id,
        provider: row.provider,
        title: row.title,
        email: row.email,
        created_at: row.created_at,
        last_used_at: row.updated_at,
    });
    Ok(pages::answer(&LIST, &range, page))
}

/// `DELETE /account/identities/{identity}`: what its provider's rules gave goes with it.
pub async fn identity_delete(
    State(platform): State<Platform>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<serde_json::Value>> {
    let missing = || Error::not_found("identity", "Couldn't find that identity.");
    let id: Uuid = id.parse().map_err(|_| missing())?;
    let mut tx = platform.db().begin().await?;
    let listed = store::identities::identity_info(&mut *tx, actor.account.id, id).await?;
    let provider = listed.ok_or_else(missing)?.provider;
    let deleted = store::identities::identity_delete(&mut *tx, actor.account.id, id).await?.ok_or_else(missing)?;
    let summary = format!("Unlinked an account at {provider}.");
    let (data, email) = (serde_json::json!({ "provider": provider }), actor.account.email.clone());
    actor.event(&mut tx, events::New { action: "identity.delete", subject: &email, app: None, summary, data }).await?;
    membership::take_back(&mut tx, &actor, &deleted).await?;
    tx.commit().await?;
    platform.rights_changed();
    Ok(Json(serde_json::json!({})))
}
