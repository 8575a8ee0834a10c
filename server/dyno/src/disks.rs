//! Disks of a fixed size: a file system in a sparse file, so that a tenant's data is limited in bytes and in files,
//! however it is written and whether or not it still has a name.
//!
//! A disk is a copy of an empty file system of its size, which is created once: some hundred kilobytes; the rest are
//! holes, which are allocated and freed as the tenant writes and deletes. It has no journal, because it is discarded
//! after a crash. It is mounted through a loop device that is released with its mount. Where a machine cannot mount one
//! (no loop devices, or no `mkfs.ext4`), there are no disks, and only the machine's own disk limits tenants; `wharfd
//! doctor` reports that.

mod lent;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::mount::{MntFlags, umount2};
use shim::fill::Fill;
use shim::image::mount;

pub use self::lent::Lent;
pub use shim::Size;

/// The names of templates, next to the dynos, and of unfinished ones.
const TEMPLATE: &str = ".disk-";
pub(crate) const UNFINISHED: &str = ".new-disk-";
/// The program that creates a file system.
const PROGRAM: &str = "mkfs.ext4";
/// The smallest file system.
pub const LEAST_BYTES: u64 = 16 << 20;

/// Why this machine cannot have disks of a fixed size; `None` if it can. Tested once per process, in `folder`.
pub fn missing(folder: &Path) -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    FOUND.get_or_init(|| try_out(folder).err()).as_deref()
}

/// Mounts a small disk whose image is in `folder`, writes to it, and removes it. An error names what is missing, and
/// what to do: the presence of a control device does not mean that there are loop devices, or that the file system can
/// be mounted through them.
fn try_out(folder: &Path) -> Result<(), String> {
    if !Path::new("/dev/loop-control").exists() {
        return Err("there are no loop devices (/dev/loop-control); load them with: modprobe loop".to_owned());
    }
    let place = folder.join(format!("{UNFINISHED}{}", std::process::id()));
    let (image, at) = (place.join("image"), place.join("disk"));
    let tried = fs::create_dir_all(&at).and_then(|()| format(&image, Size::of(LEAST_BYTES)));
    let tried = tried.and_then(|()| mount(&image, &at)).and_then(|()| {
        let written = fs::write(at.join("file"), b"a few words");
        umount2(&at, MntFlags::MNT_DETACH)?;
        written
    });
    let _ = trees::remove(&place);
    tried.map_err(|e| match e.kind() {
        ErrorKind::NotFound if e.to_string().contains(PROGRAM) => {
            format!("the program {PROGRAM} is missing; install it with: apt-get install e2fsprogs")
        }
        _ => format!("an ext4 disk cannot be mounted from an image in {} ({e})", folder.display()),
    })
}

/// Fails as on a full disk if less than `bytes` are free below `folder` beyond the reserve, or if inodes are nearly
/// exhausted: data written to an image while the machine's disk is full is silently lost.
pub fn must_have_space(folder: &Path, bytes: u64) -> io::Result<()> {
    let found = Fill::of(&File::open(folder)?)?;
    match found.lack(bytes) {
        Some(lack) => Err(io::Error::new(
            ErrorKind::StorageFull,
            format!("No space left on device: {lack} below {}", folder.display()),
        )),
        None => Ok(()),
    }
}

/// Creates the image of an empty disk at `image`, if the machine's disk has room. Templates are in the directory
/// `templates`.
pub(crate) fn make(templates: &Path, image: &Path, size: Size) -> io::Result<()> {
    must_have_space(image.parent().unwrap_or(image), 0)?;
    let template = templates.join(format!("{TEMPLATE}{}-{}", size.bytes, size.files));
    if !template.exists() {
        make_template(templates, &template, size)?;
    }
    copy_sparse(&template, image)
}

/// Created under another name and renamed, so that a partial one is never used.
fn make_template(templates: &Path, template: &Path, size: Size) -> io::Result<()> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let aside = templates.join(format!("{UNFINISHED}{}-{number}", std::process::id()));
    let made = format(&aside, size).and_then(|()| fs::rename(&aside, template));
    if made.is_err() {
        let _ = fs::remove_file(&aside);
    }
    made
}

fn format(image: &Path, size: Size) -> io::Result<()> {
    private().create_new(true).write(true).open(image)?.set_len(size.bytes)?;
    let output = Command::new(PROGRAM)
        .args(["-q", "-F", "-m", "0", "-O", "^has_journal,^resize_inode,sparse_super2"])
        .args(["-E", "lazy_itable_init=1,nodiscard,num_backup_sb=0", "-N", &size.files.to_string()])
        .arg(image)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| io::Error::new(e.kind(), format!("{PROGRAM}: {e}")))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{PROGRAM}: {}", String::from_utf8_lossy(&output.stderr).trim()))),
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Copies the data of `from`; its holes stay holes.
fn copy_sparse(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (File::open(from)?, private().create(true).truncate(true).write(true).open(to)?);
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let mut at = 0;
    while let Some(start) = seek(&from, at, libc::SEEK_DATA)? {
        at = seek(&from, start, libc::SEEK_HOLE)?.unwrap_or(length);
        let mut piece = vec![0; (at - start) as usize];
        from.read_exact_at(&mut piece, start)?;
        to.write_all_at(&piece, start)?;
    }
    Ok(())
}

/// Where the next data or hole at or after `at` begins; `None` after the last.
fn seek(file: &File, at: u64, whence: i32) -> io::Result<Option<u64>> {
    // SAFETY: plain system call on an open descriptor.
    match unsafe { libc::lseek(file.as_raw_fd(), at as libc::off_t, whence) } {
        found @ 0.. => Ok(Some(found as u64)),
        _ => match io::Error::last_os_error() {
            e if e.raw_os_error() == Some(libc::ENXIO) => Ok(None),
            e => Err(e),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_copy_has_the_data_and_the_holes() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let file = private().create_new(true).write(true).open(&from).unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(b"begin", 0).unwrap();
        file.write_all_at(b"middle", 32 << 20).unwrap();
        fs::write(&to, vec![1; 9000]).unwrap();
        copy_sparse(&from, &to).unwrap();
        assert!(fs::read(&from).unwrap() == fs::read(&to).unwrap());
        assert!(fs::metadata(&to).unwrap().blocks() * 512 < 1 << 20);
    }
}
