//! Queues: rows that wait for one of a number of slots. Payers take turns, and the rows of one app run one at a time.
//!
//! A row waits while it is pending and has no `started_at`; from then on it has a slot until it is not pending any
//! more. A build gives its slot back earlier, when it creates its release: then it only waits.

use std::marker::PhantomData;

use api::ids::{AccountId, AppId, BuildId, ReleaseId};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{accounts::LET_IN, payers::OF_APPS};

/// A table with waiting rows, and the type of their ids.
#[derive(Debug)]
pub struct Queue<Id> {
    table: &'static str,
    /// The column that counts the rows of an app.
    number: &'static str,
    /// The advisory lock for assigning slots.
    lock: i64,
    /// Further columns set by a suspension.
    cancel_notes: &'static str,
    /// The condition of rows that can be cancelled.
    may_cancel: &'static str,
    /// The condition of rows `r` that need the slot they were assigned.
    needs_slot: &'static str,
    ids: PhantomData<fn(Id) -> Id>,
}

/// The queue of builds.
pub static BUILDS: Queue<BuildId> = Queue {
    table: "builds",
    number: "number",
    lock: 7301,
    cancel_notes: "",
    may_cancel: " and t.release_id is null",
    needs_slot: " and r.release_id is null",
    ids: PhantomData,
};
/// The queue of release phases.
pub static RELEASES: Queue<ReleaseId> = Queue {
    table: "releases",
    number: "version",
    lock: 7304,
    cancel_notes: ", error = 'cancelled because the account behind it was suspended'",
    may_cancel: "",
    needs_slot: "",
    ids: PhantomData,
};

/// How many rows of a queue can run concurrently: its slots.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    pub all: i64,
    /// The number of slots per payer. If several payers have apps, the last slot is for a payer without one.
    pub each: i64,
}

/// A row with a slot, but without a job.
#[derive(Clone, Debug)]
pub struct Lost<Id> {
    pub id: Id,
    pub app_id: AppId,
    /// Whether its job was abandoned.
    pub failed: bool,
}

/// Rows that are first in their app.
const FIRST: &str = "and t.cancelled_at is null
    and not exists (select 1 from {table} e where e.app_id = t.app_id and e.status = 'pending'
                        and e.{number} < t.{number})";

