//! Files that an app may have tampered with, handled by root without following a link.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, lchown};
use std::path::Path;

/// Opens a regular file for reading. A link, a pipe or a device is an error; so it never blocks and
/// never leaves the tree by its last component.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}

/// The text of a small regular file, at most `limit` bytes of it. None if there is no such file.
pub(crate) fn read_small(path: &Path, limit: u64) -> io::Result<Option<String>> {
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

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

/// Removes a file or a whole tree. It is fine if there is none.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    trees::remove(path)
}
