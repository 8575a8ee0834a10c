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
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::mount::{MntFlags, MsFlags, mount as mount_now, umount2};
use serde::{Deserialize, Serialize};

pub use self::lent::Lent;

/// The names of templates, next to the dynos, and of unfinished ones.
const TEMPLATE: &str = ".disk-";
pub(crate) const UNFINISHED: &str = ".new-disk-";
/// The program that creates a file system.
const PROGRAM: &str = "mkfs.ext4";
/// The smallest file system.
pub const LEAST_BYTES: u64 = 16 << 20;

/// The space kept free on the machine's disk, for existing images that may still grow, for the database, and for logs:
/// one in this many bytes and files,
const RESERVED_SHARE: u64 = 50;
/// but at least and at most this many bytes.
const LEAST_RESERVE: u64 = 256 << 20;
const MOST_RESERVE: u64 = 10 << 30;

/// The size of a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Size {
    /// Bytes, at least [`LEAST_BYTES`], including the file system's metadata.
    pub bytes: u64,
    /// Files and directories.
    pub files: u64,
}

impl Default for Size {
    /// 10 GB and a million files.
    fn default() -> Self {
        Size::of(10 << 30)
    }
}

impl Size {
    /// This many bytes, and a file for every 10 KB of them, at most a million.
    pub const fn of(bytes: u64) -> Size {
        let files = bytes / (10 << 10);
        Size { bytes, files: if files > 1_000_000 { 1_000_000 } else { files } }
    }
}

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

/// Mounts the disk in `image` at the directory `at`, in the mount namespace of this process. Both
/// paths are the platform's own. The loop device is detached when it is unmounted.
pub(crate) fn mount(image: &Path, at: &Path) -> io::Result<()> {
    let image = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(image)?;
    let (device, _open) = attach_loop(&image)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOATIME | MsFlags::MS_SILENT;
    // Its contents need not survive a crash, so there is no point in waiting for the machine's disk.
    let options = "noinit_itable,discard,nobarrier";
    mount_now(Some(device.as_path()), at, Some("ext4"), flags, Some(options)).map_err(io::Error::from)
}

const LOOP_GET_STATUS64: libc::Ioctl = 0x4c05;
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4c82;
const LOOP_CONFIGURE: libc::Ioctl = 0x4c0a;
const AUTOCLEAR: u32 = 4;
/// Another process may take the device between the search for a free one and its use.
const TRIES: u32 = 100;

/// struct loop_info64: five numbers of 64 bits, of which the first two say which file it is, three of 32, the flags,
/// and names and keys.
#[repr(C)]
struct LoopInfo {
    info: [u64; 5],
    numbers: [u32; 3],
    flags: u32,
    rest: [u8; 176],
}

impl LoopInfo {
    const EMPTY: Self = Self { info: [0; 5], numbers: [0; 3], flags: 0, rest: [0; 176] };
}

/// struct loop_config, most of which stays zero.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

fn attach_loop(image: &File) -> io::Result<(PathBuf, File)> {
    let control = OpenOptions::new().read(true).write(true).open("/dev/loop-control")?;
    let config = LoopConfig {
        fd: image.as_raw_fd() as u32,
        block_size: 0,
        // No direct I/O: the data that has just been copied would have to reach the machine's disk first.
        info: LoopInfo { flags: AUTOCLEAR, ..LoopInfo::EMPTY },
        reserved: [0; 8],
    };
    for _ in 0..TRIES {
        // SAFETY: plain system call on an open descriptor.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        let device = PathBuf::from(format!("/dev/loop{number}"));
        let open = match OpenOptions::new().read(true).write(true).open(&device) {
            // Its previous user has not finished detaching it yet.
            Err(e) if e.raw_os_error() == Some(libc::ENXIO) => continue,
            open => open?,
        };
        // SAFETY: the structure is laid out as in the kernel's header and outlives the call.
        if unsafe { libc::ioctl(open.as_raw_fd(), LOOP_CONFIGURE, &raw const config) } == 0 {
            return Ok((device, open));
        }
        match io::Error::last_os_error() {
            e if e.raw_os_error() == Some(libc::EBUSY) => {}
            e => return Err(e),
        }
    }
    Err(io::Error::new(ErrorKind::ResourceBusy, "no free loop device"))
}

