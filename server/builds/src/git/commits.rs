//! Commits between two releases, for requests that show them.

use api::ids::{AccountId, AppId};
use base::Result;

use crate::Builds;

/// The commits that are in `to` and not in `from`, newest first, at most `most`. Waits for a slot of `payer` unless the
/// result is cached. An error if there are no such commits.
pub(crate) async fn commits(
    builds: &Builds,
    payer: AccountId,
    app: AppId,
    (from, to): (Option<&str>, &str),
    most: usize,
) -> Result<Vec<api::releases::Commit>> {
    let (between, histories) = ((app, from.map(String::from), to.to_owned(), most), builds.git().histories());
    if let Some(known) = histories.known(&between) {
        return Ok(known);
    }
    let _place = builds.git().questions().take(payer).await?;
    // The previous request in the queue may have computed the same history.
    if let Some(known) = histories.known(&between) {
        return Ok(known);
    }
    let commits = builds.git().commits(app, (from, to), most).await?;
    histories.remember(between, &commits);
    Ok(commits)
}
