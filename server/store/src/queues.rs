//! Queues: rows that wait for one of a number of places. Payers take turns, and the rows of one app wait for each
//! other.
//!
//! A row waits while it is pending and has no `started_at`, and has its place from then until it is pending no more.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::payers::OF_APPS;

/// A table whose rows wait.
#[derive(Debug)]
pub struct Queue {
    table: &'static str,
    /// The column that counts the rows of an app.
    number: &'static str,
    /// Held by whoever gives places.
    lock: i64,
    /// What a suspension notes besides.
    cancel_notes: &'static str,
    /// What can still be cancelled.
    may_cancel: &'static str,
}

/// Builds that wait.
pub static BUILDS: Queue =
    Queue { table: "builds", number: "number", lock: 7301, cancel_notes: "", may_cancel: " and t.release_id is null" };
/// Releases whose phase waits.
pub static RELEASES: Queue = Queue {
    table: "releases",
    number: "version",
    lock: 7304,
    cancel_notes: ", error = 'cancelled because the account behind it was suspended'",
    may_cancel: "",
};

/// How many places there are.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    pub all: i64,
    /// Of one payer. If several payers have apps, the last of all is for one that has none.
    pub each: i64,
}

/// A row that has a place, but no job that goes on with it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Lost {
    pub id: Uuid,
    pub app_id: Uuid,
    /// Whether its job was let lie.
    pub failed: bool,
}

/// Rows that nothing of their own app is in front of.
const FIRST: &str = "and t.cancelled_at is null
    and not exists (select 1 from {table} e where e.app_id = t.app_id and e.status = 'pending'
                        and e.{number} < t.{number})";

impl Queue {
    /// Everything that waits, with `app_id`, its `payer`, the `position` from 1, and how many places the
    /// payer has (`taken`): whose rows have places already have had those turns.
    pub(crate) fn waiting(&self) -> String {
        self.rows("")
    }

    fn rows(&self, which: &str) -> String {
        let sql = "select w.id, w.app_id, w.payer, w.taken,
                row_number() over (order by w.turn, w.created_at, w.id) as position
            from (select t.id, t.app_id, t.created_at, p.payer, coalesce(o.taken, 0) as taken,
                      row_number() over (partition by p.payer order by t.created_at, t.id)
                      + coalesce(o.taken, 0) as turn
                  from {table} t join {payers} p on p.app_id = t.app_id
                  left join (select p.payer, count(*) as taken from {table} r join {payers} p on p.app_id = r.app_id
                             where r.status = 'pending' and r.started_at is not null group by p.payer) o
                      on o.payer = p.payer
                  where t.status = 'pending' and t.started_at is null {which}) w";
        self.named(&sql.replace("{which}", which))
    }

    fn named(&self, sql: &str) -> String {
        sql.replace("{payers}", OF_APPS).replace("{table}", self.table).replace("{number}", self.number)
    }

    /// Waits until nobody else gives places, for the rest of the transaction. To be done before rows are changed and
    /// after the app is locked, or two could wait for each other.
    pub async fn lock(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query("select pg_advisory_xact_lock($1)").bind(self.lock).execute(db).await?;
        Ok(())
    }

    /// Gives a place to the row whose turn it is; its id and app. Nothing when no place is free for anybody who
    /// waits. The rows of one app wait for each other.
    pub async fn start_next(
        &self,
        db: &mut PgConnection,
        places: Places,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<(Uuid, Uuid)>> {
        // One at a time, or two might both see the last place free.
        self.lock(&mut *db).await?;
        let next = self.named(&format!(
            "update {{table}} set started_at = $3, updated_at = $3 where id = (
                 select q.id from ({}) q
                 where q.taken < $2
                     and (select count(*) from {{table}} r where r.status = 'pending' and r.started_at is not null)
                         < (case when q.taken > 0 and exists (select 1 from {{payers}} o where o.payer <> q.payer)
                                 then $1 - 1 else $1 end)
                 order by q.position limit 1)
             returning id, app_id",
            self.rows(FIRST)
        ));
        sqlx::query_as(sqlx::AssertSqlSafe(next)).bind(places.all).bind(places.each).bind(now).fetch_optional(db).await
    }

    /// What was cancelled before it got a place.
    pub async fn cancelled(&self, db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Uuid>> {
        let cancelled = self.named(
            "select id from {table} where status = 'pending' and started_at is null and cancelled_at is not null",
        );
        sqlx::query_scalar(sqlx::AssertSqlSafe(cancelled)).fetch_all(db).await
    }

    /// Which of these are to end: they were cancelled, or are gone.
    pub async fn ended(&self, db: impl PgExecutor<'_>, ids: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
        let ended = self.named(
            "select i.id from unnest($1::uuid[]) i(id)
             where not exists (select 1 from {table} t where t.id = i.id and t.cancelled_at is null)",
        );
        sqlx::query_scalar(sqlx::AssertSqlSafe(ended)).bind(ids).fetch_all(db).await
    }

    /// Requests cancellation of what waits or runs for an account: what it started, and what it pays for and nobody
    /// else answers for.
    pub async fn cancel_of(&self, db: &mut PgConnection, account: Uuid, now: DateTime<Utc>) -> sqlx::Result<()> {
        self.lock(&mut *db).await?;
        let cancel = self.cancels(
            "t.account_id = $2 or t.app_id in (
                 select p.app_id from {payers} p join apps a on a.id = p.app_id
                 where p.payer = $2 and (a.owner_id = $2 or not exists (
                     select 1 from team_members m join accounts u on u.id = m.account_id and u.suspended_at is null
                     where m.team_id = a.team_id and m.role = 'admin')))",
        );
        sqlx::query(sqlx::AssertSqlSafe(cancel)).bind(now).bind(account).execute(db).await?;
        Ok(())
    }

    /// Requests cancellation of what suspended accounts have started, even at the moment of their suspension.
    pub async fn cancel_suspended(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        self.lock(&mut *db).await?;
        let cancel = self.cancels(
            "exists (select 1 from accounts u
                     where u.id = t.account_id and u.suspended_at is not null and u.retired_at is null)",
        );
        sqlx::query(sqlx::AssertSqlSafe(cancel)).bind(now).execute(db).await?;
        Ok(())
    }

    fn cancels(&self, which: &str) -> String {
        let (set, may) = (self.cancel_notes, self.may_cancel);
        self.named(&format!(
            "update {{table}} t set cancelled_at = $1{set}
             where t.status = 'pending' and t.cancelled_at is null{may} and ({which})"
        ))
    }

    /// What has a place while no job of this kind goes on with it.
    pub async fn lost(&self, db: impl PgExecutor<'_>, kind: &str) -> sqlx::Result<Vec<Lost>> {
        let lost = self.named(
            "select t.id, t.app_id, exists (select 1 from jobs j where j.kind = $1 and j.subject = t.id and j.state = 'failed')
                 as failed
             from {table} t where t.status = 'pending' and t.started_at is not null
                 and not exists (select 1 from jobs j where j.kind = $1 and j.subject = t.id
                                     and j.state in ('pending', 'running'))",
        );
        sqlx::query_as(sqlx::AssertSqlSafe(lost)).bind(kind).fetch_all(db).await
    }

    /// Takes the place of what nobody can go on with: it has failed.
    pub async fn fail(&self, db: impl PgExecutor<'_>, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<()> {
        let fail =
            self.named("update {table} set status = 'failed', updated_at = $2 where id = $1 and status = 'pending'");
        sqlx::query(sqlx::AssertSqlSafe(fail)).bind(id).bind(now).execute(db).await?;
        Ok(())
    }
}
