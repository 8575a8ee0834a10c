//! Identity providers and their rules: rows and queries.

use api::{
    identity_providers::ProviderKind,
    ids::{IdentityProviderId, IdentityRuleId},
    team_members::Role,
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::{
    pages::{BY_CHANGE, BY_CREATION, BY_ID, BY_NAME, List, Page, Range},
    text::{MaybeText, Text},
};

/// The sort orders of providers.
pub static LIST: List = List::by(&[BY_CREATION, BY_ID, BY_NAME, BY_CHANGE]);

/// A row of `identity_providers`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    pub id: IdentityProviderId,
    pub name: String,
    pub title: String,
    #[sqlx(try_from = "Text<ProviderKind>")]
    pub kind: ProviderKind,
    pub issuer: String,
    pub client_id: String,
    /// The client secret, encrypted.
    pub secret: Vec<u8>,
    pub domains: Vec<String>,
    /// Whether an address in `domains` is sufficient to sign in.
    pub admits: bool,
    pub groups_claim: String,
    pub groups_scope: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A row of `identity_rules`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Rule {
    pub id: IdentityRuleId,
    pub provider_id: IdentityProviderId,
    pub position: i32,
    pub domain: Option<String>,
    pub group: Option<String>,
    pub admin: bool,
    pub team: Option<String>,
    #[sqlx(try_from = "MaybeText<Role>")]
    pub role: Option<Role>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Inserts a provider. Violates `identity_providers_name_key` if the name is taken.
pub async fn identity_provider_create(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "insert into identity_providers
             (id, name, title, kind, issuer, client_id, secret, domains, admits, groups_claim, groups_scope,
              created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(row.id)
    .bind(&row.name)
    .bind(&row.title)
    .bind(Text(row.kind))
    .bind(&row.issuer)
    .bind(&row.client_id)
    .bind(&row.secret)
    .bind(&row.domains)
    .bind(row.admits)
    .bind(&row.groups_claim)
    .bind(&row.groups_scope)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Updates a provider. Its name and kind are immutable: they are part of its redirect URI.
pub async fn identity_provider_update(db: impl PgExecutor<'_>, row: &Row) -> sqlx::Result<()> {
    sqlx::query(
        "update identity_providers set title = $2, issuer = $3, client_id = $4, secret = $5, domains = $6,
                admits = $7, groups_claim = $8, groups_scope = $9, updated_at = $10
         where id = $1",
    )
    .bind(row.id)
    .bind(&row.title)
    .bind(&row.issuer)
    .bind(&row.client_id)
    .bind(&row.secret)
    .bind(&row.domains)
    .bind(row.admits)
    .bind(&row.groups_claim)
    .bind(&row.groups_scope)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// The providers.
pub async fn identity_provider_list(db: impl PgExecutor<'_>, range: &Range) -> sqlx::Result<Page<Row>> {
    range.fetch(db, sqlx::query("select * from identity_providers")).await
}

/// The provider with this name.
pub async fn identity_provider_by_name(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("select * from identity_providers where name = $1").bind(name).fetch_optional(db).await
}

/// Deletes a provider with its rules and identities; accounts remain. Returns `false` if it is gone already.
pub async fn identity_provider_delete(db: impl PgExecutor<'_>, id: IdentityProviderId) -> sqlx::Result<bool> {
    let gone = sqlx::query("delete from identity_providers where id = $1").bind(id).execute(db).await?;
    Ok(gone.rows_affected() > 0)
}

/// The titles of the providers with a rule for a team.
pub async fn identity_provider_list_by_team(db: impl PgExecutor<'_>, team: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select title from identity_providers p
         where exists (select 1 from identity_rules r where r.provider_id = p.id and r.team = $1) order by title",
    )
    .bind(team)
    .fetch_all(db)
    .await
}

/// The rules of a provider, in order.
pub async fn identity_rule_list(db: impl PgExecutor<'_>, provider: IdentityProviderId) -> sqlx::Result<Vec<Rule>> {
    sqlx::query_as("select * from identity_rules where provider_id = $1 order by position")
        .bind(provider)
        .fetch_all(db)
        .await
}

/// The rules of these providers, in order.
pub async fn identity_rule_list_of(
    db: impl PgExecutor<'_>,
    providers: &[IdentityProviderId],
) -> sqlx::Result<Vec<Rule>> {
    sqlx::query_as("select * from identity_rules where provider_id = any($1) order by provider_id, position")
        .bind(providers)
        .fetch_all(db)
        .await
}

/// Replaces the rules of a provider.
pub async fn identity_rules_replace(
    db: &mut PgConnection,
    provider: IdentityProviderId,
    rules: &[Rule],
) -> sqlx::Result<()> {
    sqlx::query("delete from identity_rules where provider_id = $1").bind(provider).execute(&mut *db).await?;
    for rule in rules {
        sqlx::query(
            "insert into identity_rules
                 (id, provider_id, position, domain, \"group\", admin, team, role, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(rule.id)
        .bind(rule.provider_id)
        .bind(rule.position)
        .bind(&rule.domain)
        .bind(&rule.group)
        .bind(rule.admin)
        .bind(&rule.team)
        .bind(rule.role.map(Text))
        .bind(rule.created_at)
        .bind(rule.updated_at)
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// Renames a team in rules and in what they granted.
pub async fn identity_rules_follow_team(db: &mut PgConnection, old: &str, new: &str) -> sqlx::Result<()> {
    sqlx::query("update identity_rules set team = $2 where team = $1").bind(old).bind(new).execute(&mut *db).await?;
    sqlx::query(
        "update identities
         set given = jsonb_set(given #- array['teams', $1], array['teams', $2], given -> 'teams' -> $1)
         where given -> 'teams' ? $1",
    )
    .bind(old)
    .bind(new)
    .execute(&mut *db)
    .await?;
    Ok(())
}
