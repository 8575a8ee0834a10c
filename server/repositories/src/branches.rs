//! Branches: their position, and how deployed ones are moved.

use anyhow::Context as _;
use api::ids::AppId;

use crate::{
    handle::Repositories,
    inside::{Move, Tip},
};

/// The branches that are deployed. Other refs never are, whatever their names.
pub const DEPLOYED: [&str; 2] = ["refs/heads/main", "refs/heads/master"];

pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

pub(crate) fn is_tip(tip: Option<&str>, id: &str) -> bool {
    tip == Some(id).filter(|id| id.bytes().any(|b| b != b'0'))
}

impl Repositories {
    /// Moves a branch from `old` to `new`; all zeros mean no commit. A branch that is already at `new` is unchanged, so
    /// that a job can repeat this.
    pub async fn move_ref(&self, app: AppId, name: &str, old: &str, new: &str) -> anyhow::Result<()> {
        let repository = self.ensure(app).await?;
        let writing = self.write(app).await?;
        let task = Move { name: name.into(), old: old.into(), new: new.into() };
        self.ask(&repository, &task).await.with_context(|| format!("move {name}"))?;
        writing.ended_well();
        Ok(())
    }

    /// Whether a branch is at the commit `id`; all zeros mean that the branch does not exist.
    pub async fn is_at(&self, app: AppId, name: &str, id: &str) -> anyhow::Result<bool> {
        Ok(is_tip(self.tip(app, name).await?.as_deref(), id))
    }

    /// The commit of a branch; `name` is its full name.
    pub async fn tip(&self, app: AppId, name: &str) -> anyhow::Result<Option<String>> {
        let repository = self.ensure(app).await?;
        let tip = self.ask(&repository, &Tip { name: name.into() }).await.context("read the branch")?;
        Ok(tip.filter(|id| is_id(id)))
    }
}
