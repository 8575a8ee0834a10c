//! From the dyno's pipes to its spool.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use spool::{Entry, Writer};

use crate::fill::Fill;
use crate::sentence::{Sentence, doing};
use crate::{StateDir, exit, memory};

/// The most that is read at once. The memory is not touched before it is needed.
const READ_BYTES: usize = 64 * 1024;
/// Longer lines are cut into pieces of this many bytes.
const LINE_BYTES: usize = 10_000;
const SEGMENT_BYTES: u64 = 4 << 20;
/// Size limit of a spool without a reader; the oldest lines are dropped first.
const BACKLOG_BYTES: u64 = 1 << 30;

/// How often the disk is checked, with and without output.
const LOOK: Duration = Duration::from_secs(1);
const IDLE_LOOK: Duration = Duration::from_secs(5);

/// The conditions that are checked while the dyno runs.
pub(crate) struct Watched<'a> {
    /// Its disk.
    pub disk: Option<File>,
    pub deadline: Option<Deadline>,
    /// PID 1 inside; when it exits, all other processes are killed.
    pub init: i32,
    /// Readable when the command has ended.
    pub ended: &'a OwnedFd,
}

/// The deadline of a dyno.
pub(crate) struct Deadline {
    pub time: Duration,
}

/// Spools all output until no writer is left inside, reports a full disk, and kills the dyno at its deadline. What is left
/// when the command ends is killed, too, unless the dyno is being stopped: then it may end by itself, until the driver
/// kills it. A server that finishes its requests may be the child of a shell or of npm, which end at once.
pub(crate) fn spool(
    state: &StateDir,
    stdout: &OwnedFd,
    stderr: &OwnedFd,
    watched: Watched<'_>,
) -> Result<(), Sentence> {
    let mut sink = Sink::open(state)?;
    let mut streams = [Stream::new(b'o', stdout), Stream::new(b'e', stderr)];
    let mut disk = watched.disk.map(Disk::new);
    let mut deadline = watched.deadline.map(|deadline| (Instant::now() + deadline.time, deadline));
    let kill = || {
        // SAFETY: plain system call. It is our child and has not been waited for, so the pid has not been reused.
        unsafe { libc::kill(watched.init, libc::SIGKILL) };
    };
    let mut ended = watched.ended.as_raw_fd();
    // First, so that the buffer gets memory that has not been used before.
    memory::release();
    let mut buffer = Vec::with_capacity(READ_BYTES);
    while ended >= 0 || streams.iter().any(|stream| stream.fd >= 0) {
        let [out, err] = streams.each_ref().map(|stream| stream.fd);
        // poll ignores negative descriptors.
        let mut polled = [out, err, ended].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
        // SAFETY: the count is that of the array.
        if unsafe { libc::poll(polled.as_mut_ptr(), 3, patience(disk.is_some(), deadline.as_ref())) } < 0 {
            match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => continue,
                e => return Err(doing("wait for output")(e)),
            }
        }
        for (stream, polled) in streams.iter_mut().zip(polled) {
            if polled.revents != 0 {
                stream.read(&mut buffer, &mut sink);
            }
        }
        if polled[2].revents != 0 {
            ended = -1;
            if !state.is_stopping() {
                kill();
            }
        }
        if let Some(disk) = disk.as_mut().filter(|disk| disk.is_due()) {
            disk.look(&mut sink);
        }
        if let Some((_, late)) = deadline.take_if(|(at, _)| *at <= Instant::now()) {
            sink.line(b's', late.sentence().as_bytes());
            kill();
        }
        sink.flush();
    }
    // A full disk may have caused the exit.
    if let Some(disk) = &mut disk {
        disk.look(&mut sink);
        sink.flush();
    }
    Ok(())
}

