//! From the app's output, as it comes, to lines in the spool.

use std::io;
use std::os::fd::RawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::Utc;
use spool::{Entry, Writer};

/// Longer lines are split.
const LINE_BYTES: usize = 10_000;
const SEGMENT_BYTES: u64 = 4 << 20;
/// What is kept for a reader that does not come.
const SPOOL_BYTES: u64 = 256 << 20;
/// Input pauses when nothing comes for so long; then, and no later than after the second time,
/// readers see all of it.
const PAUSE: Duration = Duration::from_millis(10);
const LATEST: Duration = Duration::from_millis(200);

/// Cuts a stream of bytes into lines.
pub(crate) struct Lines {
    kind: u8,
    part: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(kind: u8) -> Lines {
        Lines { kind, part: Vec::new() }
    }

    /// Takes bytes; hands on the lines that are complete, without their ends.
    fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(u8, &[u8])) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            self.part.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            self.split(&mut line);
            line(self.kind, self.part.strip_suffix(b"\r").unwrap_or(&self.part));
            self.part.clear();
        }
        self.part.extend_from_slice(bytes);
        self.split(&mut line);
    }

    /// Hands on what is too long for one line, if possible not in the middle of a character.
    fn split(&mut self, line: &mut impl FnMut(u8, &[u8])) {
        let mut from = 0;
        while self.part.len() - from > LINE_BYTES {
            let mut to = from + LINE_BYTES;
            for back in 0..4 {
                if self.part[to - back] & 0xc0 != 0x80 {
                    to -= back;
                    break;
                }
            }
            line(self.kind, &self.part[from..to]);
            from = to;
        }
        self.part.drain(..from);
    }

    /// Nothing more comes: hands on what has no end.
    fn finish(&mut self, mut line: impl FnMut(u8, &[u8])) {
        if !self.part.is_empty() {
            line(self.kind, &self.part);
            self.part.clear();
        }
    }
}

/// Writes lines; a full disk costs lines, but not the app.
struct Sink {
    writer: Writer,
    dropped: u64,
    /// Since when lines wait to be flushed.
    waiting: Option<Instant>,
}

impl Sink {
    fn append(&mut self, kind: u8, text: &[u8]) {
        let at_us = Utc::now().timestamp_micros();
        if self.dropped > 0 {
            let text = format!("{} lines were lost because they could not be written to disk", self.dropped);
            if self.writer.append(&Entry { at_us, kind: b's', text: text.into() }).is_ok() {
                self.dropped = 0;
            }
        }
        match self.writer.append(&Entry { at_us, kind, text: text.to_owned() }) {
            Ok(()) => self.waiting = self.waiting.or_else(|| Some(Instant::now())),
            Err(_) => self.dropped += 1,
        }
    }

    fn flush(&mut self) {
        self.waiting = None;
        if self.writer.flush().is_err() {
            self.dropped += 1;
        }
    }
}

/// Writes everything that comes from the two descriptors until both end.
pub(crate) fn pump(spool: &Path, stdout: RawFd, stderr: RawFd) -> io::Result<()> {
    let writer = Writer::open(spool, SEGMENT_BYTES)?.limited_to(SPOOL_BYTES);
    let mut sink = Sink { writer, dropped: 0, waiting: None };
    let mut streams = [(stdout, Lines::new(b'o')), (stderr, Lines::new(b'e'))];
    let mut buffer = vec![0_u8; 64 * 1024];
    while streams.iter().any(|(fd, _)| *fd >= 0) {
        let timeout = if sink.waiting.is_some() { PAUSE.as_millis() as i32 } else { -1 };
        // A negative descriptor is skipped.
        let mut polls = [0, 1].map(|n: usize| libc::pollfd { fd: streams[n].0, events: libc::POLLIN, revents: 0 });
        // SAFETY: the array lives until the call returns.
        let ready = unsafe { libc::poll(polls.as_mut_ptr(), 2, timeout) };
        if ready < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return Err(io::Error::last_os_error());
        }
        if ready > 0 {
            for (poll, (fd, lines)) in polls.iter().zip(&mut streams) {
                if poll.revents != 0 && !read(*fd, &mut buffer, lines, &mut sink) {
                    *fd = -1;
                }
            }
        }
        if ready == 0 || sink.waiting.is_some_and(|since| since.elapsed() > LATEST) {
            sink.flush();
        }
    }
    sink.flush();
    Ok(())
}

/// Reads once. Returns whether more may come.
fn read(fd: RawFd, buffer: &mut [u8], lines: &mut Lines, sink: &mut Sink) -> bool {
    // SAFETY: the buffer is as long as it says.
    let n = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    match usize::try_from(n) {
        Ok(0) => lines.finish(|kind, text| sink.append(kind, text)),
        Ok(n) => lines.push(&buffer[..n], |kind, text| sink.append(kind, text)),
        Err(_) => return io::Error::last_os_error().kind() == io::ErrorKind::Interrupted,
    }
    n > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut lines = Lines::new(b'o');
        for bytes in input {
            lines.push(bytes, |_, line| all.push(line.to_vec()));
        }
        lines.finish(|_, line| all.push(line.to_vec()));
        all
    }

    #[test]
    fn lines_come_together_from_pieces() {
        assert_eq!(lines(&[b"a", b"b\nc\r\n\n", b"d"]), [&b"ab"[..], b"c", b"", b"d"]);
    }

    #[test]
    fn long_lines_are_split() {
        let long = vec![b'x'; 25_000];
        let lengths: Vec<_> = lines(&[&long, b"\nshort\n"]).iter().map(Vec::len).collect();
        assert_eq!(lengths, [10_000, 10_000, 5_000, 5]);
    }

    #[test]
    fn characters_stay_whole() {
        let long = "ä".repeat(8_000);
        let odd = format!("x{long}");
        let all = lines(&[odd.as_bytes()]);
        assert!(all.iter().all(|line| std::str::from_utf8(line).is_ok()));
        assert_eq!(all.concat(), odd.as_bytes());
    }
}
