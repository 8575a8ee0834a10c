//! The body of a request on its way to a dyno.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::client::Client;
use crate::incoming_body::IncomingBody;
use crate::joined::{Item, Joined};
use crate::replay::Replay;

/// The definition of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Any byte counts: an app may wait for a client that sends a little from time to time.
    Any,
    /// A minimum rate, so that a client cannot keep a connection busy with an occasional byte.
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
    joined: Joined,
    /// The turn of the client's connection in which the last of the held frames arrived.
    turn: u64,
    replay: Replay,
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
    /// Since when the client has made no progress, if it is the cause of the wait.
    pub(crate) waiting: Option<Instant>,
}

impl Upload {
    /// `None` for a request without a body. `may_repeat` says whether the request may be sent twice.
    pub(crate) fn new(
        incoming: IncomingBody,
        client: &Arc<Client>,
        pace: Pace,
        may_repeat: bool,
    ) -> Option<Arc<Upload>> {
        if incoming.is_end_stream() {
            return None;
        }
        Some(Arc::new(Upload {
            size: incoming.size_hint(),
            client: client.clone(),
            pace,
            state: Mutex::new(State {
                incoming,
                joined: Joined::default(),
                turn: 0,
                replay: Replay::new(may_repeat),
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
        state.replay.is_whole() && !state.failed
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

    /// The next item to send. Small frames are held for one more turn of the client's connection, which passes one
    /// frame per turn, so that frames that have already been read are joined.
    fn poll(&mut self, cx: &mut Context<'_>, client: &Client, pace: Pace) -> Poll<Item> {
        while let Poll::Ready(item) = self.arrive(cx, client, pace) {
            self.turn = client.turn();
            if let Some(item) = self.joined.add(item, self.incoming.is_end_stream()) {
                return Poll::Ready(item);
            }
        }
        if !self.joined.is_empty() && self.turn == client.turn() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(frame) = self.joined.take() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if self.waiting.is_none() {
            self.waiting = Some(Instant::now());
            client.owes_body(true);
        }
        Poll::Pending
    }

    /// The next item from the client.
    fn arrive(&mut self, cx: &mut Context<'_>, client: &Client, pace: Pace) -> Poll<Item> {
        if let Some(item) = self.joined.next() {
            return Poll::Ready(item);
        }
        let item = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        self.last = Instant::now();
        if let Some(since) = self.waiting.take() {
            self.waited += self.last - since;
            client.owes_body(false);
        }
        match &item {
            Some(Ok(frame)) => {
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                self.note_progress(pace);
                if frame.is_trailers() || self.incoming.is_end_stream() {
                    self.ended = Some(self.last);
                }
            }
            Some(Err(_)) => self.failed = true,
            None => self.ended = Some(self.last),
        }
        Poll::Ready(item)
    }
}

/// One transmission of an [`Upload`]; the default is a request without a body.
#[derive(Default)]
pub(crate) struct RequestBody {
    upload: Option<Arc<Upload>>,
    /// The bytes sent.
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
        if let Some(data) = state.replay.after(this.position) {
            this.position += data.len();
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let item = ready!(state.poll(cx, &upload.client, upload.pace));
        if let Some(Ok(frame)) = &item {
            state.replay.keep(frame);
            this.position += frame.data_ref().map_or(0, Bytes::len);
        }
        Poll::Ready(item)
    }

    fn is_end_stream(&self) -> bool {
        self.upload.as_ref().is_none_or(|upload| {
            let state = upload.lock();
            !state.replay.has_after(self.position) && state.joined.is_over(state.incoming.is_end_stream())
        })
    }

    fn size_hint(&self) -> SizeHint {
        match &self.upload {
            Some(upload) => upload.size,
            None => SizeHint::with_exact(0),
        }
    }
}
