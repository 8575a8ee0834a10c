//! Team invitations: rows and queries.

use api::{
    ids::{AccountId, TeamId, TeamInvitationId},
    mails::MailState,
    team_members::Role,
};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use crate::{
    pages::{BY_CHANGE, BY_CREATION, BY_ID, List, Page, Range},
    text::{MaybeText, Text},
};

/// The sort orders of invitations.
pub static LIST: List = List::by(&[BY_CREATION, BY_ID, BY_CHANGE]);

/// A row of `team_invitations`, with the names involved.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: TeamInvitationId,
    pub team_id: TeamId,
    pub account_id: AccountId,
    #[sqlx(try_from = "Text<Role>")]
    pub role: Role,
    pub invited_by: Option<AccountId>,
    pub expires_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub team: String,
    pub email: String,
    pub name: Option<String>,
    pub inviter_email: Option<String>,
    pub inviter_name: Option<String>,
    /// The newest message about it.
    #[sqlx(try_from = "MaybeText<MailState>")]
    pub mail_state: Option<MailState>,
    pub mail_error: Option<String>,
    pub mail_updated_at: Option<DateTime<Utc>>,
}

const SELECT: &str = "select i.*, t.name as team, a.email, a.name, b.email as inviter_email, b.name as inviter_name,
           e.state as mail_state, e.error as mail_error, e.updated_at as mail_updated_at
    from team_invitations i join teams t on t.id = i.team_id join accounts a on a.id = i.account_id
    left join accounts b on b.id = i.invited_by
    left join lateral (select m.state, m.error, m.updated_at from mails m where m.team_invitation_id = i.id
                       order by m.created_at desc, m.id desc limit 1) e on true ";

/// The fields of an invitation.
#[derive(Debug)]
pub struct New {
    pub id: TeamInvitationId,
    pub team: TeamId,
    pub account: AccountId,
    pub role: Role,
    pub invited_by: AccountId,
    pub expires_at: DateTime<Utc>,
    pub now: DateTime<Utc>,
}

/// Invites an account, or renews its invitation.
pub async fn team_invitation_save(db: impl PgExecutor<'_>, new: &New) -> sqlx::Result<()> {
    sqlx::query(
        "insert into team_invitations (id, team_id, account_id, role, invited_by, expires_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7)
         on conflict on constraint team_invitations_account_key
         do update set role = $4, invited_by = $5, expires_at = $6, updated_at = $7",
    )
    .bind(new.id)
    .bind(new.team)
    .bind(new.account)
    .bind(Text(new.role))
    .bind(new.invited_by)
    .bind(new.expires_at)
    .bind(new.now)
    .execute(db)
    .await?;
    Ok(())
}

/// The invitations of a team, or those to an account.
pub async fn team_invitation_list(
    db: impl PgExecutor<'_>,
    team: Option<TeamId>,
    account: Option<AccountId>,
    range: &Range,
) -> sqlx::Result<Page<Row>> {
    let list = sqlx::AssertSqlSafe(format!(
        "{SELECT} where ($1::uuid is null or i.team_id = $1) and ($2::uuid is null or i.account_id = $2)"
    ));
    range.fetch(db, sqlx::query(list).bind(team).bind(account)).await
}

/// The invitation to a team with this address, or this id (as text) of invitation or account.
pub async fn team_invitation_of(db: impl PgExecutor<'_>, team: TeamId, who: &str) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{SELECT} where i.team_id = $1 and (i.id::text = $2 or lower(a.email) = lower($2) or a.id::text = $2)"
    )))
    .bind(team)
    .bind(who)
    .fetch_optional(db)
    .await
}

/// The invitation with this id.
pub async fn team_invitation_info(db: impl PgExecutor<'_>, id: TeamInvitationId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where i.id = $1"))).bind(id).fetch_optional(db).await
}

/// Deletes an accepted, declined or revoked invitation. `false` if it was gone already.
pub async fn team_invitation_delete(db: impl PgExecutor<'_>, id: TeamInvitationId) -> sqlx::Result<bool> {
    let gone = sqlx::query("delete from team_invitations where id = $1").bind(id).execute(db).await?;
    Ok(gone.rows_affected() == 1)
}

/// Which of `accounts` see one of `others` because of an invitation: as an admin of the team, or as whoever was invited by
/// them. Pairs of the two.
pub async fn team_invitation_companions(
    db: impl PgExecutor<'_>,
    accounts: &[AccountId],
    others: &[AccountId],
) -> sqlx::Result<Vec<(AccountId, AccountId)>> {
    sqlx::query_as(
        "select m.account_id, i.account_id from team_invitations i
         join team_members m on m.team_id = i.team_id and m.role = 'admin'
         where i.account_id = any($2) and m.account_id = any($1)
         union select account_id, invited_by from team_invitations
         where invited_by = any($2) and account_id = any($1)",
    )
    .bind(accounts)
    .bind(others)
    .fetch_all(db)
    .await
}

/// The teams that have invited one of these accounts.
pub async fn team_invitation_teams(db: impl PgExecutor<'_>, accounts: &[AccountId]) -> sqlx::Result<Vec<TeamId>> {
    sqlx::query_scalar("select distinct team_id from team_invitations where account_id = any($1)")
        .bind(accounts)
        .fetch_all(db)
        .await
}
