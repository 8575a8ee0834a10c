//! References to apps and their owners in other resources.

use base::{Error, Result};
use store::apps::Row;
use uuid::Uuid;

/// Whom the app belongs to. A team counts as an account with an address at which nobody is:
/// clients of Heroku's tell apps of teams by its ending.
pub(crate) fn owner_ref(row: &Row) -> api::refs::UserRef {
    match (row.team_id, &row.team) {
        (Some(id), Some(team)) => api::refs::UserRef { id, email: format!("{team}@herokumanager.com") },
        _ => api::refs::UserRef {
            id: row.owner_id.unwrap_or_default(),
            email: row.owner_email.clone().unwrap_or_default(),
        },
    }
}

/// The team that the app belongs to.
pub(crate) fn team_ref(row: &Row) -> Option<api::refs::Ref> {
    Some(api::refs::Ref { id: row.team_id?, name: row.team.clone()? })
}

/// The reference to the app in other resources.
pub fn app_ref(row: &Row) -> api::refs::Ref {
    api::refs::Ref { id: row.id, name: row.name.clone() }
}

/// The row of an app as it is now, and until the transaction ends: what a request read before may be out of date,
/// and would undo what somebody else changed meanwhile.
pub async fn locked(tx: &mut sqlx::PgConnection, app: Uuid) -> Result<Row> {
    store::apps::app_lock(&mut *tx, app).await?;
    store::apps::app_info(&mut *tx, app).await?.ok_or_else(Error::no_app)
}
