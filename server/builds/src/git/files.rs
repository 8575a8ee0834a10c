//! Builds a commit that was created from files instead of pushed: the first one of an app, from a sample.

use api::ids::BuildId;
use base::{Error, Result};
use chrono::{DateTime, Utc};
use identity::Actor;
use repositories::hook::Push;

use super::{push, reservation::Reservation};
use crate::Builds;

const BRANCH: &str = "refs/heads/main";
const NONE: &str = "0000000000000000000000000000000000000000";

/// Puts `files` into the repository of an app as its first commit, and builds it like a push to main. Rejected if
/// something was deployed from the repository before; the branch moves when the build has succeeded. Takes a slot and
/// reserves space like a push. Returns the build.
pub(crate) async fn deploy_files(
    builds: &Builds,
    app: &store::apps::Row,
    actor: &Actor,
    message: &str,
    files: &[(&str, &str)],
    now: DateTime<Utc>,
) -> Result<BuildId> {
    let _slot = builds.git().slots().try_take(actor.payer)?;
    let reservation = Reservation::take(builds, actor.payer, app.id).await?;
    if builds.git().tip(app.id, BRANCH).await?.is_some() {
        return Err(Error::invalid("The app already has code. Samples are only for apps without code."));
    }
    let commit = builds.git().commit_files(app.id, (&actor.account.email, message), files, now).await?;
    reservation.release().await?;
    let push = Push { name: BRANCH.into(), old: NONE.into(), new: commit, wait: None };
    push::create(builds, app, &actor.originator(), &push, message).await
}
