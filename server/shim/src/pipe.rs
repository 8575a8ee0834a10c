//! Pipes between the shim and its children.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Both ends of a pipe, closed on exec.
pub(crate) struct Pipe {
    pub reader: OwnedFd,
    pub writer: OwnedFd,
}

impl Pipe {
    pub fn new() -> io::Result<Pipe> {
        let mut ends = [0; 2];
        // SAFETY: the array holds two descriptors; they are new and owned by nobody else.
        unsafe {
            if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Pipe { reader: OwnedFd::from_raw_fd(ends[0]), writer: OwnedFd::from_raw_fd(ends[1]) })
        }
    }

    /// A large pipe, owned by the app's user, so that the app can open /dev/stdout.
    pub fn for_output(uid: u32) -> io::Result<Pipe> {
        let pipe = Pipe::new()?;
        let fd = pipe.writer.as_raw_fd();
        // SAFETY: plain system calls on an open descriptor.
        unsafe {
            // A larger buffer is optional: the default of 64 KiB would do.
            libc::fcntl(fd, libc::F_SETPIPE_SZ, 256 * 1024);
            if libc::fchown(fd, uid, uid) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(pipe)
    }
}
