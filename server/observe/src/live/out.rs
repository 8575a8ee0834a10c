//! The outgoing buffer of a socket: bounded in bytes, even if its reader does not read, and regardless of its
//! subscriptions.

use std::sync::Arc;

use api::live::ToBrowser;
use serde::Serialize;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, mpsc};

/// The maximum number of messages in the buffer.
const MESSAGES: usize = 64;
/// The maximum number of batches of lines among them.
const BATCHES: usize = 4;
/// The maximum size of the other messages together, in bytes. A larger message waits until the buffer is empty.
const BYTES: usize = 256 << 10;

/// Sends to a socket.
#[derive(Clone)]
pub(super) struct Out {
    sender: mpsc::Sender<Waiting>,
    batches: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// A message in the buffer, and the space that it takes until it is sent.
pub(super) struct Waiting {
    pub(super) text: String,
    pub(super) room: Option<Room>,
}

/// Space for one message.
pub(super) struct Room(OwnedSemaphorePermit);

/// The message of new lines, in the format of [`ToBrowser::Lines`].
#[derive(Serialize)]
#[serde(tag = "type", rename = "lines")]
struct Lines<'a, T> {
    id: u32,
    lines: &'a [T],
    cursor: u64,
}

pub(super) fn channel() -> (Out, mpsc::Receiver<Waiting>) {
    let (sender, outbox) = mpsc::channel(MESSAGES);
    let (batches, bytes) = (Arc::new(Semaphore::new(BATCHES)), Arc::new(Semaphore::new(BYTES)));
    (Out { sender, batches, bytes }, outbox)
}

impl Out {
    /// Sends a message once there is space for it. `false` if the socket is closed.
    pub(super) async fn send(&self, message: &ToBrowser) -> bool {
        let Some(text) = text(message) else { return false };
        let room = u32::try_from(text.len().min(BYTES)).unwrap_or(u32::MAX);
        let room = self.bytes.clone().acquire_many_owned(room).await;
        self.put(text, room).await
    }

    /// Waits until there is space for a batch of lines. Call it before reading them, so that the lines of many
    /// subscriptions do not wait in memory.
    pub(super) async fn room(&self) -> Option<Room> {
        self.batches.clone().acquire_owned().await.ok().map(Room)
    }

    /// Sends a batch of lines in space that was waited for. `false` if the socket is closed.
    pub(super) async fn lines<T: Serialize>(&self, room: Room, id: u32, lines: &[T], cursor: u64) -> bool {
        let Some(text) = text(&Lines { id, lines, cursor }) else { return false };
        self.put(text, Ok(room.0)).await
    }

    async fn put(&self, text: String, room: Result<OwnedSemaphorePermit, AcquireError>) -> bool {
        let Ok(room) = room else { return false };
        self.sender.send(Waiting { text, room: Some(Room(room)) }).await.is_ok()
    }

    /// Sends a short message, if there is space for it.
    pub(super) fn try_send(&self, message: &ToBrowser) {
        if let Some(text) = text(message) {
            let _ = self.sender.try_send(Waiting { text, room: None });
        }
    }
}

fn text(message: &impl Serialize) -> Option<String> {
    serde_json::to_string(message).inspect_err(|err| tracing::error!("could not serialise a live message: {err}")).ok()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn the_buffer_of_an_idle_reader_is_bounded_in_bytes() {
        let (out, mut outbox) = channel();
        let value = ToBrowser::Value { id: 1, value: json!("x".repeat(100 << 10)) };
        assert_eq!([(); 3].map(|()| out.send(&value).now_or_never()), [Some(true), Some(true), None]);
        let rooms = [(); 5].map(|()| out.room().now_or_never().flatten());
        assert_eq!(rooms.each_ref().map(Option::is_some), [true, true, true, true, false]);
        for room in rooms.into_iter().flatten() {
            assert!(out.lines(room, 2, &["a"], 7).await);
        }
        assert!(out.room().now_or_never().is_none(), "they wait until they are sent");
        drop(outbox.recv().await);
        assert_eq!(out.send(&value).now_or_never(), Some(true));
        // A message larger than the buffer is also sent, but alone.
        let large = ToBrowser::Value { id: 1, value: json!("x".repeat(1 << 20)) };
        assert_eq!(out.send(&large).now_or_never(), None);
        while let Some(Some(_)) = outbox.recv().now_or_never() {}
        assert_eq!(out.send(&large).now_or_never(), Some(true));
    }

    #[tokio::test]
    async fn lines_are_written_as_browsers_read_them() {
        let (out, mut outbox) = channel();
        let room = out.room().await.unwrap();
        out.lines(room, 2, &["a", "b"], 7).await;
        let read: ToBrowser = serde_json::from_str(&outbox.recv().await.unwrap().text).unwrap();
        assert_eq!(read, ToBrowser::Lines { id: 2, lines: vec![json!("a"), json!("b")], cursor: 7 });
    }
}