/// Whether a loop device is attached to `image`. Its number may have been reused by now.
fn is_loop_of(device: &Path, image: &fs::Metadata) -> bool {
    let mut found = LoopInfo::EMPTY;
    // Not opened exclusively: a concurrent mount would fail.
    let Ok(open) = File::open(device) else { return false };
    // SAFETY: the structure is laid out as in the kernel's header and outlives the call.
    let known = unsafe { libc::ioctl(open.as_raw_fd(), LOOP_GET_STATUS64, &raw mut found) } == 0;
    known && found.info[..2] == [image.dev(), image.ino()]
}

/// The usage of a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fill {
    pub bytes: u64,
    pub free_bytes: u64,
    pub files: u64,
    pub free_files: u64,
}

impl Fill {
    /// The usage of the file system that contains an open file.
    pub fn of(place: &File) -> io::Result<Fill> {
        let found = nix::sys::statvfs::fstatvfs(place)?;
        let block = found.fragment_size();
        Ok(Fill {
            bytes: found.blocks() * block,
            free_bytes: found.blocks_available() * block,
            files: found.files(),
            free_files: found.files_available(),
        })
    }

    /// Whether writes fail, or soon will.
    pub fn is_full(&self) -> bool {
        self.free_bytes < self.bytes / 200 || (self.files > 0 && self.free_files < self.files / 1000 + 1)
    }

    /// The shortage that prevents writing this many more bytes.
    fn lack(&self, bytes: u64) -> Option<String> {
        let reserve = (self.bytes / RESERVED_SHARE).clamp(LEAST_RESERVE, MOST_RESERVE);
        if self.free_bytes < reserve.saturating_add(bytes) {
            return Some(format!("{} MB are free, of which {} MB are reserved,", self.free_bytes >> 20, reserve >> 20));
        }
        // Some file systems have no inode limit, and report zero.
        let is_short = self.files > 0 && self.free_files < self.files / RESERVED_SHARE;
        is_short.then(|| format!("{} of {} files (inodes) are left", self.free_files, self.files))
    }

    /// The message for the app's log.
    pub fn sentence(&self) -> String {
        let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
        format!(
            "Disk quota exceeded: /app and /tmp of this dyno have {} MB of {} MB and {} of {} files left, so writes \
             fail with \"No space left on device\". Remove unneeded files; keep permanent or large data in a database \
             or an object store. A new dyno starts with an empty disk.",
            self.free_bytes >> 20,
            megabytes(self.bytes),
            self.free_files,
            self.files
        )
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_disk_is_full_before_nothing_is_left() {
        let fill = |free_bytes, free_files| Fill { bytes: 1 << 30, free_bytes, files: 10_000, free_files };
        assert!(!fill(100 << 20, 5000).is_full());
        assert!(fill(1 << 20, 5000).is_full() && fill(100 << 20, 0).is_full());
        assert!(fill(0, 5000).sentence().contains("0 MB of 1024 MB"));
    }

    #[test]
    fn a_share_of_the_machine_stays_free() {
        let fill = |bytes, free_bytes, free_files| Fill { bytes, free_bytes, files: 1_000_000, free_files };
        let lack = |fill: Fill, more| fill.lack(more).unwrap_or_default();
        // A larger share of a small disk, a smaller one of a large disk.
        for (bytes, reserve) in [(1 << 30, 256 << 20), (100 << 30, 2 << 30), (10 << 40, 10 << 30)] {
            assert_eq!(lack(fill(bytes, reserve + 5, 500_000), 5), "");
            assert!(lack(fill(bytes, reserve + 5, 500_000), 6).contains("MB are reserved"));
        }
        assert_eq!(lack(fill(1 << 40, 1 << 39, 20_000), 0), "");
        assert!(lack(fill(1 << 40, 1 << 39, 19_999), 0).contains("19999 of 1000000 files (inodes) are left"));
        assert_eq!(lack(Fill { files: 0, ..fill(1 << 40, 1 << 39, 0) }, 0), "");
    }

    #[test]
    fn the_structure_is_as_long_as_the_kernels() {
        assert_eq!((size_of::<LoopInfo>(), size_of::<LoopConfig>()), (232, 304));
    }
}
