//! epoll and SIGTERM, which the standard library has no words for.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

#[repr(C)]
#[cfg_attr(target_arch = "x86_64", repr(packed))]
#[derive(Clone, Copy)]
struct Event {
    events: u32,
    data: u64,
}

unsafe extern "C" {
    fn epoll_create1(flags: c_int) -> c_int;
    fn epoll_ctl(epoll: c_int, operation: c_int, fd: c_int, event: *mut Event) -> c_int;
    fn epoll_wait(epoll: c_int, events: *mut Event, max: c_int, timeout_ms: c_int) -> c_int;
    fn signal(number: c_int, handler: usize) -> usize;
}

const CLOEXEC: c_int = 0o2000000;
const ADD: c_int = 1;
const MODIFY: c_int = 3;
const READABLE: u32 = 0x1 | 0x2000; // EPOLLIN, EPOLLRDHUP
const ONESHOT: u32 = 1 << 30;
const SIGTERM: c_int = 15;
const BATCH: usize = 256;

static STOPPING: AtomicBool = AtomicBool::new(false);

extern "C" fn stop(_: c_int) {
    STOPPING.store(true, Ordering::Relaxed);
}

/// From now on SIGTERM does no more than make [`is_stopping`] true.
pub fn catch_sigterm() {
    // SAFETY: the handler only stores to an atomic, which is allowed in a signal handler.
    unsafe { signal(SIGTERM, stop as *const () as usize) };
}

pub fn is_stopping() -> bool {
    STOPPING.load(Ordering::Relaxed)
}

/// Descriptors that wait for something to read.
pub struct Poll(OwnedFd);

impl Poll {
    pub fn new() -> io::Result<Poll> {
        // SAFETY: no pointers; a descriptor that is not negative is ours.
        let fd = check(unsafe { epoll_create1(CLOEXEC) })?;
        Ok(Poll(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Watches a descriptor until it is closed.
    pub fn add(&self, fd: RawFd) -> io::Result<()> {
        self.control(ADD, fd, READABLE)
    }

    /// Watches a descriptor until it is reported once; then [`Poll::again`] is needed.
    pub fn add_once(&self, fd: RawFd) -> io::Result<()> {
        self.control(ADD, fd, READABLE | ONESHOT)
    }

    pub fn again(&self, fd: RawFd) -> io::Result<()> {
        self.control(MODIFY, fd, READABLE | ONESHOT)
    }

    fn control(&self, operation: c_int, fd: RawFd, events: u32) -> io::Result<()> {
        let mut event = Event { events, data: fd as u64 };
        // SAFETY: the kernel reads the event during the call and keeps no pointer to it.
        check(unsafe { epoll_ctl(self.0.as_raw_fd(), operation, fd, &raw mut event) }).map(drop)
    }

    /// What is readable, after `timeout_ms` at most.
    pub fn wait(&self, timeout_ms: i32) -> io::Result<Vec<RawFd>> {
        let mut events = [Event { events: 0, data: 0 }; BATCH];
        // SAFETY: the kernel writes at most BATCH events to the array.
        let n = unsafe { epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), BATCH as c_int, timeout_ms) };
        match check(n) {
            Ok(n) => Ok(events[..n as usize].iter().map(|event| event.data as RawFd).collect()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
