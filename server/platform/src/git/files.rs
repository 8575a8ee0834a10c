//! A commit without a push: the first one of an app, from a sample.

use anyhow::{Context as _, bail};
use base::{Error, Result};
use chrono::{DateTime, Utc};
use identity::Actor;
use uuid::Uuid;
use worker::Work;

use super::{handle::Repositories, hook::Push, plumbing, push, repositories::ensure};
use crate::Platform;

const BRANCH: &str = "refs/heads/main";
const NONE: &str = "0000000000000000000000000000000000000000";

/// Puts `files` into the repository of an app as its first commit, and builds it like a push to
/// main. Refused when something was deployed from there before; the branch moves when the build
/// has succeeded. Answers with the build.
pub(crate) async fn deploy_files(
    platform: &Platform,
    app: &store::apps::Row,
    actor: &Actor,
    message: &str,
    files: &[(&str, &str)],
    now: DateTime<Utc>,
) -> Result<Uuid> {
    if super::tip(platform, app.id, BRANCH).await?.is_some() {
        return Err(Error::invalid("The app already has code. Samples are only for apps without code."));
    }
    let commit = import(platform, app.id, &stream(&actor.account.email, message, files, now)).await?;
    let push = Push { name: BRANCH.into(), old: NONE.into(), new: commit };
    push::create(platform, app, &actor.asker(), &push, message).await
}

/// The input of `git fast-import` for one commit without a parent.
fn stream(email: &str, message: &str, files: &[(&str, &str)], now: DateTime<Utc>) -> String {
    let mut out = format!(
        "commit refs/wharf/sample\ncommitter {email} <{email}> {} +0000\ndata {}\n{message}\n",
        now.timestamp(),
        message.len()
    );
    for (path, content) in files {
        out.push_str(&format!("M 644 inline {path}\ndata {}\n{content}\n", content.len()));
    }
    out.push_str("done\n");
    out
}

async fn import(platform: &Platform, app: Uuid, stream: &str) -> anyhow::Result<String> {
    let repository = ensure(platform, app).await?;
    let writing = Repositories::write(platform, app).await?;
    // By force: a sample that did not build may be followed by another one.
    let program = plumbing::git(&["fast-import", "--quiet", "--done", "--force"]);
    let order = plumbing::order(platform, &repository, Work::Program(program));
    let done = platform.git().workers().output(&order, stream.as_bytes(), 4096).await.context("write the commit")?;
    if done.code != 0 {
        bail!("git fast-import: {}", done.stderr.trim());
    }
    writing.ended_well();
    let tip = super::tip(platform, app, "refs/wharf/sample").await?;
    tip.context("the commit of the sample is not there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_told_byte_by_byte() {
        let got = stream("a@x.dev", "Start", &[("a.txt", "é\n")], DateTime::UNIX_EPOCH);
        let want = "commit refs/wharf/sample\ncommitter a@x.dev <a@x.dev> 0 +0000\ndata 5\nStart\n\
                    M 644 inline a.txt\ndata 3\né\n\ndone\n";
        assert_eq!(got, want);
    }
}
