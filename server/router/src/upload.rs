//! The body of a request on its way to a dyno.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Instant;

/// What is kept of a body, so that it can be sent again when a kept-alive connection turns out dead.
const REPLAY_BYTES: usize = 64 * 1024;

/// A body that streams, and whose beginning can be sent once more.
pub(crate) struct Upload {
    size: SizeHint,
    state: Mutex<State>,
}

struct State {
    incoming: Incoming,
    sent: Vec<Bytes>,
    sent_bytes: usize,
    replayable: bool,
    bytes: u64,
    last: Instant,
    ended: Option<Instant>,
    waiting: bool,
    failed: bool,
}

/// How far an upload is, for those who wait for it.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    /// When the last byte passed.
    pub(crate) last: Instant,
    /// When the body had passed completely.
    pub(crate) ended: Option<Instant>,
    /// Whether it is the client who should send.
    pub(crate) waiting: bool,
}

impl Upload {
    /// `None` for a request without a body.
    pub(crate) fn new(incoming: Incoming) -> Option<Arc<Upload>> {
        if incoming.is_end_stream() {
            return None;
        }
        Some(Arc::new(Upload {
            size: incoming.size_hint(),
            state: Mutex::new(State {
                incoming,
                sent: Vec::new(),
                sent_bytes: 0,
                replayable: true,
                bytes: 0,
                last: Instant::now(),
                ended: None,
                waiting: false,
                failed: false,
            }),
        }))
    }

    pub(crate) fn progress(&self) -> Progress {
        let state = self.lock();
        Progress { last: state.last, ended: state.ended, waiting: state.waiting }
    }

    /// Whether the client broke off.
    pub(crate) fn failed(&self) -> bool {
        self.lock().failed
    }

    /// Whether everything that was sent can be sent again.
    pub(crate) fn replayable(&self) -> bool {
        let state = self.lock();
        state.replayable && !state.failed
    }

    /// Bytes that came from the client.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

impl State {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        let Some(data) = frame.data_ref() else {
            self.replayable = false;
            return;
        };
        self.bytes += data.len() as u64;
        self.sent_bytes += data.len();
        if self.sent_bytes > REPLAY_BYTES {
            self.replayable = false;
            self.sent = Vec::new();
        }
        if self.replayable {
            self.sent.push(data.clone());
        }
    }
}

/// One sending of an [`Upload`]; the default is a request without a body.
#[derive(Default)]
pub(crate) struct RequestBody {
    upload: Option<Arc<Upload>>,
    position: usize,
}

impl RequestBody {
    pub(crate) fn new(upload: Option<&Arc<Upload>>) -> RequestBody {
        RequestBody { upload: upload.cloned(), position: 0 }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let Some(upload) = &this.upload else {
            return Poll::Ready(None);
        };
        let mut state = upload.lock();
        if state.replayable && this.position < state.sent.len() {
            let data = state.sent[this.position].clone();
            this.position += 1;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        state.waiting = true;
        let item = ready!(Pin::new(&mut state.incoming).poll_frame(cx));
        state.waiting = false;
        state.last = Instant::now();
        match &item {
            Some(Ok(frame)) => {
                state.keep(frame);
                this.position += 1;
                if state.incoming.is_end_stream() {
                    state.ended = Some(state.last);
                }
            }
            Some(Err(_)) => state.failed = true,
            None => state.ended = Some(state.last),
        }
        Poll::Ready(item)
    }

    fn is_end_stream(&self) -> bool {
        self.upload.as_ref().is_none_or(|upload| {
            let state = upload.lock();
            let resent = !state.replayable || self.position >= state.sent.len();
            resent && state.incoming.is_end_stream()
        })
    }

    fn size_hint(&self) -> SizeHint {
        match &self.upload {
            Some(upload) => upload.size,
            None => SizeHint::with_exact(0),
        }
    }
}
