//! The beginning of a request body, which is sent again if a reused connection turns out dead.

use bytes::{Bytes, BytesMut};
use hyper::body::Frame;

/// Larger bodies are not repeated.
const MOST_BYTES: usize = 64 * 1024;

/// The part of a body that was sent, if all of it is still here. Copied into one buffer: a frame is a slice of a read
/// buffer, which is many times larger if the client sends little at a time.
pub(crate) struct Replay {
    sent: BytesMut,
    is_whole: bool,
}

impl Replay {
    /// Stores nothing unless the request may be repeated.
    pub(crate) fn new(may_repeat: bool) -> Replay {
        Replay { sent: BytesMut::new(), is_whole: may_repeat }
    }

    /// Whether everything sent so far can be sent again.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    pub(crate) fn keep(&mut self, frame: &Frame<Bytes>) {
        match frame.data_ref() {
            Some(data) if self.is_whole && self.sent.len() + data.len() <= MOST_BYTES => {
                self.sent.extend_from_slice(data);
            }
            // Too much, or trailers.
            _ => *self = Replay::new(false),
        }
    }

    /// Whether a transmission that has sent `position` bytes continues with bytes from here.
    pub(crate) fn has_after(&self, position: usize) -> bool {
        self.is_whole && position < self.sent.len()
    }

    /// These bytes.
    pub(crate) fn after(&self, position: usize) -> Option<Bytes> {
        self.has_after(position).then(|| Bytes::copy_from_slice(&self.sent[position..]))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn kept(frames: usize, size: usize) -> Replay {
        let mut replay = Replay::new(true);
        let data = Bytes::from(vec![b'x'; size]);
        (0..frames).for_each(|_| replay.keep(&Frame::data(data.clone())));
        replay
    }

    #[test]
    fn frames_of_any_size_are_one_buffer() {
        for (frames, size) in [(MOST_BYTES, 1), (1, MOST_BYTES), (16, 4096)] {
            let replay = kept(frames, size);
            assert!(replay.is_whole() && replay.sent.capacity() <= 2 * MOST_BYTES);
            assert_eq!(replay.after(0).map(|data| data.len()), Some(MOST_BYTES));
            assert_eq!(replay.after(10).map(|data| data.len()), Some(MOST_BYTES - 10));
            assert_eq!(replay.after(MOST_BYTES), None);
        }
    }

    #[test]
    fn of_too_much_nothing_is_kept() {
        for (frames, size) in [(MOST_BYTES + 1, 1), (1, MOST_BYTES + 1), (1_000, 1_000)] {
            let replay = kept(frames, size);
            assert!(!replay.is_whole() && replay.sent.capacity() == 0 && replay.after(0).is_none());
        }
        let mut replay = kept(1, 1);
        replay.keep(&Frame::trailers(HeaderMap::new()));
        assert!(!replay.is_whole());
    }

    #[test]
    fn bodies_that_must_not_be_repeated_are_not_stored() {
        let mut replay = Replay::new(false);
        replay.keep(&Frame::data("x".into()));
        assert!(!replay.is_whole() && replay.sent.is_empty());
    }
}
