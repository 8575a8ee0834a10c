//! Where the repositories and their hooks are.

use std::path::{Path, PathBuf};

use api::ids::AppId;

use crate::handle::Repositories;

impl Repositories {
    /// The repository of an app.
    pub(crate) fn path(&self, app: AppId) -> PathBuf {
        folder(self.data()).join(format!("{app}.git"))
    }
}

pub(crate) fn folder(data: &Path) -> PathBuf {
    data.join("git")
}

/// The hooks that all repositories share.
pub(crate) fn hooks(data: &Path) -> PathBuf {
    folder(data).join("hooks")
}
