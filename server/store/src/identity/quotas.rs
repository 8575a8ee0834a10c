//! Quotas: limits and usage of an account or a team. Rows and queries.

use api::{
    ids::{AccountId, AppId, QuotaId, TeamId},
    quotas::QuotaKind,
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::text::Text;

/// The owner whose apps are counted: a person or a team. If neither is set, the platform, for the defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    pub account: Option<AccountId>,
    pub team: Option<TeamId>,
}

/// A row of `quotas`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    #[sqlx(try_from = "Text<QuotaKind>")]
    pub kind: QuotaKind,
    pub most: i64,
    /// Set for this owner, not a default.
    pub is_own: bool,
}

/// An owner's usage.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Usage {
    pub apps: i64,
    pub dynos: i64,
    pub memory_mb: i64,
    pub pending_builds: i64,
    pub upload_bytes: i64,
    pub repository_bytes: i64,
    /// Uploads, repositories, and all releases with their slugs and config vars.
    pub disk_bytes: i64,
    /// Created by an account.
    pub teams: i64,
    /// Service accounts of a team.
    pub service_accounts: i64,
}

/// The quotas set for an owner, and the defaults.
pub async fn quota_list(db: impl PgExecutor<'_>, owner: Owner) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(
        "select kind, most, account_id is not null or team_id is not null as is_own from quotas
         where account_id = $1 or team_id = $2 or account_id is null and team_id is null",
    )
    .bind(owner.account)
    .bind(owner.team)
    .fetch_all(db)
    .await
}

/// Sets a quota of an owner, or resets it.
pub async fn quota_save(
    db: &mut PgConnection,
    id: QuotaId,
    owner: Owner,
    kind: QuotaKind,
    most: Option<i64>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "delete from quotas where account_id is not distinct from $1 and team_id is not distinct from $2 and kind = $3",
    )
    .bind(owner.account)
    .bind(owner.team)
    .bind(Text(kind))
    .execute(&mut *db)
    .await?;
    if let Some(most) = most {
        sqlx::query(
            "insert into quotas (id, account_id, team_id, kind, most, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $6)",
        )
        .bind(id)
        .bind(owner.account)
        .bind(owner.team)
        .bind(Text(kind))
        .bind(most)
        .bind(now)
        .execute(db)
        .await?;
    }
    Ok(())
}

/// Locks an owner's usage until the end of the transaction, so that two concurrent requests cannot both take
/// the last unit.
pub async fn quota_lock(db: impl PgExecutor<'_>, owner: Owner) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock(7303, hashtext($1))")
        .bind(owner.account.map(AccountId::get).or(owner.team.map(TeamId::get)).unwrap_or_default().to_string())
        .execute(db)
        .await?;
    Ok(())
}

/// An owner's usage. `sizes` is the memory, in MB, of a dyno of each size. It includes that of the dynos that a rollout, a
/// restart or another size is about to replace. The cost does not grow with the number of releases: the newest one of each app has the sum of all.
pub async fn quota_usage(db: impl PgExecutor<'_>, owner: Owner, sizes: &[(&str, i64)]) -> sqlx::Result<Usage> {
    let (names, memory): (Vec<&str>, Vec<i64>) = sizes.iter().copied().unzip();
    sqlx::query_as(
        "with mine as (select id, repo_size from apps where deleted_at is null and (owner_id = $1 or team_id = $2)),
         wanted as (select f.quantity::bigint as quantity, s.memory from formation f join mine on mine.id = f.app_id
                    left join unnest($3::text[], $4::bigint[]) s(name, memory) on s.name = f.size
                    where f.type <> 'release'
                    union all
                    select 1, s.memory from one_offs o join mine on mine.id = o.app_id
                    left join unnest($3::text[], $4::bigint[]) s(name, memory) on s.name = o.size
                    where o.ended_at is null),
         -- Web dynos that run beside those of the formation until these are up, or their release has passed.
         replaced as (select d.app_id, d.release_id <> newest.id as is_earlier, s.memory,
                          f.quantity * n.memory as successors
                      from dynos d join mine on mine.id = d.app_id
                      cross join lateral (
                          select r.id from releases r where r.app_id = d.app_id and r.status = 'succeeded'
                              and r.rollout <> 'superseded' order by r.version desc limit 1) newest
                      left join formation f on f.app_id = d.app_id and f.type = 'web'
                      left join unnest($3::text[], $4::bigint[]) s(name, memory) on s.name = d.size
                      left join unnest($3::text[], $4::bigint[]) n(name, memory) on n.name = f.size
                      where d.type = 'web' and d.state in ('starting', 'up') and d.stopping_at is null
                          and (d.release_id <> newest.id or d.retiring_at is not null or d.size <> f.size)),
         -- Of the newest release, only what is more than their successors take: a restart is not refused.
         beside as (select coalesce(sum(memory) filter (where is_earlier), 0)
                        + greatest(0, coalesce(sum(memory) filter (where not is_earlier), 0)
                                      - coalesce(max(successors), 0)) as memory
                    from replaced group by app_id)
         select (select count(*) from mine) as apps,
             (select coalesce(sum(quantity), 0)::bigint from wanted) as dynos,
             ((select coalesce(sum(quantity * memory), 0) from wanted)
                 + (select coalesce(sum(memory), 0) from beside))::bigint as memory_mb,
             (select count(*) from builds b join mine on mine.id = b.app_id where b.status = 'pending')
                 as pending_builds,
             (sent.bytes + unused.bytes)::bigint as upload_bytes, repos.bytes as repository_bytes,
             (sent.bytes + unused.bytes + released.bytes + repos.bytes)::bigint as disk_bytes,
             (select count(*) from teams where created_by = $1) as teams,
             (select count(*) from service_accounts where team_id = $2) as service_accounts
         from (select coalesce(sum(size), 0)::bigint as bytes from sources where account_id = $1) sent,
              (select coalesce(sum(s.size), 0)::bigint as bytes from slugs s join mine on mine.id = s.app_id
               where not s.released) unused,
              (select coalesce(sum(newest.total_bytes), 0)::bigint as bytes from mine cross join lateral (
                   select total_bytes from releases r where r.app_id = mine.id order by version desc limit 1) newest
              ) released,
              (select coalesce(sum(repo_size), 0)::bigint as bytes from mine) repos",
    )
    .bind(owner.account)
    .bind(owner.team)
    .bind(names)
    .bind(memory)
    .fetch_one(db)
    .await
}

/// The owner of an app.
pub async fn quota_owner(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<Option<Owner>> {
    let found: Option<(Option<AccountId>, Option<TeamId>)> =
        sqlx::query_as("select owner_id, team_id from apps where id = $1").bind(app).fetch_optional(db).await?;
    Ok(found.map(|(account, team)| Owner { account, team }))
}
