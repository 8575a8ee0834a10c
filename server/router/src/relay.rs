//! The body of a response on its way back to the client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::Instant;

use crate::backends::Backend;
use crate::codes::Code;
use crate::in_flight::InFlight;
use crate::joined::{Item, Joined};
use crate::lines::Record;
use crate::turns;
use crate::upload::{Progress, Upload};
use crate::wire::Wire;

/// Frames that take a unit of the budget of a turn: many of them may come from one read.
const UNIT_FRAMES: usize = 4;

/// Aborts a response, so that the client notices that it is incomplete.
#[derive(Debug, thiserror::Error)]
#[error("the response was interrupted")]
pub(crate) struct BrokenOff;

/// State that lives until the response has been sent.
pub(crate) enum Holding {
    App(Box<Record>),
    Platform(Box<InFlight>),
}

impl Holding {
    /// Where the response comes from.
    fn backend(&self) -> Option<&Backend> {
        match self {
            Holding::App(record) => record.lease.as_ref().map(|lease| &*lease.backend),
            Holding::Platform(in_flight) => Some(&in_flight.shared.server),
        }
    }
}

/// A body that goes to a client.
pub(crate) enum Body {
    /// The response is 101, and what follows goes through a tunnel.
    Nothing,
    /// One of our own pages, or an empty body.
    Page(Option<Bytes>, #[expect(dead_code, reason = "held until it is sent")] Holding),
    Relay(Box<Relay>),
}

/// A body from a dyno or the server, together with the connection it comes from.
pub(crate) struct Relay {
    pub(crate) incoming: Incoming,
    pub(crate) joined: Joined,
    /// Frames received.
    pub(crate) frames: usize,
    pub(crate) wire: Option<Box<Wire>>,
    pub(crate) holding: Option<Holding>,
    pub(crate) upload: Option<Arc<Upload>>,
    /// The idle timeout of both sides.
    pub(crate) idle: Duration,
    /// Whether the idle timeout applies to the client only.
    pub(crate) streams: bool,
    pub(crate) last: Instant,
    /// The response is incomplete, and will be aborted.
    pub(crate) broken: bool,
}

impl Relay {
    /// The body to send. An empty one ends immediately.
    pub(crate) async fn into_body(mut self) -> Body {
        if !self.incoming.is_end_stream() {
            return Body::Relay(Box::new(self));
        }
        std::future::poll_fn(|cx| {
            self.release(cx);
            Poll::Ready(())
        })
        .await;
        let mut holding = self.holding.take().expect("it is taken only at the end");
        if let Holding::App(record) = &mut holding {
            record.finish(None);
        }
        Body::Page(None, holding)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.holding.is_none() {
            return Poll::Ready(None);
        }
        if self.broken {
            self.holding = None;
            return Poll::Ready(Some(Err(BrokenOff)));
        }
        while let Poll::Ready(item) = self.arrive(cx) {
            if let Some(item) = self.joined.add(item, self.incoming.is_end_stream()) {
                return self.pass(cx, item);
            }
        }
        match self.joined.take() {
            Some(frame) => self.pass(cx, Some(Ok(frame))),
            None => self.check_idle(cx),
        }
    }

    /// The next item from the dyno, if it is available and the turn of this connection is not over.
    fn arrive(&mut self, cx: &mut Context<'_>) -> Poll<Item> {
        if let Some(item) = self.joined.next() {
            return Poll::Ready(item);
        }
        ready!(turns::poll_continue(cx));
        let item = match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(item) => item,
            Poll::Pending => {
                if let Some(wire) = &mut self.wire {
                    wire.drive(cx);
                }
                ready!(Pin::new(&mut self.incoming).poll_frame(cx))
            }
        };
        self.frames += 1;
        if self.frames.is_multiple_of(UNIT_FRAMES) {
            turns::spend(cx, 1);
        }
        Poll::Ready(item)
    }

    fn pass(&mut self, cx: &mut Context<'_>, item: Item) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match item {
            Some(Ok(frame)) => {
                if !self.streams {
                    self.last = Instant::now();
                }
                if let (Some(data), Some(Holding::App(record))) = (frame.data_ref(), &mut self.holding) {
                    record.bytes += data.len() as u64;
                }
                // Nothing follows trailers, and hyper does not ask for more.
                if frame.is_trailers() || self.joined.is_over(self.incoming.is_end_stream()) {
                    self.release(cx);
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(_)) => {
                let by_client = self.upload.as_ref().is_some_and(|u| u.failed());
                self.break_off(cx, if by_client { Code::H27 } else { Code::H18 })
            }
            None => {
                self.release(cx);
                self.finish();
                Poll::Ready(None)
            }
        }
    }

    fn check_idle(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let Some(wire) = &mut self.wire else { return Poll::Pending };
        let progress = self.upload.as_ref().map(|u| u.progress()).filter(|progress| progress.ended.is_none());
        let (last, code) = match progress {
            Some(Progress { waiting: Some(since), .. }) => (since.max(self.last), Code::H28),
            _ if self.streams => return Poll::Pending,
            Some(progress) => (self.last.max(progress.last), Code::H15),
            None => (self.last, Code::H15),
        };
        match wire.timer.poll_until(cx, last + self.idle) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => self.break_off(cx, code),
        }
    }

    /// Returns the connection to the pool if it is reusable.
    fn release(&mut self, cx: &mut Context<'_>) {
        if let (Some(mut wire), Some(holding)) = (self.wire.take(), &self.holding) {
            wire.drive(cx);
            if let Some(backend) = holding.backend() {
                backend.checkin(wire);
            }
        }
    }

    /// Ends the response after hyper has written its buffer, which it would discard together with the connection.
    fn break_off(&mut self, cx: &mut Context<'_>, code: Code) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.wire = None;
        self.broken = true;
        if let Some(Holding::App(record)) = &mut self.holding {
            record.finish(Some(code));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn finish(&mut self) {
        if let Some(Holding::App(mut record)) = self.holding.take() {
            record.finish(None);
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut *self {
            Body::Nothing => Poll::Ready(None),
            Body::Page(data, _) => Poll::Ready(data.take().map(|data| Ok(Frame::data(data)))),
            Body::Relay(relay) => relay.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Nothing => true,
            Body::Page(data, _) => data.is_none(),
            Body::Relay(relay) => relay.holding.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Nothing => SizeHint::with_exact(0),
            Body::Page(data, _) => SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64)),
            Body::Relay(relay) => relay.incoming.size_hint(),
        }
    }
}