impl<Id: From<Uuid> + Into<Uuid> + Copy> Queue<Id> {
    /// All waiting rows, with `app_id`, `payer`, the `position` from 1, and the number of slots that the payer has
    /// (`taken`): these count as turns that it has already had.
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
                             where r.status = 'pending' and r.started_at is not null{needs_slot} group by p.payer) o
                      on o.payer = p.payer
                  where t.status = 'pending' and t.started_at is null {which}) w";
        self.named(&sql.replace("{which}", which))
    }

    fn named(&self, sql: &str) -> String {
        let sql = sql.replace("{payers}", OF_APPS).replace("{needs_slot}", self.needs_slot);
        sql.replace("{table}", self.table).replace("{number}", self.number)
    }

    /// Takes the lock for assigning slots until the end of the transaction. To be called before rows are changed and
    /// after the app is locked, to avoid deadlocks.
    pub async fn lock(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query("select pg_advisory_xact_lock($1)").bind(self.lock).execute(db).await?;
        Ok(())
    }

    /// Assigns a slot to the row whose turn it is, and returns its id and app. `None` if no waiting row can get one.
    /// The rows of one app run one at a time.
    pub async fn start_next(
        &self,
        db: &mut PgConnection,
        slots: Capacity,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<(Id, AppId)>> {
        // One at a time, since two could both find the last slot free.
        self.lock(&mut *db).await?;
        let next = self.named(&format!(
            "update {{table}} set started_at = $3, updated_at = $3 where id = (
                 select q.id from ({}) q
                 where q.taken < $2
                     and (select count(*) from {{table}} r
                          where r.status = 'pending' and r.started_at is not null{{needs_slot}})
                         < (case when q.taken > 0 and exists (select 1 from {{payers}} o where o.payer <> q.payer)
                                 then $1 - 1 else $1 end)
                 order by q.position limit 1)
             returning id, app_id",
            self.rows(FIRST)
        ));
        let next = sqlx::query_as(sqlx::AssertSqlSafe(next)).bind(slots.all).bind(slots.each).bind(now);
        let next: Option<(Uuid, AppId)> = next.fetch_optional(db).await?;
        Ok(next.map(|(id, app)| (id.into(), app)))
    }

    /// Rows that were cancelled before they got a slot.
    pub async fn cancelled(&self, db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Id>> {
        let cancelled = self.named(
            "select id from {table} where status = 'pending' and started_at is null and cancelled_at is not null",
        );
        Ok(typed(sqlx::query_scalar(sqlx::AssertSqlSafe(cancelled)).fetch_all(db).await?))
    }

    /// Those of these rows that have to end: they were cancelled or deleted.
    pub async fn ended(&self, db: impl PgExecutor<'_>, ids: &[Id]) -> sqlx::Result<Vec<Id>> {
        let ended = self.named(
            "select i.id from unnest($1::uuid[]) i(id)
             where not exists (select 1 from {table} t where t.id = i.id and t.cancelled_at is null)",
        );
        let ids: Vec<Uuid> = ids.iter().map(|id| (*id).into()).collect();
        Ok(typed(sqlx::query_scalar(sqlx::AssertSqlSafe(ended)).bind(ids).fetch_all(db).await?))
    }

    /// Requests cancellation of everything that waits or runs for an account: what it or its service accounts have
    /// started, and what it is charged for and has no other responsible account.
    pub async fn cancel_of(&self, db: &mut PgConnection, account: AccountId, now: DateTime<Utc>) -> sqlx::Result<()> {
        self.lock(&mut *db).await?;
        let cancel = self.cancels(
            "t.account_id = $2
             or t.account_id in (select s.id from service_accounts s where s.created_by = $2)
             or t.app_id in (
                 select p.app_id from {payers} p join apps a on a.id = p.app_id
                 where p.payer = $2 and (a.owner_id = $2 or not exists (
                     select 1 from team_members m join accounts u on u.id = m.account_id and u.suspended_at is null
                     where m.team_id = a.team_id and m.role = 'admin')))",
        );
        sqlx::query(sqlx::AssertSqlSafe(cancel)).bind(now).bind(account).execute(db).await?;
        Ok(())
    }

    /// Requests cancellation of what suspended accounts and their service accounts have started, even at the moment of
    /// the suspension. What removed service accounts have started continues.
    pub async fn cancel_suspended(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        self.lock(&mut *db).await?;
        let cancel = self.cancels(&format!(
            "exists (select 1 from accounts a where a.id = t.account_id and a.retired_at is null and not {LET_IN})"
        ));
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

    /// Rows with a slot, but without a job of this kind.
    pub async fn lost(&self, db: impl PgExecutor<'_>, kind: &str) -> sqlx::Result<Vec<Lost<Id>>> {
        let lost = self.named(
            "select t.id, t.app_id, exists (select 1 from jobs j where j.kind = $1 and j.subject = t.id and j.state = 'failed')
                 as failed
             from {table} t where t.status = 'pending' and t.started_at is not null
                 and not exists (select 1 from jobs j where j.kind = $1 and j.subject = t.id
                                     and j.state in ('pending', 'running'))",
        );
        let lost: Vec<(Uuid, AppId, bool)> = sqlx::query_as(sqlx::AssertSqlSafe(lost)).bind(kind).fetch_all(db).await?;
        Ok(lost.into_iter().map(|(id, app_id, failed)| Lost { id: id.into(), app_id, failed }).collect())
    }

    /// The ids of the newest rows of an app, and of those that are pending.
    pub async fn newest(&self, db: impl PgExecutor<'_>, app: AppId, most: i64) -> sqlx::Result<Vec<Id>> {
        let newest = self.named(
            "(select id from {table} where app_id = $1 order by {number} desc limit $2)
             union select id from {table} where app_id = $1 and status = 'pending'",
        );
        Ok(typed(sqlx::query_scalar(sqlx::AssertSqlSafe(newest)).bind(app).bind(most).fetch_all(db).await?))
    }

    /// Fails a row that no job can continue, which releases its slot.
    pub async fn fail(&self, db: impl PgExecutor<'_>, id: Id, now: DateTime<Utc>) -> sqlx::Result<()> {
        let fail =
            self.named("update {table} set status = 'failed', updated_at = $2 where id = $1 and status = 'pending'");
        sqlx::query(sqlx::AssertSqlSafe(fail)).bind::<Uuid>(id.into()).bind(now).execute(db).await?;
        Ok(())
    }
}

fn typed<Id: From<Uuid>>(ids: Vec<Uuid>) -> Vec<Id> {
    ids.into_iter().map(Id::from).collect()
}
