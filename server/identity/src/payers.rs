//! Payers: who is charged for slots and turns.
//!
//! Creating teams and service accounts does not increase a user's share of the machine: requests of a service account,
//! and work for an app of a team, are charged to the person behind it. The store determines that person.

use api::ids::{AccountId, AppId};
use base::{Base, Error, Result};

/// Who is charged for the requests of an account.
pub async fn of_account(base: &Base, account: AccountId) -> Result<AccountId> {
    store::payers::payer_of_account(base.db(), account).await?.ok_or_else(Error::unauthorized)
}

/// Who is charged for work for an app.
pub async fn of_app(base: &Base, app: AppId) -> Result<AccountId> {
    store::payers::payer_of_app(base.db(), app).await?.ok_or_else(Error::no_app)
}
