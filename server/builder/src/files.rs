//! Directories of the host's that apps write to.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;

/// Gives `path` itself (not what a link points to) to the user.
pub(crate) fn own(path: &Path, uid: u32) -> io::Result<()> {
    lchown(path, Some(uid), Some(uid))
}

/// Makes a directory and its parents, for the user alone.
pub(crate) fn make_private(path: &Path, uid: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    own(path, uid)
}
