//! The body of a request from a client, which is always read to its end.
//!
//! Closing a socket with unread bytes resets the connection: a client that is rejected while it still sends would see
//! an error instead of the response. So the unread rest of a body is read and discarded here, within limits; by then
//! the client has the response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::client::{Busy, Client};

/// Limits for discarding a body: bytes, total time, and idle time.
const MOST_BYTES: u64 = 2 << 30;
const MOST_TIME: Duration = Duration::from_secs(60);
const SILENCE: Duration = Duration::from_secs(5);

/// A body whose rest is discarded when it is dropped.
pub(crate) struct IncomingBody {
    /// The body, until its end.
    incoming: Option<Incoming>,
    client: Arc<Client>,
    /// Whether the client waits for `100 Continue`.
    is_held_back: bool,
}

impl IncomingBody {
    /// The body of a request of this client.
    pub(crate) fn of(request: Request<Incoming>, client: &Arc<Client>) -> Request<IncomingBody> {
        let is_held_back = request.headers().contains_key(EXPECT);
        if !request.body().is_end_stream() {
            client.sends_body();
        }
        request.map(|incoming| IncomingBody {
            incoming: (!incoming.is_end_stream()).then_some(incoming),
            client: client.clone(),
            is_held_back,
        })
    }
}

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        this.is_held_back = false;
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        let item = Pin::new(incoming).poll_frame(cx);
        if matches!(item, Poll::Ready(None | Some(Err(_)))) {
            this.incoming = None;
        }
        item
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for IncomingBody {
    fn drop(&mut self) {
        let Some(incoming) = self.incoming.take().filter(|incoming| !incoming.is_end_stream()) else { return };
        // A client that waits for 100 Continue has sent nothing, and must not be asked to.
        if let (false, Ok(runtime)) = (self.is_held_back, Handle::try_current()) {
            runtime.spawn(throw_away(incoming, Busy::new(&self.client)));
        }
    }
}

async fn throw_away(mut incoming: Incoming, busy: Busy) {
    let (deadline, mut left) = (Instant::now() + MOST_TIME, MOST_BYTES);
    let mut next = async || std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await;
    loop {
        // While it is silent, it can be evicted for others of its address.
        busy.owes_body(true);
        let frame = timeout_at(deadline, timeout(SILENCE, next())).await;
        busy.owes_body(false);
        let Ok(Ok(Some(Ok(frame)))) = frame else { return };
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(rest) = left.checked_sub(bytes) else { return };
        left = rest;
    }
}
