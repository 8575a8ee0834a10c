//! Formation: rows and queries.

use std::collections::BTreeMap;

use api::ids::{AppId, FormationId};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::pages::{BY_CHANGE, BY_CREATION, BY_ID, Kind, List, Order, Page, Range};

/// The number of an app's former process types whose quantity and size are remembered: the most recent ones.
pub const MOST_FORMER: i64 = 200;

/// The sort orders of process types.
pub static LIST: List = List::by(&[Order::unique("type", Kind::Text, "t.type"), BY_ID, BY_CREATION, BY_CHANGE]);

/// A row of `formation`.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Row {
    pub id: FormationId,
    pub app_id: AppId,
    #[sqlx(rename = "type")]
    pub kind: String,
    pub command: String,
    pub quantity: i32,
    pub size: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A page of an app's process types.
pub async fn formation_page(db: impl PgExecutor<'_>, app: AppId, range: &Range) -> sqlx::Result<Page<Row>> {
    range.fetch(db, sqlx::query("select * from formation where app_id = $1").bind(app)).await
}

/// The process types of these apps.
pub async fn formation_of(db: impl PgExecutor<'_>, apps: &[AppId]) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as("select * from formation where app_id = any($1) order by app_id, type")
        .bind(apps)
        .fetch_all(db)
        .await
}

/// The process types of an app, by name: a slug has few enough to fit in memory.
pub async fn formation_list(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as("select * from formation where app_id = $1 order by type").bind(app).fetch_all(db).await
}

/// The process types of these apps, or of all.
pub async fn formation_all(db: impl PgExecutor<'_>, only: Option<&[AppId]>) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as("select * from formation where $1::uuid[] is null or app_id = any($1) order by app_id, type")
        .bind(only)
        .fetch_all(db)
        .await
}

/// Sets quantity and size of a process type. Violates `formation_quantity_check` outside 0..=100.
pub async fn formation_scale(
    db: impl PgExecutor<'_>,
    id: FormationId,
    quantity: i32,
    size: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query("update formation set quantity = $2, size = $3, updated_at = $4 where id = $1")
        .bind(id)
        .bind(quantity)
        .bind(size)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Sets the process types of an app to those of a slug. Existing ones keep their quantity and size, earlier
/// ones get theirs back; new ones start with a quantity of 0, except `web`, which gets 1.
pub async fn formation_replace(
    db: &mut PgConnection,
    app: AppId,
    types: &BTreeMap<String, String>,
    ids: impl Fn() -> FormationId,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let names: Vec<&str> = types.keys().map(String::as_str).collect();
    put_aside(db, app, &names, now).await?;
    for (kind, command) in types {
        sqlx::query(
            "insert into formation (id, app_id, type, command, quantity, size, created_at, updated_at)
             select $1, $2, $3, $4, coalesce(max(f.quantity), $5), coalesce(max(f.size), 'Standard-1X'), $6, $6
             from former_formation f where f.app_id = $2 and f.type = $3
             on conflict (app_id, type) do update set command = excluded.command, updated_at = excluded.updated_at",
        )
        .bind(ids())
        .bind(app)
        .bind(kind)
        .bind(command)
        .bind(i32::from(kind == "web"))
        .bind(now)
        .execute(&mut *db)
        .await?;
    }
    sqlx::query("delete from former_formation where app_id = $1 and type = any($2)")
        .bind(app)
        .bind(&names)
        .execute(db)
        .await?;
    Ok(())
}

/// Removes all process types except `kept` from the formation, and remembers their quantity and size.
async fn put_aside(db: &mut PgConnection, app: AppId, kept: &[&str], now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query(
        "with gone as (delete from formation where app_id = $1 and type <> all($2) returning *)
         insert into former_formation (id, app_id, type, quantity, size, created_at, updated_at)
         select id, app_id, type, quantity, size, created_at, $3 from gone
         on conflict (app_id, type) do update
         set quantity = excluded.quantity, size = excluded.size, updated_at = excluded.updated_at",
    )
    .bind(app)
    .bind(kept)
    .bind(now)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "delete from former_formation where app_id = $1 and id not in (
             select id from former_formation where app_id = $1 order by updated_at desc, id desc limit $2)",
    )
    .bind(app)
    .bind(MOST_FORMER)
    .execute(db)
    .await?;
    Ok(())
}
