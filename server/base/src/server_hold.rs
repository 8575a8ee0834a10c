//! How the id of this server is held while it works.

use std::time::Duration;

use crate::Base;

/// How often it is checked that the id is still held.
const CHECK: Duration = Duration::from_secs(10);

impl Base {
    /// Lets go of the id of this server, which has stopped its work: a process that starts with it then takes over what is
    /// left.
    pub async fn let_go_of_server_id(&self) {
        if let Some(hold) = self.server_hold().lock().await.take()
            && let Err(err) = hold.server_let_go().await
        {
            tracing::warn!("could not close the connection that holds the server's id: {err}");
        }
    }
}

/// Holds the id again whenever the database was restarted, until it is let go of.
pub(crate) async fn keep(base: &Base) {
    loop {
        tokio::time::sleep(CHECK).await;
        let mut hold = base.server_hold().lock().await;
        let Some(hold) = hold.as_mut() else { return };
        match hold.server_hold_on(base.db()).await {
            Ok(true) => {}
            // It may have taken over what this server is doing, and this server may do the same at its next start.
            Ok(false) => tracing::error!("another server now has the id of this one; restart this one"),
            Err(err) => tracing::warn!("could not hold the server's id in the database, retrying: {err}"),
        }
    }
}
