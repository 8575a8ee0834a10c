//! Images of disks, mounted through loop devices.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount as mount_now};

/// Mounts the disk in `image` at the directory `at`, in the mount namespace of this process. Both
/// paths are the platform's own. The loop device is detached when it is unmounted.
pub fn mount(image: &Path, at: &Path) -> io::Result<()> {
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
pub fn is_loop_of(device: &Path, image: &fs::Metadata) -> bool {
    let mut found = LoopInfo::EMPTY;
    // Not opened exclusively: a concurrent mount would fail.
    let Ok(open) = File::open(device) else { return false };
    // SAFETY: the structure is laid out as in the kernel's header and outlives the call.
    let known = unsafe { libc::ioctl(open.as_raw_fd(), LOOP_GET_STATUS64, &raw mut found) } == 0;
    known && found.info[..2] == [image.dev(), image.ino()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structure_is_as_long_as_the_kernels() {
        assert_eq!((size_of::<LoopInfo>(), size_of::<LoopConfig>()), (232, 304));
    }
}
