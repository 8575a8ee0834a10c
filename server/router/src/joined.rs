//! Joins small frames of a body that are available at the same time, so that a chunk of one byte does not cost a write
//! and a buffer of its own.

use std::mem;

use bytes::{Bytes, BytesMut};
use hyper::body::Frame;

/// Frames of this size are passed on as they are: a copy would cost more than it saves.
const LARGE: usize = 4 * 1024;
/// Limits of what is joined.
const MOST_BYTES: usize = 16 * 1024;
const MOST_FRAMES: usize = 512;
/// The initial size of a buffer.
const BUFFER: usize = 512;

/// What a body yields: a frame, an error, or its end.
pub(crate) type Item = Option<Result<Frame<Bytes>, hyper::Error>>;

/// Small frames that have not been passed on yet.
#[derive(Default)]
pub(crate) struct Joined {
    held: Held,
    frames: usize,
    /// The item that arrived after them and cannot be joined.
    behind: Option<Item>,
}

#[derive(Default)]
enum Held {
    #[default]
    Nothing,
    /// Not copied, since it may remain the only one.
    One(Bytes),
    Several(BytesMut),
}

impl Joined {
    /// Takes an item that has arrived, and returns the one to be passed on now; `None` if more can be joined. `is_last`
    /// means that nothing can follow.
    pub(crate) fn add(&mut self, item: Item, is_last: bool) -> Option<Item> {
        match small(item) {
            Ok(data) => {
                let bytes = self.hold(data);
                let is_enough = is_last || bytes >= MOST_BYTES || self.frames >= MOST_FRAMES;
                if is_enough { self.take().map(|frame| Some(Ok(frame))) } else { None }
            }
            Err(item) => match self.take() {
                None => Some(item),
                Some(frame) => {
                    self.behind = Some(item);
                    Some(Some(Ok(frame)))
                }
            },
        }
    }

    /// The item that arrived after the frames that were passed on last.
    pub(crate) fn next(&mut self) -> Option<Item> {
        self.behind.take()
    }

    /// The held frames as one.
    pub(crate) fn take(&mut self) -> Option<Frame<Bytes>> {
        self.frames = 0;
        match mem::take(&mut self.held) {
            Held::Nothing => None,
            Held::One(data) => Some(Frame::data(data)),
            Held::Several(joined) => Some(Frame::data(joined.freeze())),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.held, Held::Nothing)
    }

    /// Whether everything was passed on, for a body of which nothing can follow if `has_ended`.
    pub(crate) fn is_over(&self, has_ended: bool) -> bool {
        match (&self.held, &self.behind) {
            (Held::Nothing, None) => has_ended,
            (Held::Nothing, Some(item)) => item.is_none(),
            _ => false,
        }
    }

    /// Returns the bytes that are held now.
    fn hold(&mut self, data: Bytes) -> usize {
        self.frames += 1;
        let mut joined = match mem::take(&mut self.held) {
            Held::Nothing => {
                let bytes = data.len();
                self.held = Held::One(data);
                return bytes;
            }
            Held::One(first) => {
                let mut joined = BytesMut::with_capacity(BUFFER.max(first.len() + data.len()));
                joined.extend_from_slice(&first);
                joined
            }
            Held::Several(joined) => joined,
        };
        joined.extend_from_slice(&data);
        let bytes = joined.len();
        self.held = Held::Several(joined);
        bytes
    }
}

/// The data of a small frame.
fn small(item: Item) -> Result<Bytes, Item> {
    match item {
        Some(Ok(frame)) => match frame.into_data() {
            Ok(data) if data.len() < LARGE => Ok(data),
            Ok(data) => Err(Some(Ok(Frame::data(data)))),
            Err(frame) => Err(Some(Ok(frame))),
        },
        item => Err(item),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(data: &Bytes) -> Item {
        Some(Ok(Frame::data(data.clone())))
    }

    #[track_caller]
    fn data(item: Option<Item>) -> Bytes {
        item.flatten().expect("a frame").expect("no error").into_data().expect("data")
    }

    #[test]
    fn small_frames_are_passed_on_as_one() {
        let mut joined = Joined::default();
        for text in ["one, ", "two, "] {
            assert!(joined.add(frame(&text.into()), false).is_none());
        }
        assert_eq!(data(joined.add(frame(&"three".into()), true)), "one, two, three");
        assert!(joined.is_empty() && joined.is_over(true));
    }

    #[test]
    fn what_is_joined_is_limited_in_bytes_and_frames() {
        let mut joined = Joined::default();
        let mut passed_on = |data: Bytes| (1..).find(|_| joined.add(frame(&data), false).is_some());
        assert_eq!(passed_on(vec![b'x'; LARGE - 1].into()), Some(MOST_BYTES / LARGE + 1));
        assert_eq!(passed_on("x".into()), Some(MOST_FRAMES));
    }

    #[test]
    fn a_large_frame_or_a_single_one_is_not_copied() {
        let mut joined = Joined::default();
        let large = Bytes::from(vec![b'x'; LARGE]);
        assert_eq!(data(joined.add(frame(&large), false)).as_ptr(), large.as_ptr());
        let small = Bytes::from(vec![b'x'; 13]);
        assert!(joined.add(frame(&small), false).is_none());
        let passed_on = joined.take().expect("a frame").into_data().expect("data");
        assert_eq!(passed_on.as_ptr(), small.as_ptr());
    }

    #[test]
    fn what_cannot_be_joined_comes_after_what_was() {
        let mut joined = Joined::default();
        let (small, large) = (Bytes::from("small"), Bytes::from(vec![b'x'; LARGE]));
        assert!(joined.add(frame(&small), false).is_none());
        assert_eq!(data(joined.add(frame(&large), true)), "small");
        assert!(!joined.is_over(true));
        let behind = joined.next().expect("the large frame");
        assert_eq!(data(joined.add(behind, true)), large);
        assert!(joined.is_over(true));
    }

    #[test]
    fn the_end_is_known_with_the_last_frame() {
        let mut joined = Joined::default();
        assert!(joined.add(frame(&"last".into()), false).is_none());
        assert!(!joined.is_over(false));
        assert_eq!(data(joined.add(None, false)), "last");
        assert!(joined.is_over(false));
    }
}
