//! Reads and discards the part of a request's body that a route has not read.
//!
//! Closing a connection while the client still sends resets it, and the response may be lost. With this, the router can
//! continue to send until it has the whole response; what it does with its own client is in its `arriving`.

use std::{
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
use tokio::{runtime::Handle, time::timeout};

/// By then the router has the answer, or it never gets it.
const MOST_TIME: Duration = Duration::from_secs(120);

/// Makes a body one of which nothing is left unread.
pub(crate) async fn until_the_end(request: Request) -> Request {
    request.map(|body| match body.is_end_stream() {
        true => body,
        false => Body::new(UntilTheEnd(body)),
    })
}

/// A body whose rest is read when it is dropped.
struct UntilTheEnd(Body);

impl HttpBody for UntilTheEnd {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let item = Pin::new(&mut self.0).poll_frame(cx);
        if matches!(item, Poll::Ready(None | Some(Err(_)))) {
            self.0 = Body::empty();
        }
        item
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl Drop for UntilTheEnd {
    fn drop(&mut self) {
        let body = std::mem::take(&mut self.0);
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
    async fn what_nobody_reads_is_read_to_its_end() {
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
}
