//! The change bus between the servers of one database, and other channels of notifications.

use sqlx::{
    PgExecutor, PgPool,
    postgres::{PgListener, PgNotification, PgPoolOptions},
};

/// Sends messages to all servers that listen; in a transaction, when it commits. A message must be shorter than 8,000
/// bytes (Postgres documentation, "NOTIFY").
pub async fn change_notify(db: impl PgExecutor<'_>, messages: &[String]) -> sqlx::Result<()> {
    let query = "select pg_notify('changes', message) from unnest($1::text[]) message";
    sqlx::query(query).bind(messages).execute(db).await?;
    Ok(())
}

/// The channel of the change bus.
const CHANGES: &str = "changes";

/// A message that a [`Listener`] has received.
#[derive(Debug, PartialEq, Eq)]
pub enum Notification {
    /// A message of the change bus.
    Change(String),
    /// A notification on the channel with this name.
    Other(String),
}

/// Receives the messages of all servers, including this one.
pub struct Listener(PgListener);

impl Listener {
    /// Starts to listen to the change bus and to the channels in `others`, with its own connection: it would permanently
    /// occupy one of the pool.
    pub async fn start(pool: &PgPool, others: &[&str]) -> sqlx::Result<Self> {
        let own = PgPoolOptions::new().max_connections(1).connect_lazy_with((*pool.connect_options()).clone());
        let mut listener = PgListener::connect_with(&own).await?;
        listener.listen_all([&[CHANGES][..], others].concat()).await?;
        Ok(Self(listener))
    }

    /// Waits for the next message. `None` after the connection was lost and restored: messages may have been missed.
    pub async fn next(&mut self) -> sqlx::Result<Option<Notification>> {
        let to_notification = |message: PgNotification| match message.channel() {
            CHANGES => Notification::Change(message.payload().to_owned()),
            other => Notification::Other(other.to_owned()),
        };
        Ok(self.0.try_recv().await?.map(to_notification))
    }
}
