//! Bodies of requests: they have to arrive at a minimum rate, and the part that a route has not read is read and
//! discarded.
//!
//! Otherwise a client that sends a few bytes from time to time could hold the resources of a request, such as a slot
//! for an upload, for hours.
//!
//! Closing a connection while the client still sends resets it, and the response may be lost. With this, the router can
//! continue to send until it has the whole response; its own clients are handled in its `incoming_body`.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
};
use futures::StreamExt as _;
use http_body::{Frame, SizeHint};
use tokio::{
    runtime::Handle,
    time::{Instant, Sleep, sleep_until, timeout},
};

/// By then the router has the response, or never will.
const MOST_TIME: Duration = Duration::from_secs(120);

/// Fewer than [`PACE`] bytes in this time, about a kilobyte per second, count as silence. Longer than the limit of git
/// requests, which have a message of their own.
const SILENCE: Duration = Duration::from_secs(75);
const PACE: usize = 64 << 10;

/// Wraps a body so that it ends if it is too slow, and so that nothing of it is left unread.
pub(crate) async fn until_the_end(request: Request) -> Request {
    request.map(|body| match body.is_end_stream() {
        true => body,
        false => Body::new(UntilTheEnd::new(body, SILENCE)),
    })
}

/// A body whose rest is read when it is dropped.
struct UntilTheEnd {
    body: Body,
    silence: Duration,
    /// The time spent waiting since [`PACE`] bytes had last been received.
    waited: Duration,
    came: usize,
    /// The start of the current wait for more bytes, and its deadline.
    waits: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl UntilTheEnd {
    fn new(body: Body, silence: Duration) -> Self {
        Self { body, silence, waited: Duration::ZERO, came: 0, waits: None }
    }

    fn came(&mut self, bytes: usize) {
        if let Some((since, _)) = self.waits.take() {
            self.waited += since.elapsed();
        }
        self.came += bytes;
        if self.came >= PACE {
            (self.waited, self.came) = (Duration::ZERO, 0);
        }
    }

    /// Whether the time limit is exceeded.
    fn is_too_slow(&mut self, cx: &mut Context<'_>) -> bool {
        let left = self.silence.saturating_sub(self.waited);
        let wait = || {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + left)))
        };
        self.waits.get_or_insert_with(wait).1.as_mut().poll(cx).is_ready()
    }
}

impl HttpBody for UntilTheEnd {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let item = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending if self.is_too_slow(cx) => {
                Poll::Ready(Some(Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut)))))
            }
            item => item,
        };
        match &item {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.came(bytes);
            }
            Poll::Ready(None | Some(Err(_))) => (self.body, self.waits) = (Body::empty(), None),
        }
        item
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for UntilTheEnd {
    fn drop(&mut self) {
        let body = std::mem::take(&mut self.body);
        if let (false, Ok(runtime)) = (body.is_end_stream(), Handle::try_current()) {
            runtime.spawn(timeout(MOST_TIME, throw_away(body)));
        }
    }
}

async fn throw_away(body: Body) {
    let mut content = body.into_data_stream();
    while let Some(Ok(_)) = content.next().await {}
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn unread_bodies_are_read_to_the_end() {
        for read in 0..4 {
            let (ended, wait) = tokio::sync::oneshot::channel();
            let parts = stream::iter([Ok::<_, std::io::Error>("first"), Ok("second")]);
            let end = stream::once(async move {
                let _ = ended.send(());
                Ok("last")
            });
            let request = until_the_end(Request::new(Body::from_stream(parts.chain(end)))).await;
            let mut content = request.into_body().into_data_stream();
            for _ in 0..read {
                content.next().await.unwrap().unwrap();
            }
            drop(content);
            wait.await.unwrap();
        }
    }
    #[tokio::test]
    async fn a_body_below_the_minimum_rate_ends() {
        let short = Duration::from_millis(50);
        let slow = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Some((Ok::<_, std::io::Error>("x"), ()))
        });
        let silent = stream::once(async { Ok::<_, std::io::Error>("x") }).chain(stream::pending());
        for body in [Body::from_stream(slow), Body::from_stream(silent)] {
            let mut content = Body::new(UntilTheEnd::new(body, short)).into_data_stream();
            let mut last = content.next().await;
            while let Some(Ok(_)) = last {
                last = content.next().await;
            }
            assert!(last.unwrap().is_err());
            assert!(content.next().await.is_none());
        }
    }

    #[tokio::test]
    async fn a_body_at_the_minimum_rate_continues() {
        let parts = stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![0; PACE]))));
        let body = UntilTheEnd::new(Body::from_stream(parts), Duration::ZERO);
        let mut paced = Box::pin(body);
        let mut total = 0;
        while let Some(frame) = std::future::poll_fn(|cx| paced.as_mut().poll_frame(cx)).await {
            total += frame.unwrap().into_data().unwrap().len();
            // The time spent waiting is reset.
            assert_eq!((paced.waited, paced.came), (Duration::ZERO, 0));
        }
        assert_eq!(total, 20 * PACE);
    }
}
