//! Passwords, their TOTP secrets and the password policy: rows and queries.

use api::ids::{AccountId, PasswordId, RecoveryCodeId};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

/// A row of `passwords`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: PasswordId,
    pub account_id: AccountId,
    /// A PHC string.
    pub hash: String,
    /// The TOTP secret, encrypted.
    pub secret: Vec<u8>,
    /// The time step of the last code accepted.
    pub last_step: i64,
    /// Absent until the second factor is confirmed; inactive before that.
    pub confirmed_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Whether password sign-in is on, and the number of accounts with a password.
pub async fn password_policy_info(db: impl PgExecutor<'_>) -> sqlx::Result<(bool, i64)> {
    sqlx::query_as(
        "select coalesce(bool_or(enabled), false), (select count(*) from passwords where confirmed_at is not null)
         from password_policies",
    )
    .fetch_one(db)
    .await
}

/// Turns password sign-in on or off.
pub async fn password_policy_update(db: impl PgExecutor<'_>, enabled: bool, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update password_policies set enabled = $1, updated_at = $2")
        .bind(enabled)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// The password of an account, active or not.
pub async fn password_by_account(db: impl PgExecutor<'_>, account: AccountId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from passwords where account_id = $1").bind(account).fetch_optional(db).await
}

/// Starts setting a password, replacing one not yet confirmed. Returns `false` if one is active.
pub async fn password_create(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into passwords (id, account_id, hash, secret, last_step, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (account_id) do update
         set id = $1, hash = $3, secret = $4, last_step = $5, created_at = $6, updated_at = $7
         where passwords.confirmed_at is null",
    )
    .bind(row.id)
    .bind(row.account_id)
    .bind(&row.hash)
    .bind(&row.secret)
    .bind(row.last_step)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Activates a password, with the time step of the confirming code. Returns whether it did; only once.
pub async fn password_confirm(
    db: impl PgExecutor<'_>,
    id: PasswordId,
    step: i64,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update passwords set confirmed_at = $3, last_step = $2, updated_at = $3 where id = $1 and confirmed_at is null",
    )
    .bind(id)
    .bind(step)
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Replaces the password with this id; its TOTP secret is unchanged.
pub async fn password_update(
    db: impl PgExecutor<'_>,
    id: PasswordId,
    hash: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query("update passwords set hash = $2, updated_at = $3 where id = $1")
        .bind(id)
        .bind(hash)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes the password of an account with its recovery codes. Returns whether it existed.
pub async fn password_delete(db: impl PgExecutor<'_>, account: AccountId) -> sqlx::Result<bool> {
    let done = sqlx::query("delete from passwords where account_id = $1").bind(account).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

/// Uses up the code of a time step, for the verified password. Of two concurrent calls with the same code, one
/// returns `true`.
pub async fn password_step_use(db: impl PgExecutor<'_>, seen: &Row, step: i64) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update passwords set last_step = $3
         where id = $1 and hash = $2 and last_step < $3 and confirmed_at is not null",
    )
    .bind(seen.id)
    .bind(&seen.hash)
    .bind(step)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes passwords started before this time and never confirmed.
pub async fn password_sweep(db: impl PgExecutor<'_>, before: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("delete from passwords where confirmed_at is null and created_at < $1")
        .bind(before)
        .execute(db)
        .await?;
    Ok(())
}

/// Replaces the recovery codes with these, by id and hash.
pub async fn recovery_codes_replace(
    db: &mut PgConnection,
    password: PasswordId,
    codes: &[(RecoveryCodeId, Vec<u8>)],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query("delete from recovery_codes where password_id = $1").bind(password).execute(&mut *db).await?;
    for (id, hash) in codes {
        sqlx::query(
            "insert into recovery_codes (id, password_id, code_hash, created_at, updated_at) values ($1, $2, $3, $4, $4)",
        )
        .bind(id)
        .bind(password)
        .bind(hash)
        .bind(now)
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// The number of recovery codes left for a password.
pub async fn recovery_code_count(db: impl PgExecutor<'_>, password: PasswordId) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from recovery_codes where password_id = $1 and used_at is null")
        .bind(password)
        .fetch_one(db)
        .await
}

/// Whether this recovery code exists and is unused.
pub async fn recovery_code_exists(db: impl PgExecutor<'_>, password: PasswordId, hash: &[u8]) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select 1 from recovery_codes where password_id = $1 and code_hash = $2 and used_at is null)",
    )
    .bind(password)
    .bind(hash)
    .fetch_one(db)
    .await
}

/// Uses up a recovery code, for the verified password. Of two concurrent calls, one returns `true`.
pub async fn recovery_code_use(
    db: impl PgExecutor<'_>,
    seen: &Row,
    hash: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update recovery_codes r set used_at = $4, updated_at = $4 from passwords p
         where r.password_id = $1 and r.code_hash = $3 and r.used_at is null
             and p.id = r.password_id and p.hash = $2 and p.confirmed_at is not null",
    )
    .bind(seen.id)
    .bind(&seen.hash)
    .bind(hash)
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
