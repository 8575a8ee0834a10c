//! The mail server, and messages about invitations: rows and queries.

use api::{
    ids::{AccountId, AppId, AppTransferId, CollaboratorId, MailId, TeamId, TeamInvitationId},
    mails::{MailKind, MailState, MailTls},
};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::text::Text;

/// The mail server.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Server {
    pub host: String,
    pub port: i32,
    #[sqlx(try_from = "Text<MailTls>")]
    pub tls: MailTls,
    pub username: Option<String>,
    /// Encrypted.
    pub password: Option<Vec<u8>>,
    pub sender: String,
    pub updated_at: DateTime<Utc>,
}

/// The mail server, if there is one.
pub async fn mail_server_info(db: impl PgExecutor<'_>) -> sqlx::Result<Option<Server>> {
    sqlx::query_as("select host, port, tls, username, password, sender, updated_at from mail_servers")
        .fetch_optional(db)
        .await
}

/// Sets the mail server.
pub async fn mail_server_save(db: impl PgExecutor<'_>, row: &Server) -> sqlx::Result<()> {
    sqlx::query(
        "insert into mail_servers (id, host, port, tls, username, password, sender, created_at, updated_at)
         values (1, $1, $2, $3, $4, $5, $6, $7, $7)
         on conflict (id) do update
         set host = $1, port = $2, tls = $3, username = $4, password = $5, sender = $6, updated_at = $7",
    )
    .bind(&row.host)
    .bind(row.port)
    .bind(Text(row.tls))
    .bind(&row.username)
    .bind(&row.password)
    .bind(&row.sender)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Removes the mail server. `false` if there was none.
pub async fn mail_server_delete(db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
    let gone = sqlx::query("delete from mail_servers").execute(db).await?;
    Ok(gone.rows_affected() > 0)
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    TeamInvitation(TeamInvitationId),
    Collaborator(CollaboratorId),
    AppTransfer(AppTransferId),
}

impl About {
    /// Its name.
    pub fn kind(self) -> MailKind {
        match self {
            Self::TeamInvitation(_) => MailKind::TeamInvitation,
            Self::Collaborator(_) => MailKind::Collaborator,
            Self::AppTransfer(_) => MailKind::AppTransfer,
        }
    }

    /// Its id.
    pub fn id(self) -> Uuid {
        match self {
            Self::TeamInvitation(id) => id.get(),
            Self::Collaborator(id) => id.get(),
            Self::AppTransfer(id) => id.get(),
        }
    }
}

/// The fields of a message.
#[derive(Debug)]
pub struct New<'a> {
    pub id: MailId,
    pub about: About,
    pub sent_by: AccountId,
    pub recipient: &'a str,
    pub now: DateTime<Utc>,
}

/// Adds a message that is to be sent.
pub async fn mail_create(db: impl PgExecutor<'_>, new: &New<'_>) -> sqlx::Result<()> {
    let of = |kind: MailKind| (new.about.kind() == kind).then(|| new.about.id());
    sqlx::query(
        "insert into mails (id, kind, sent_by, recipient, team_invitation_id, collaborator_id, app_transfer_id, state,
                            attempts, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $9)",
    )
    .bind(new.id)
    .bind(Text(new.about.kind()))
    .bind(new.sent_by)
    .bind(new.recipient)
    .bind(of(MailKind::TeamInvitation))
    .bind(of(MailKind::Collaborator))
    .bind(of(MailKind::AppTransfer))
    .bind(Text(MailState::Pending))
    .bind(new.now)
    .execute(db)
    .await?;
    Ok(())
}

/// The numbers of messages since then: by this account, and to this address.
pub async fn mail_count(
    db: impl PgExecutor<'_>,
    sent_by: AccountId,
    recipient: &str,
    since: DateTime<Utc>,
) -> sqlx::Result<(i64, i64)> {
    sqlx::query_as(
        "select (select count(*) from mails where sent_by = $1 and created_at > $3),
                (select count(*) from mails where lower(recipient) = lower($2) and created_at > $3)",
    )
    .bind(sent_by)
    .bind(recipient)
    .bind(since)
    .fetch_one(db)
    .await
}

/// A message with what its text consists of.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: MailId,
    #[sqlx(try_from = "Text<MailKind>")]
    pub kind: MailKind,
    pub recipient: String,
    #[sqlx(try_from = "Text<MailState>")]
    pub state: MailState,
    pub attempts: i32,
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub sender_email: String,
    /// Whether the sender may not act any more.
    pub is_sender_suspended: bool,
    /// The account of the recipient; absent if what the message is about is gone or over.
    pub account_id: Option<AccountId>,
    pub account_email: Option<String>,
    pub team_id: Option<TeamId>,
    pub team: Option<String>,
    pub role: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
    pub app_id: Option<AppId>,
    pub app: Option<String>,
}

const SELECT: &str = "select m.id, m.kind, m.recipient, m.state, m.attempts, m.error, m.created_at, m.updated_at,
        s.email as sender_email, s.suspended_at is not null as is_sender_suspended,
        a.id as account_id, a.email as account_email, t.id as team_id, t.name as team, i.role, i.expires_at,
        p.id as app_id, p.name as app
    from mails m join accounts s on s.id = m.sent_by
    left join team_invitations i on i.id = m.team_invitation_id
    left join teams t on t.id = i.team_id
    left join collaborators c on c.id = m.collaborator_id
    left join app_transfers x on x.id = m.app_transfer_id and x.state = 'pending'
    left join apps p on p.id = coalesce(c.app_id, x.app_id) and p.deleted_at is null
    left join accounts a on a.id = coalesce(i.account_id, c.account_id, x.recipient_id) ";

/// One message.
pub async fn mail_info(db: impl PgExecutor<'_>, id: MailId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where m.id = $1"))).bind(id).fetch_optional(db).await
}

/// The newest message about something.
pub async fn mail_of(db: impl PgExecutor<'_>, about: About) -> sqlx::Result<Option<Row>> {
    let column = match about {
        About::TeamInvitation(_) => "team_invitation_id",
        About::Collaborator(_) => "collaborator_id",
        About::AppTransfer(_) => "app_transfer_id",
    };
    let newest = format!("{SELECT} where m.{column} = $1 order by m.created_at desc, m.id desc limit 1");
    sqlx::query_as(sqlx::AssertSqlSafe(newest)).bind(about.id()).fetch_optional(db).await
}

/// Counts an attempt that failed, which is to be repeated.
pub async fn mail_retry(db: impl PgExecutor<'_>, id: MailId, error: &str, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update mails set attempts = attempts + 1, error = $2, updated_at = $3 where id = $1")
        .bind(id)
        .bind(error)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Ends a message. Returns `false`, changing nothing, if it has ended already.
pub async fn mail_end(
    db: impl PgExecutor<'_>,
    id: MailId,
    state: MailState,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let ended = sqlx::query(
        "update mails set state = $2, error = $3, attempts = attempts + 1, updated_at = $4
         where id = $1 and state = 'pending'",
    )
    .bind(id)
    .bind(Text(state))
    .bind(error)
    .bind(now)
    .execute(db)
    .await?;
    Ok(ended.rows_affected() == 1)
}

/// Deletes messages older than `before`, whatever became of them.
pub async fn mail_sweep(db: impl PgExecutor<'_>, before: DateTime<Utc>) -> sqlx::Result<u64> {
    Ok(sqlx::query("delete from mails where created_at < $1").bind(before).execute(db).await?.rows_affected())
}
