//! App transfers: rows and queries.

use api::{
    app_transfers::TransferState,
    ids::{AccountId, AppId, AppTransferId},
};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use crate::{
    pages::{BY_CHANGE, BY_CREATION, BY_ID, List, Page, Range},
    text::Text,
};

/// The sort orders of transfers.
pub static LIST: List = List::by(&[BY_CREATION, BY_ID, BY_CHANGE]);

/// A row of `app_transfers`, with the names involved.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: AppTransferId,
    pub app_id: AppId,
    pub owner_id: AccountId,
    pub recipient_id: AccountId,
    #[sqlx(try_from = "Text<TransferState>")]
    pub state: TransferState,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub app: String,
    pub owner_email: String,
    pub recipient_email: String,
}

const SELECT: &str = "select x.*, p.name as app, o.email as owner_email, r.email as recipient_email
    from app_transfers x join apps p on p.id = x.app_id and p.deleted_at is null
    join accounts o on o.id = x.owner_id join accounts r on r.id = x.recipient_id ";

/// Offers an app of `owner` to `recipient`. Violates `app_transfers_pending_key` if a transfer is pending.
pub async fn app_transfer_create(
    db: impl PgExecutor<'_>,
    id: AppTransferId,
    app: AppId,
    owner: AccountId,
    recipient: AccountId,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into app_transfers (id, app_id, owner_id, recipient_id, state, created_at, updated_at)
         values ($1, $2, $3, $4, 'pending', $5, $5)",
    )
    .bind(id)
    .bind(app)
    .bind(owner)
    .bind(recipient)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// The transfers from and to an account.
pub async fn app_transfer_list(db: impl PgExecutor<'_>, account: AccountId, range: &Range) -> sqlx::Result<Page<Row>> {
    let list = sqlx::AssertSqlSafe(format!("{SELECT} where x.owner_id = $1 or x.recipient_id = $1"));
    range.fetch(db, sqlx::query(list).bind(account)).await
}

/// The transfer with this id (as text), or the pending one of the app with this name, if it is from or to
/// `account`.
pub async fn app_transfer_info(db: impl PgExecutor<'_>, account: AccountId, which: &str) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{SELECT} where (x.owner_id = $1 or x.recipient_id = $1)
            and (x.id::text = $2 or (p.name = $2 and x.state = 'pending'))"
    )))
    .bind(account)
    .bind(which)
    .fetch_optional(db)
    .await
}

/// Completes a pending transfer. Returns `false`, changing nothing, if it was not pending.
pub async fn app_transfer_end(
    db: impl PgExecutor<'_>,
    id: AppTransferId,
    state: TransferState,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let ended = sqlx::query("update app_transfers set state = $2, updated_at = $3 where id = $1 and state = 'pending'")
        .bind(id)
        .bind(Text(state))
        .bind(now)
        .execute(db)
        .await?;
    Ok(ended.rows_affected() == 1)
}

/// Deletes all ended transfers of an app except the newest `most`.
pub async fn app_transfer_trim(db: impl PgExecutor<'_>, app: AppId, most: i64) -> sqlx::Result<()> {
    sqlx::query(
        "delete from app_transfers where app_id = $1 and state <> 'pending' and id not in (
             select id from app_transfers where app_id = $1 and state <> 'pending'
             order by updated_at desc, id desc limit $2)",
    )
    .bind(app)
    .bind(most)
    .execute(db)
    .await?;
    Ok(())
}

/// Withdraws all pending transfers of an app.
pub async fn app_transfer_delete_pending(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<()> {
    sqlx::query("delete from app_transfers where app_id = $1 and state = 'pending'").bind(app).execute(db).await?;
    Ok(())
}

/// Deletes a pending transfer; otherwise returns `false`.
pub async fn app_transfer_delete(db: impl PgExecutor<'_>, id: AppTransferId) -> sqlx::Result<bool> {
    let query = "delete from app_transfers where id = $1 and state = 'pending'";
    Ok(sqlx::query(query).bind(id).execute(db).await?.rows_affected() == 1)
}

/// Which of `accounts` see one of `others` because one has offered an app to the other. Pairs of the two.
pub async fn app_transfer_companions(
    db: impl PgExecutor<'_>,
    accounts: &[AccountId],
    others: &[AccountId],
) -> sqlx::Result<Vec<(AccountId, AccountId)>> {
    sqlx::query_as(
        "select owner_id, recipient_id from app_transfers where owner_id = any($1) and recipient_id = any($2)
         union select recipient_id, owner_id from app_transfers where recipient_id = any($1) and owner_id = any($2)",
    )
    .bind(accounts)
    .bind(others)
    .fetch_all(db)
    .await
}

/// Who has offered an app to one of these accounts.
pub async fn app_transfer_owners(db: impl PgExecutor<'_>, accounts: &[AccountId]) -> sqlx::Result<Vec<AccountId>> {
    sqlx::query_scalar("select distinct owner_id from app_transfers where recipient_id = any($1)")
        .bind(accounts)
        .fetch_all(db)
        .await
}
