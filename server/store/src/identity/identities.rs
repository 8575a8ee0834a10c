//! Identities linked to accounts, and pending ones: rows and queries.

use api::ids::{AccountId, IdentityId, IdentityProposalId, IdentityProviderId};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::pages::{BY_CHANGE, BY_CREATION, BY_ID, List, Page, Range};

/// The sort orders of identities.
pub static LIST: List = List::by(&[BY_CREATION, BY_ID, BY_CHANGE]);

/// A row of `identities`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: IdentityId,
    pub account_id: AccountId,
    pub provider_id: IdentityProviderId,
    pub subject: String,
    pub email: Option<String>,
    /// What rules granted.
    pub given: serde_json::Value,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// An identity with the name and title of its provider.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Listed {
    pub id: IdentityId,
    pub email: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub provider: String,
    pub title: String,
}

/// A row of `identity_proposals`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Proposal {
    pub id: IdentityProposalId,
    pub account_id: AccountId,
    pub provider_id: IdentityProviderId,
    pub subject: String,
    pub email: Option<String>,
    pub expires_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A proposal with the name and title of its provider.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Proposed {
    #[sqlx(flatten)]
    pub row: Proposal,
    pub provider: String,
    pub title: String,
}

/// Inserts an identity. Violates `identities_subject_key` if the subject is linked to an account already.
pub async fn identity_create(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into identities (id, account_id, provider_id, subject, email, given, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(row.id)
    .bind(row.account_id)
    .bind(row.provider_id)
    .bind(&row.subject)
    .bind(&row.email)
    .bind(&row.given)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// The identity of a provider's `subject`. Locks the row until the end of the transaction.
pub async fn identity_by_subject(
    db: impl PgExecutor<'_>,
    provider: IdentityProviderId,
    subject: &str,
) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from identities where provider_id = $1 and subject = $2 for update")
        .bind(provider)
        .bind(subject)
        .fetch_optional(db)
        .await
}

/// Records the address reported by a provider, and what its rules grant now.
pub async fn identity_seen(
    db: impl PgExecutor<'_>,
    id: IdentityId,
    email: Option<&str>,
    given: &serde_json::Value,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query("update identities set email = $2, given = $3, updated_at = $4 where id = $1")
        .bind(id)
        .bind(email)
        .bind(given)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

const OF_ACCOUNT: &str = "select i.id, i.email, i.created_at, i.updated_at, p.name as provider, p.title
    from identities i join identity_providers p on p.id = i.provider_id where i.account_id = $1";

/// The identities of an account.
pub async fn identity_list(db: impl PgExecutor<'_>, account: AccountId, range: &Range) -> sqlx::Result<Page<Listed>> {
    range.fetch(db, sqlx::query(OF_ACCOUNT).bind(account)).await
}

/// An identity of an account.
pub async fn identity_info(
    db: impl PgExecutor<'_>,
    account: AccountId,
    id: IdentityId,
) -> sqlx::Result<Option<Listed>> {
    let one = sqlx::AssertSqlSafe(format!("{OF_ACCOUNT} and i.id = $2"));
    sqlx::query_as(one).bind(account).bind(id).fetch_optional(db).await
}

/// Deletes an identity of an account. Returns it, if it existed.
pub async fn identity_delete(db: impl PgExecutor<'_>, account: AccountId, id: IdentityId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("delete from identities where account_id = $1 and id = $2 returning *")
        .bind(account)
        .bind(id)
        .fetch_optional(db)
        .await
}

/// Deletes all identities of a provider. Returns them.
pub async fn identity_delete_all(db: impl PgExecutor<'_>, provider: IdentityProviderId) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as("delete from identities where provider_id = $1 returning *").bind(provider).fetch_all(db).await
}

/// The identities of a provider.
pub async fn identity_list_of_provider(
    db: impl PgExecutor<'_>,
    provider: IdentityProviderId,
) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as("select * from identities where provider_id = $1 order by id").bind(provider).fetch_all(db).await
}

/// Whether an account has a sign-in method: an identity, or an active password.
pub async fn identity_exists(db: impl PgExecutor<'_>, account: AccountId) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select 1 from identities where account_id = $1)
             or exists (select 1 from passwords where account_id = $1 and confirmed_at is not null)",
    )
    .bind(account)
    .fetch_one(db)
    .await
}

/// Inserts a pending identity for the owner of the account, replacing others of theirs.
pub async fn identity_proposal_create(db: &mut PgConnection, row: &Proposal) -> sqlx::Result<()> {
    sqlx::query("delete from identity_proposals where account_id = $1").bind(row.account_id).execute(&mut *db).await?;
    sqlx::query(
        "insert into identity_proposals
             (id, account_id, provider_id, subject, email, expires_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(row.id)
    .bind(row.account_id)
    .bind(row.provider_id)
    .bind(&row.subject)
    .bind(&row.email)
    .bind(row.expires_at)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// The pending identities of an account.
pub async fn identity_proposal_list(
    db: impl PgExecutor<'_>,
    account: AccountId,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Proposed>> {
    sqlx::query_as(
        "select q.*, p.name as provider, p.title
         from identity_proposals q join identity_providers p on p.id = q.provider_id
         where q.account_id = $1 and q.expires_at > $2 order by q.created_at, q.id",
    )
    .bind(account)
    .bind(now)
    .fetch_all(db)
    .await
}

/// Deletes a pending identity. Of two concurrent calls, one returns `true`.
pub async fn identity_proposal_delete(db: impl PgExecutor<'_>, id: IdentityProposalId) -> sqlx::Result<bool> {
    let done = sqlx::query("delete from identity_proposals where id = $1").bind(id).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes expired pending identities.
pub async fn identity_proposal_sweep(db: impl PgExecutor<'_>, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("delete from identity_proposals where expires_at < $1").bind(now).execute(db).await?;
    Ok(())
}
