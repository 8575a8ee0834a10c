//! The job that destroys an app, as those know it for whom it waits: its dynos, builds and releases. What it does is in
//! `app_destruction`.

use api::ids::AppId;
use serde::{Deserialize, Serialize};

use crate::Platform;

/// Removes everything of a destroyed app: dynos, builds, files, log, rows.
#[derive(Serialize, Deserialize)]
pub struct Destroy {
    /// The app, which is marked as destroyed.
    pub app: AppId,
}

/// Lets the destruction of an app go on, if there is one, because a part of the app has ended. Without the database, it
/// goes on a few seconds later by itself.
pub async fn part_ended(platform: &Platform, app: AppId) {
    let wake = async {
        let mut db = platform.db().acquire().await?;
        background::wake::<Destroy>(&mut db, app.get()).await
    };
    if let Err(err) = wake.await {
        tracing::debug!(app.id = %app, "could not wake the destruction of an app: {err}");
    }
}
