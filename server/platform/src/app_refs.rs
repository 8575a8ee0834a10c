//! References to apps and their owners in other resources and in changes.

use api::ids::AppId;
use base::{Change, Error, Result, recorded::Concerned};
use identity::{Actor, Owned as _, Owner};
use store::apps::Row;

/// The owner of an app. A team is shown as an account with an address that cannot exist: Heroku's clients recognise
/// apps of teams by its suffix.
pub(crate) fn owner_ref(row: &Row) -> api::refs::UserRef {
    let (id, email) = match row.owner() {
        Owner::Team(id) => (id.get(), format!("{}@herokumanager.com", row.team().unwrap_or_default())),
        Owner::Account(id) => (id.get(), row.owner_email.clone().unwrap_or_default()),
    };
    api::refs::UserRef { id, email }
}

/// The team that the app belongs to.
pub(crate) fn team_ref(row: &Row) -> Option<api::refs::Ref> {
    Some(api::refs::Ref { id: row.team_id?.into(), name: row.team.clone()? })
}

/// The reference to the app in other resources.
pub fn app_ref(row: &Row) -> api::refs::Ref {
    api::refs::Ref { id: row.id.into(), name: row.name.clone() }
}

/// Makes a change concern everybody to whom the app is currently visible or offered, since it may hide the app from
/// them.
pub(crate) async fn concern_everybody(tx: &mut Change, app: AppId) -> Result<()> {
    for account in store::apps::app_people(&mut **tx, app).await? {
        tx.also_concerns(Concerned::Account(account));
    }
    if let Some(team) = store::quotas::quota_owner(&mut **tx, app).await?.and_then(|owner| owner.team) {
        tx.also_concerns(Concerned::Team(team));
    }
    Ok(())
}

/// Reads the row of an app and locks it until the change of `actor` ends: what a request has read before may be outdated,
/// and writing it would undo a concurrent change.
pub async fn locked(tx: &mut sqlx::PgConnection, actor: &Actor, app: AppId) -> Result<Row> {
    actor.lock_app(&mut *tx, app).await?;
    store::apps::app_info(&mut *tx, app).await?.ok_or_else(Error::no_app)
}
