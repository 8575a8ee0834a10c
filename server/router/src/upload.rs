//! The body of a request on its way to a dyno.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::client::Client;
use crate::incoming_body::IncomingBody;

/// Buffered bytes of a body, so that it can be resent if a reused connection turns out dead.
const REPLAY_BYTES: usize = 64 * 1024;

/// The definition of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Any byte: an app may wait for a client that sends a little now and then.
    Any,
    /// A minimum rate, so that nobody keeps a connection busy with a byte now and then.
    Steady,
}

/// Fewer bytes than this within the idle timeout are below the minimum rate.
const STEADY: u64 = 1024;

/// A streamed body whose beginning can be resent.
pub(crate) struct Upload {
    size: SizeHint,
    client: Arc<Client>,
    pace: Pace,
    state: Mutex<State>,
}

struct State {
    incoming: IncomingBody,
    sent: Vec<Bytes>,
    sent_bytes: usize,
    replayable: bool,
    bytes: u64,
    last: Instant,
    ended: Option<Instant>,
    /// Since when the client has not sent anything, if it should.
    waiting: Option<Instant>,
    /// The waiting time since the last progress, and the position of the body then.
    waited: Duration,
    mark: u64,
    failed: bool,
}

/// The progress of an upload, for waiting tasks.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    /// The time of the last byte.
    pub(crate) last: Instant,
    /// When the body was complete.
    pub(crate) ended: Option<Instant>,
    /// Since when the client has made no progress, if it is the cause.
    pub(crate) waiting: Option<Instant>,
}

impl Upload {
    /// `None` for a request without a body.
    pub(crate) fn new(incoming: IncomingBody, client: &Arc<Client>, pace: Pace) -> Option<Arc<Upload>> {
        if incoming.is_end_stream() {
            return None;
        }
        Some(Arc::new(Upload {
            size: incoming.size_hint(),
            client: client.clone(),
            pace,
            state: Mutex::new(State {
                incoming,
                sent: Vec::new(),
                sent_bytes: 0,
                replayable: true,
                bytes: 0,
                last: Instant::now(),
                ended: None,
                waiting: None,
                waited: Duration::ZERO,
                mark: 0,
                failed: false,
            }),
        }))
    }

    pub(crate) fn progress(&self) -> Progress {
        let state = self.lock();
        let waiting = state.waiting.map(|since| since.checked_sub(state.waited).unwrap_or(since));
        Progress { last: state.last, ended: state.ended, waiting }
    }

    /// Whether the client has aborted.
    pub(crate) fn failed(&self) -> bool {
        self.lock().failed
    }

    /// Whether everything sent so far can be resent.
    pub(crate) fn replayable(&self) -> bool {
        let state = self.lock();
        state.replayable && !state.failed
    }

    /// Bytes received from the client.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

impl State {
    fn note_progress(&mut self, pace: Pace) {
        if pace == Pace::Any || self.bytes >= self.mark + STEADY {
            self.mark = self.bytes;
            self.waited = Duration::ZERO;
        }
    }

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

/// One transmission of an [`Upload`]; the default is a request without a body.
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
        let state = &mut *state;
        if state.replayable && this.position < state.sent.len() {
            let data = state.sent[this.position].clone();
            this.position += 1;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let Poll::Ready(item) = Pin::new(&mut state.incoming).poll_frame(cx) else {
            if state.waiting.is_none() {
                state.waiting = Some(Instant::now());
                upload.client.owes_body(true);
            }
            return Poll::Pending;
        };
        state.last = Instant::now();
        if let Some(since) = state.waiting.take() {
            state.waited += state.last - since;
            upload.client.owes_body(false);
        }
        match &item {
            Some(Ok(frame)) => {
                state.keep(frame);
                state.note_progress(upload.pace);
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
