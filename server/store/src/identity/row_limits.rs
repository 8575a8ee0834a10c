//! Rows of which an account, an app or a team can have only so many: their number.

use sqlx::PgConnection;
use uuid::Uuid;

/// What is counted, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// OAuth clients of an account.
    OauthClients,
    /// Upload URLs for source code of an account.
    Sources,
    /// Slugs of an app that were never released.
    UnusedSlugs,
    /// Members of a team.
    TeamMembers,
    /// Invitations to a team.
    TeamInvitations,
    /// Collaborators of an app.
    Collaborators,
}

/// The number of these rows of an account, app or team. Concurrent calls for the same wait until the transaction ends, and
/// count what it has written.
pub async fn row_count(db: &mut PgConnection, rows: Counted, of: Uuid) -> sqlx::Result<i64> {
    sqlx::query("select pg_advisory_xact_lock(7312, hashtext($1))")
        .bind(format!("{rows:?} of {of}"))
        .execute(&mut *db)
        .await?;
    let count = match rows {
        Counted::OauthClients => "select count(*) from oauth_clients where account_id = $1",
        Counted::Sources => "select count(*) from sources where account_id = $1",
        Counted::UnusedSlugs => "select count(*) from slugs where app_id = $1 and not released",
        Counted::TeamMembers => "select count(*) from team_members where team_id = $1",
        Counted::TeamInvitations => "select count(*) from team_invitations where team_id = $1",
        Counted::Collaborators => "select count(*) from collaborators where app_id = $1",
    };
    sqlx::query_scalar(count).bind(of).fetch_one(db).await
}
