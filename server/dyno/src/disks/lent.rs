//! Disks that are mounted on the host temporarily, for builds, which are prepared and read from outside their dyno.
//!
//! A disk that is kept for the next build was unmounted properly, or is recreated: without a journal, nothing on it
//! can be trusted after a crash. An image therefore has its name only while it is not mounted.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use shim::fill::Fill;
use shim::image::{is_loop_of, mount};

use super::{Size, make};

/// Time limit for flushing an unmounted disk.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);

/// A disk image, and its mount point while it is lent.
#[derive(Clone, Debug)]
pub struct Lent {
    /// The image; its templates are beside it, or where `templates` says.
    pub image: PathBuf,
    /// The mount point, created if it is missing.
    pub at: PathBuf,
    /// Its size. A kept image of another size is recreated.
    pub size: Size,
    /// The directory of templates.
    pub templates: PathBuf,
}

impl Lent {
    /// Mounts the kept image, or an empty one. Removes what an interrupted loan left behind.
    pub fn lend(&self) -> io::Result<()> {
        self.take_back(false)?;
        fs::create_dir_all(&self.at)?;
        let open = self.open_image();
        let kept = fs::metadata(&self.image).is_ok_and(|found| found.len() == self.size.bytes);
        if kept {
            fs::rename(&self.image, &open)?;
            match mount(&open, &self.at) {
                Ok(()) => return Ok(()),
                Err(e) if is_broken(&e) => {}
                // The cause is not its contents, which are kept for the next time.
                Err(e) => {
                    fs::rename(&open, &self.image)?;
                    return Err(e);
                }
            }
        }
        for old in [&open, &self.image] {
            remove(old)?;
        }
        make(&self.templates, &open, self.size)?;
        mount(&open, &self.at)
    }

    /// Unmounts it, and keeps or discards its contents. Does nothing if it is not lent.
    pub fn take_back(&self, keep: bool) -> io::Result<()> {
        let device = device_at(&self.at)?;
        match umount2(&self.at, MntFlags::empty()) {
            Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
            // A process still uses it; it is detached when that process exits.
            Err(Errno::EBUSY) => umount2(&self.at, MntFlags::MNT_DETACH)?,
            Err(e) => return Err(e.into()),
        }
        let closed = device.is_some_and(|device| keep && is_released(&device, &self.open_image()));
        match closed.then(|| fs::rename(self.open_image(), &self.image)) {
            None => remove(&self.open_image()),
            // It was discarded while it was lent.
            Some(Err(e)) if e.kind() == ErrorKind::NotFound => Ok(()),
            Some(kept) => kept,
        }
    }

    /// Flushes it to the image. Fails if the machine's own disk was too full for that, which the writers may not have
    /// noticed.
    pub fn sync(&self) -> io::Result<()> {
        let place = fs::File::open(&self.at)?;
        // SAFETY: plain system call on an open descriptor.
        match unsafe { libc::syncfs(place.as_raw_fd()) } {
            0 => Ok(()),
            _ => Err(io::Error::other(format!(
                "writing to the machine's disk failed ({}): No space left on device, or a defect",
                io::Error::last_os_error()
            ))),
        }
    }

    /// Its size in MB and files, if it is lent and full.
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

/// Whether mounting failed because of the contents of the file system.
fn is_broken(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EUCLEAN | libc::EBADMSG | libc::EIO))
}

/// Waits until the device is detached from the image: only then is the image complete, and has no writer. By then the
/// device may belong to an unrelated disk.
fn is_released(device: &Path, image: &Path) -> bool {
    let Ok(image) = fs::metadata(image) else { return true };
    let deadline = Instant::now() + PATIENCE;
    while is_loop_of(device, &image) {
        if Instant::now() > deadline {
            return false;
        }
        sleep(PAUSE);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disks::{LEAST_BYTES, missing};

    fn disk(folder: &Path, name: &str) -> Lent {
        Lent {
            image: folder.join(format!("{name}.img")),
            at: folder.join(name),
            size: Size::of(LEAST_BYTES),
            templates: folder.to_owned(),
        }
    }

    #[test]
    fn a_device_reused_by_another_disk_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        if missing(dir.path()).is_some() {
            return;
        }
        let (one, other) = (disk(dir.path(), "one"), disk(dir.path(), "other"));
        one.lend().unwrap();
        other.lend().unwrap();
        let [of_one, of_other] = [&one, &other].map(|disk| device_at(&disk.at).unwrap().unwrap());
        assert!(is_loop_of(&of_one, &fs::metadata(one.open_image()).unwrap()));
        assert!(is_released(&of_other, &one.open_image()), "it waited for another disk's end");
        one.take_back(true).unwrap();
        other.take_back(false).unwrap();
        assert!(one.image.exists() && !other.image.exists());
    }

    #[test]
    fn what_is_kept_is_there_again_whoever_takes_disks_beside() {
        let dir = tempfile::tempdir().unwrap();
        if missing(dir.path()).is_some() {
            return;
        }
        std::thread::scope(|scope| {
            for name in ["a", "b", "c", "d"] {
                let disk = disk(dir.path(), name);
                scope.spawn(move || {
                    for round in 0..12 {
                        disk.lend().unwrap();
                        let file = disk.at.join("round");
                        if round > 0 {
                            assert_eq!(fs::read_to_string(&file).ok(), Some(format!("{}", round - 1)), "{name}");
                        }
                        fs::write(&file, round.to_string()).unwrap();
                        disk.take_back(true).unwrap();
                    }
                });
            }
        });
    }
}
