//! Payers: who is charged for the usage of an account or an app. Queries.
//!
//! A team is charged to its creator, even after they have left it or were suspended, so that many teams do not get many
//! shares. An admin who removes or demotes that person takes over (`team_take_over`). A service account is charged to
//! its creator, as long as they administer its team and are not suspended; then like its team. All others are charged
//! themselves. Anything without a known creator is charged to the nil id, as one share.

use std::collections::HashMap;

use api::ids::{AccountId, AppId};
use sqlx::PgExecutor;

use crate::accounts;

/// Teams with their payers. Earlier versions did not record a team's creator: then it is the first admin.
macro_rules! makers {
    () => {
        "(select t.id as team_id, coalesce(t.created_by, (
              select m.account_id from team_members m where m.team_id = t.id and m.role = 'admin'
              order by m.created_at, m.id limit 1), '00000000-0000-0000-0000-000000000000') as maker from teams t)"
    };
}

/// All apps with their payers, as `app_id` and `payer`.
pub(crate) const OF_APPS: &str = concat!(
    "(select a.id as app_id, coalesce(a.owner_id, k.maker) as payer from apps a left join ",
    makers!(),
    " k on k.team_id = a.team_id)"
);

/// Accounts `a` with what is needed for [`PAYER`].
const OF_ACCOUNTS: &str = concat!(
    "accounts a left join service_accounts s on s.id = a.id
     left join team_members sm on sm.team_id = s.team_id and sm.account_id = s.created_by and sm.role = 'admin'
     left join accounts sp on sp.id = sm.account_id and sp.suspended_at is null
     left join ",
    makers!(),
    " k on k.team_id = s.team_id"
);
const PAYER: &str = "coalesce(sp.id, k.maker, a.id) as payer";

/// An account with its payer.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AccountAndPayer {
    #[sqlx(flatten)]
    pub account: accounts::Row,
    pub payer: AccountId,
}

/// The account with this id and its payer, if it may authenticate, as in [`accounts::account_info`].
pub async fn payer_and_account(db: impl PgExecutor<'_>, account: AccountId) -> sqlx::Result<Option<AccountAndPayer>> {
    let select = format!("select a.*, {PAYER} from {OF_ACCOUNTS} where a.id = $1 and {}", accounts::LET_IN);
    sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(account).fetch_optional(db).await
}

/// The payer of an account.
pub async fn payer_of_account(db: impl PgExecutor<'_>, account: AccountId) -> sqlx::Result<Option<AccountId>> {
    let select = format!("select {PAYER} from {OF_ACCOUNTS} where a.id = $1");
    sqlx::query_scalar(sqlx::AssertSqlSafe(select)).bind(account).fetch_optional(db).await
}

/// The payer of an app.
pub async fn payer_of_app(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<Option<AccountId>> {
    let select = format!("select payer from {OF_APPS} c where app_id = $1");
    sqlx::query_scalar(sqlx::AssertSqlSafe(select)).bind(app).fetch_optional(db).await
}

/// The payers of these apps, or of all, even of those that are being destroyed, by app.
pub async fn payers_of_apps(
    db: impl PgExecutor<'_>,
    only: Option<&[AppId]>,
) -> sqlx::Result<HashMap<AppId, AccountId>> {
    let select = format!("select app_id, payer from {OF_APPS} c where $1::uuid[] is null or app_id = any($1)");
    let all: Vec<(AppId, AccountId)> = sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(only).fetch_all(db).await?;
    Ok(all.into_iter().collect())
}
