//! Payers: whom the turns and places of the machine are charged to.
//!
//! Whoever makes teams and service accounts makes no more of the machine with them: what is asked for by a service
//! account, and what is done for an app of a team, is charged to the person behind. The store says who that is.

use base::{Base, Error, Result};
use uuid::Uuid;

/// Who pays for what an account asks for.
pub async fn of_account(base: &Base, account: Uuid) -> Result<Uuid> {
    store::payers::payer_of_account(base.db(), account).await?.ok_or_else(Error::unauthorized)
}

/// Who pays for what is done for an app.
pub async fn of_app(base: &Base, app: Uuid) -> Result<Uuid> {
    store::payers::payer_of_app(base.db(), app).await?.ok_or_else(Error::no_app)
}
