//! The remaining requests of the caller.

use axum::Json;
use base::Result;

use crate::actor::Actor;

/// `GET /account/rate-limits`
pub async fn rate_limit_info(actor: Actor) -> Result<Json<api::accounts::RateLimit>> {
    let remaining = actor.base.rate_limits().left(actor.account.id, actor.payer, actor.credential);
    Ok(Json(api::accounts::RateLimit { remaining }))
}
