//! The program of shims, which is embedded, and its file.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The executable, built by `build.rs`.
static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/wharf-shim"));

/// Writes the program to a file in `folder`, for root alone, unless it is there already, and returns the file's path.
/// The file of another version is replaced; its shims keep running.
pub(crate) fn install(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join("wharf-shim");
    if is_installed(&path)? {
        return Ok(path);
    }
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let aside = folder.join(format!("{UNFINISHED}{}-{number}", std::process::id()));
    let written = write(&aside).and_then(|()| fs::rename(&aside, &path));
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written.map(|()| path)
}

/// The name of a file that is being written.
const UNFINISHED: &str = ".new-wharf-shim-";

/// Whether the file has the contents and the permissions that it should have.
fn is_installed(path: &Path) -> io::Result<bool> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let found = match &file {
        Ok(file) => file.metadata()?,
        Err(e) if e.kind() == ErrorKind::NotFound || e.raw_os_error() == Some(libc::ELOOP) => return Ok(false),
        Err(_) => fs::symlink_metadata(path)?,
    };
    // SAFETY: plain system call.
    let is_ours = found.is_file() && found.mode() & 0o7777 == 0o700 && found.uid() == unsafe { libc::geteuid() };
    Ok(is_ours && fs::read(path)? == PROGRAM)
}

fn write(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o700).open(path)?;
    file.write_all(PROGRAM)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn only_the_program_itself_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = install(dir.path()).unwrap();
        let inode = || fs::symlink_metadata(&path).unwrap().ino();
        let first = inode();
        install(dir.path()).unwrap();
        assert_eq!(inode(), first, "it is not written again");

        let other = dir.path().join("other");
        let spoil: [&dyn Fn(); 3] = [
            &|| fs::write(&path, "another version").unwrap(),
            &|| fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap(),
            &|| {
                fs::rename(&path, &other).unwrap();
                symlink(&other, &path).unwrap();
            },
        ];
        for (case, spoil) in spoil.into_iter().enumerate() {
            spoil();
            install(dir.path()).unwrap();
            let found = fs::symlink_metadata(&path).unwrap();
            assert!(found.is_file() && found.mode() & 0o7777 == 0o700, "{case}");
            assert!(fs::read(&path).unwrap() == PROGRAM, "{case}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing unfinished is left");
    }
}
