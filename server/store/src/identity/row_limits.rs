//! Row limits: the number of rows that an account, an app or a team has.

use api::ids::{AccountId, AppId, TeamId};
use sqlx::PgConnection;

/// The kind of rows, and their owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// OAuth clients of an account.
    OauthClients(AccountId),
    /// Upload URLs for source code of an account.
    Sources(AccountId),
    /// Slugs of an app that were never released.
    UnusedSlugs(AppId),
    /// Members of a team.
    TeamMembers(TeamId),
    /// Invitations to a team.
    TeamInvitations(TeamId),
    /// Collaborators of an app.
    Collaborators(AppId),
    /// One-off dynos of an app that have not ended.
    OneOffs(AppId),
}

/// The number of these rows. Concurrent calls for the same wait until the transaction ends, and
/// count what it has written.
pub async fn row_count(db: &mut PgConnection, rows: Counted) -> sqlx::Result<i64> {
    sqlx::query("select pg_advisory_xact_lock(7312, hashtext($1))").bind(format!("{rows:?}")).execute(&mut *db).await?;
    let (count, of) = match rows {
        Counted::OauthClients(id) => ("select count(*) from oauth_clients where account_id = $1", id.get()),
        Counted::Sources(id) => ("select count(*) from sources where account_id = $1", id.get()),
        Counted::UnusedSlugs(id) => ("select count(*) from slugs where app_id = $1 and not released", id.get()),
        Counted::TeamMembers(id) => ("select count(*) from team_members where team_id = $1", id.get()),
        Counted::TeamInvitations(id) => ("select count(*) from team_invitations where team_id = $1", id.get()),
        Counted::Collaborators(id) => ("select count(*) from collaborators where app_id = $1", id.get()),
        Counted::OneOffs(id) => ("select count(*) from one_offs where app_id = $1 and ended_at is null", id.get()),
    };
    sqlx::query_scalar(count).bind(of).fetch_one(db).await
}
