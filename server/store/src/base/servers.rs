//! Which servers of the database are running.

use api::ids::ServerId;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};

/// Holds the id of a server, with a connection of its own: Postgres releases it when that is lost, with the process.
#[derive(Debug)]
pub struct ServerHold {
    id: ServerId,
    db: PgConnection,
}

/// Holds this id; `None` if another process does.
pub async fn server_hold(pool: &PgPool, id: ServerId) -> sqlx::Result<Option<ServerHold>> {
    let mut db = pool.connect_options().connect().await?;
    // The last half of the id is random, and negative as a number, unlike the other advisory locks.
    let (_, key) = id.get().as_u64_pair();
    let is_held: bool =
        sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(key.cast_signed()).fetch_one(&mut db).await?;
    Ok(is_held.then_some(ServerHold { id, db }))
}

impl ServerHold {
    /// Holds it again if the connection was lost. Returns `false` if another process has held it since.
    pub async fn server_hold_on(&mut self, pool: &PgPool) -> sqlx::Result<bool> {
        if self.db.ping().await.is_ok() {
            return Ok(true);
        }
        match server_hold(pool, self.id).await? {
            Some(again) => *self = again,
            // The next time is another try.
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Lets another process have the id at once.
    pub async fn server_let_go(self) -> sqlx::Result<()> {
        self.db.close().await
    }
}