/// Milliseconds until the next check, with or without output; -1 for no limit.
fn patience(disk: bool, deadline: Option<&(Instant, Deadline)>) -> i32 {
    let look = disk.then_some(IDLE_LOOK);
    let left = deadline.map(|(at, _)| at.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
    look.into_iter().chain(left).min().map_or(-1, |time| i32::try_from(time.as_millis()).unwrap_or(i32::MAX))
}

impl Deadline {
    pub fn sentence(&self) -> String {
        format!("Time limit exceeded: stopped after {} seconds.", self.time.as_secs())
    }
}

/// The dyno's disk, and whether it was reported as full.
pub(crate) struct Disk {
    place: File,
    looked: Instant,
    reported: bool,
}

impl Disk {
    pub fn new(place: File) -> Disk {
        Disk { place, looked: Instant::now(), reported: false }
    }

    /// Whether it was not checked for a while.
    pub fn is_due(&self) -> bool {
        self.looked.elapsed() >= LOOK
    }

    /// Reports once that it is full, and again only after it was not full in between.
    pub fn look(&mut self, sink: &mut Sink) {
        self.looked = Instant::now();
        let Ok(fill) = Fill::of(&self.place) else { return };
        if fill.is_full() && !self.reported {
            sink.line(b's', fill.sentence().as_bytes());
        }
        self.reported = fill.is_full();
    }
}

/// The destination of lines. On a full disk, lines are lost, but the dyno keeps running; their number is written as
/// soon as possible.
pub(crate) struct Sink {
    writer: Writer,
    dropped: u64,
}

impl Sink {
    /// The spool of a dyno.
    pub fn open(state: &StateDir) -> Result<Sink, Sentence> {
        let writer = Writer::open(&state.spool(), SEGMENT_BYTES).map_err(doing("open the spool"))?;
        Ok(Sink { writer: writer.limited_to(BACKLOG_BYTES), dropped: 0 })
    }

    /// Writes a line: kind `o` (stdout), `e` (stderr) or `s` (shim).
    pub fn line(&mut self, kind: u8, text: &[u8]) {
        if self.dropped > 0 {
            let dropped = self.dropped;
            let words = format!("Error L10 (output buffer overflow): {dropped} messages dropped.");
            if self.append(b's', words.as_bytes()) {
                self.dropped = 0;
            }
        }
        if !self.append(kind, text) {
            self.dropped += 1;
        }
    }

    fn append(&mut self, kind: u8, text: &[u8]) -> bool {
        let entry = Entry { at_us: exit::since_epoch().as_micros() as i64, kind, text: text.to_vec() };
        self.writer.append(&entry).is_ok()
    }

    /// Makes the lines visible to readers.
    pub fn flush(&mut self) {
        if self.writer.flush().is_err() {
            self.dropped += 1;
        }
    }
}

/// One pipe, and the beginning of an incomplete line.
struct Stream {
    kind: u8,
    fd: RawFd,
    begun: Vec<u8>,
}

impl Stream {
    fn new(kind: u8, fd: &OwnedFd) -> Stream {
        Stream { kind, fd: fd.as_raw_fd(), begun: Vec::new() }
    }

    fn read(&mut self, buffer: &mut Vec<u8>, sink: &mut Sink) {
        // SAFETY: the length is that of the allocation, of which the kernel has filled as many bytes as it says.
        let read = unsafe {
            let read = libc::read(self.fd, buffer.as_mut_ptr().cast(), buffer.capacity());
            buffer.set_len(read.max(0) as usize);
            read
        };
        match read {
            1.. => self.take(buffer, sink),
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            _ => {
                if !self.begun.is_empty() {
                    sink.line(self.kind, &self.begun);
                }
                self.fd = -1;
            }
        }
    }

    fn take(&mut self, mut bytes: &[u8], sink: &mut Sink) {
        loop {
            let room = LINE_BYTES - self.begun.len();
            let end = bytes.iter().take(room + 1).position(|b| *b == b'\n');
            match end {
                Some(end) => {
                    self.begun.extend_from_slice(&bytes[..end]);
                    bytes = &bytes[end + 1..];
                }
                None if bytes.len() > room => {
                    self.begun.extend_from_slice(&bytes[..room]);
                    bytes = &bytes[room..];
                }
                None => {
                    self.begun.extend_from_slice(bytes);
                    return;
                }
            }
            sink.line(self.kind, &self.begun);
            self.begun.clear();
        }
    }
}
