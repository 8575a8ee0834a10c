//! Branches: their position, and how deployed ones are moved.

use anyhow::Context as _;
use api::ids::AppId;

use crate::{
    handle::Repositories,
    inside::{Contains, Move, Stale, Tip},
};

/// The branches that are deployed. Other refs never are, whatever their names.
pub const DEPLOYED: [&str; 2] = ["refs/heads/main", "refs/heads/master"];

pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

impl Repositories {
    /// Moves a branch to `new`, from `old` or from any commit in the history of `new`; all zeros mean no commit. A branch
    /// that is already at `new` is unchanged, so that a job can repeat this.
    pub async fn move_ref(&self, app: AppId, name: &str, old: &str, new: &str) -> anyhow::Result<()> {
        let repository = self.ensure(app).await?;
        let writing = self.write(app).await?;
        let task = Move { name: name.into(), old: old.into(), new: new.into() };
        self.ask(&repository, &task).await.with_context(|| format!("move {name}"))?;
        writing.ended_well();
        Ok(())
    }

    /// Whether a push that has seen a branch at `old` must not move it to `new`, because it has moved, and not to a commit
    /// in the history of `new`. All zeros mean that there was no branch.
    pub async fn is_stale(&self, app: AppId, name: &str, (old, new): (&str, &str)) -> anyhow::Result<bool> {
        let repository = self.ensure(app).await?;
        let task = Stale { name: name.into(), old: old.into(), new: new.into() };
        self.ask(&repository, &task).await.context("compare the branch with the push")
    }

    /// Whether the history of the commit `new` contains the commit `old`.
    pub async fn contains(&self, app: AppId, new: &str, old: &str) -> anyhow::Result<bool> {
        let repository = self.ensure(app).await?;
        let task = Contains { new: new.into(), old: old.into() };
        self.ask(&repository, &task).await.context("compare two commits")
    }

    /// The commit of a branch; `name` is its full name.
    pub async fn tip(&self, app: AppId, name: &str) -> anyhow::Result<Option<String>> {
        let repository = self.ensure(app).await?;
        let tip = self.ask(&repository, &Tip { name: name.into() }).await.context("read the branch")?;
        Ok(tip.filter(|id| is_id(id)))
    }
}
