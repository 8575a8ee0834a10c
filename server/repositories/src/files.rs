//! Creates a commit of files without a push: the first one of an app, from a sample.

use anyhow::{Context as _, bail};
use api::ids::AppId;
use chrono::{DateTime, Utc};
use worker::Work;

use crate::{handle::Repositories, plumbing};

impl Repositories {
    /// Creates a commit of `files` without a parent, with `email` as its author. It is on no branch. Returns its id.
    pub async fn commit_files(
        &self,
        app: AppId,
        (email, message): (&str, &str),
        files: &[(&str, &str)],
        now: DateTime<Utc>,
    ) -> anyhow::Result<String> {
        self.import(app, &stream(email, message, files, now)).await
    }

    async fn import(&self, app: AppId, stream: &str) -> anyhow::Result<String> {
        let repository = self.ensure(app).await?;
        // Two concurrent imports would conflict on the lock of the ref.
        let used = self.of(app);
        let _turn = used.importing.lock().await;
        let writing = self.write(app).await?;
        // With --force: a sample that failed to build may be replaced by another.
        let program = plumbing::git(&["fast-import", "--quiet", "--done", "--force"]);
        let order = self.order(&repository, Work::Program(program));
        let done = self.workers().output(&order, stream.as_bytes(), 4096).await.context("write the commit")?;
        if done.code != 0 {
            bail!("git fast-import: {}", done.stderr.trim());
        }
        writing.ended_well();
        let tip = self.tip(app, "refs/wharf/sample").await?;
        tip.context("the commit of the sample does not exist")
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_written_byte_by_byte() {
        let got = stream("a@x.dev", "Start", &[("a.txt", "é\n")], DateTime::UNIX_EPOCH);
        let want = "commit refs/wharf/sample\ncommitter a@x.dev <a@x.dev> 0 +0000\ndata 5\nStart\n\
                    M 644 inline a.txt\ndata 3\né\n\ndone\n";
        assert_eq!(got, want);
    }
}
