//! The paths of repositories and their hooks.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::Platform;

/// The repository of an app.
pub(super) fn path(platform: &Platform, app: Uuid) -> PathBuf {
    folder(&platform.config().data).join(format!("{app}.git"))
}

pub(super) fn folder(data: &Path) -> PathBuf {
    data.join("git")
}

/// The hooks that all repositories share.
pub(super) fn hooks(data: &Path) -> PathBuf {
    folder(data).join("hooks")
}
