//! The job that destroys an app, and how it is woken when a dyno, build or release of the app has ended. Its steps are in
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

/// Wakes the job that destroys an app, if there is one, because a part of the app has ended. If the database does not
/// respond, the job checks again a few seconds later.
pub async fn part_ended(platform: &Platform, app: AppId) {
    let wake = async {
        let mut db = platform.db().acquire().await?;
        background::wake::<Destroy>(&mut db, app.get()).await
    };
    if let Err(err) = wake.await {
        tracing::debug!(app.id = %app, "could not wake the destruction of an app: {err}");
    }
}
