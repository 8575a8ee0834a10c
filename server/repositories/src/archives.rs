//! Archives of the files of a commit.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use api::ids::AppId;

use crate::{branches::is_id, handle::Repositories, plumbing};

impl Repositories {
    /// Writes the files of a commit to a tar archive, unchanged.
    pub async fn archive(&self, app: AppId, commit: &str, file: &Path) -> anyhow::Result<()> {
        if !is_id(commit) {
            bail!("{commit} is not a commit");
        }
        let repository = self.ensure(app).await?;
        let program = plumbing::git(&["archive", "--format=tar", commit]);
        let mut order = self.order(&repository, worker::Work::Program(program));
        // The headers of an archive at most double its size.
        order.limits.file_bytes = self.limits().checkout_bytes.saturating_mul(2).saturating_add(64 << 20);
        let out = std::fs::File::create(file).context("create the archive")?;
        let lines = worker::Lines { stdout: Some(out.into()), ..worker::Lines::default() };
        let done = self.workers().start(&order, lines)?.done().await.context("extract the files of the commit")?;
        match done.code {
            0 => Ok(()),
            code => Err(anyhow!("git archive ended with status {code}").context("extract the files of the commit")),
        }
    }
}
