//! Directories on the host that apps write to.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;

/// Changes the owner of `path` itself, without following a link.
pub(crate) fn own(path: &Path, uid: u32) -> io::Result<()> {
    lchown(path, Some(uid), Some(uid))
}

/// Creates a directory and its parents, for the user alone.
pub(crate) fn make_private(path: &Path, uid: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    own(path, uid)
}
