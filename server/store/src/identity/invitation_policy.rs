//! The invitation policy: its one row, and its queries.

use api::invitation_policy::Inviters;
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use crate::text::Text;

/// Who may add new people, and from which domains.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    #[sqlx(try_from = "Text<Inviters>")]
    pub who: Inviters,
    pub domains: Vec<String>,
}

/// The policy.
pub async fn invitation_policy_info(db: impl PgExecutor<'_>) -> sqlx::Result<Row> {
    sqlx::query_as("select who, domains from invitation_policies").fetch_one(db).await
}

/// Updates the policy.
pub async fn invitation_policy_update(db: impl PgExecutor<'_>, row: &Row, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("update invitation_policies set who = $1, domains = $2, updated_at = $3")
        .bind(Text(row.who))
        .bind(&row.domains)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}
