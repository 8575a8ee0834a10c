//! The dyno's disk, mounted by a separate process while the rest of the dyno is set up, since mounting mostly waits for
//! the kernel.
//!
//! The process has its own mount namespace, so that the mount is invisible on the host, and shares its descriptors with
//! the shim. Its result is the descriptor of a detached mount.

use std::fs;
use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

use nix::mount::{MsFlags, mount};

use crate::pipe::Pipe;
use crate::reap::reap;
use crate::{StateDir, image, places};

/// A disk that is being mounted.
pub(crate) struct Making {
    process: i32,
    word: Pipe,
}

/// Starts to mount the disk of the dyno of `state`, if it has one. To be called while there is one thread.
pub(crate) fn begin(state: &StateDir) -> io::Result<Option<Making>> {
    if !state.image().exists() {
        return Ok(None);
    }
    let word = Pipe::new()?;
    let flags = libc::CLONE_NEWNS | libc::CLONE_FILES | libc::SIGCHLD;
    // SAFETY: this process has one thread, so the child may do anything.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } as i32 {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let answer = match mount_apart(state) {
                Ok(disk) => disk.into_raw_fd().to_string(),
                Err(e) => e.to_string(),
            };
            // Not closed here: the descriptors are shared, and the shim closes it.
            let mut writer = ManuallyDrop::new(fs::File::from(word.writer));
            let _ = writer.write_all(answer.as_bytes());
            // SAFETY: plain system call; none of the shim's exit handlers must run.
            unsafe { libc::_exit(0) }
        }
        process => Ok(Some(Making { process, word })),
    }
}

impl Making {
    /// Waits for the mount.
    pub fn finish(self) -> io::Result<OwnedFd> {
        reap(self.process);
        drop(self.word.writer);
        let mut answer = String::new();
        fs::File::from(self.word.reader).read_to_string(&mut answer)?;
        match answer.parse() {
            // SAFETY: the process opened it in the descriptor table that both share, and passes its ownership to us.
            Ok(number) => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
            Err(_) => Err(io::Error::other(answer)),
        }
    }
}

fn mount_apart(state: &StateDir) -> io::Result<OwnedFd> {
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    let at = state.disk();
    fs::create_dir_all(&at)?;
    image::mount(&state.image(), &at)?;
    places::detached(&places::host(&at)?)
}
