//! Disks that are mounted on the host for a while: for a build, which is prepared and looked at from
//! outside of its dyno.
//!
//! One that is kept for the next time has been closed properly, or it is made anew: without a
//! journal, what a crash left cannot be trusted. So an image has its name only while it is closed.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

use super::{Fill, Size, make, mount};

/// How long what is unmounted may take to be written down.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);

/// A disk's image, and where it is mounted while it is lent.
#[derive(Clone, Debug)]
pub struct Lent {
    /// The image; its templates are beside it, or where `templates` says.
    pub image: PathBuf,
    /// A directory that is made if it is missing.
    pub at: PathBuf,
    /// What fits on it. A kept one of another size is made anew.
    pub size: Size,
    /// Where templates are kept.
    pub templates: PathBuf,
}

impl Lent {
    /// Mounts it: the one that was kept, or an empty one. What an interrupted loan left is removed.
    pub fn lend(&self) -> io::Result<()> {
        self.take_back(false)?;
        fs::create_dir_all(&self.at)?;
        let open = self.open_image();
        let kept = fs::metadata(&self.image).is_ok_and(|found| found.len() == self.size.bytes);
        if kept {
            fs::rename(&self.image, &open)?;
            if mount(&open, &self.at).is_ok() {
                return Ok(());
            }
        }
        for old in [&open, &self.image] {
            remove(old)?;
        }
        make(&self.templates, &open, self.size)?;
        mount(&open, &self.at)
    }

    /// Unmounts it, and keeps its content for the next time or not. It is fine if it is not lent.
    pub fn take_back(&self, keep: bool) -> io::Result<()> {
        let device = device_at(&self.at)?;
        match umount2(&self.at, MntFlags::empty()) {
            Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
            // Somebody still looks at it; it goes when they do.
            Err(Errno::EBUSY) => umount2(&self.at, MntFlags::MNT_DETACH)?,
            Err(e) => return Err(e.into()),
        }
        let closed = device.is_some_and(|device| keep && is_released(&device));
        match closed.then(|| fs::rename(self.open_image(), &self.image)) {
            None => remove(&self.open_image()),
            // It was thrown away while it was lent.
            Some(Err(e)) if e.kind() == ErrorKind::NotFound => Ok(()),
            Some(kept) => kept,
        }
    }

    /// Has everything on it written to the image. Fails if the machine's own disk did not take all of
    /// it, which whoever wrote it may not have noticed.
    pub fn sync(&self) -> io::Result<()> {
        let place = fs::File::open(&self.at)?;
        // SAFETY: plain system call on an open descriptor.
        match unsafe { libc::syncfs(place.as_raw_fd()) } {
            0 => Ok(()),
            _ => Err(io::Error::other(format!(
                "the machine's disk did not take all that was written ({}): No space left on device, or it is broken",
                io::Error::last_os_error()
            ))),
        }
    }

    /// How many MB and files it has, if it is lent and full.
    pub fn full(&self) -> Option<(u64, u64)> {
        let fill = fs::File::open(&self.at).and_then(|place| Fill::of(&place)).ok()?;
        fill.is_full().then_some((fill.bytes >> 20, fill.files))
    }

    fn open_image(&self) -> PathBuf {
        self.image.with_extension("open")
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The device that is mounted at `at`, if one is.
fn device_at(at: &Path) -> io::Result<Option<PathBuf>> {
    let Ok(at) = at.canonicalize() else { return Ok(None) };
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let device = after.split(' ').nth(1)?;
        (Path::new(before.split(' ').nth(4)?) == at).then(|| PathBuf::from(device))
    }))
}

/// Waits until the device is nobody's: only then all is in the image, and nobody writes to it.
fn is_released(device: &Path) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match OpenOptions::new().read(true).custom_flags(libc::O_EXCL).open(device) {
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) => sleep(PAUSE),
            _ => return true,
        }
    }
    false
}
