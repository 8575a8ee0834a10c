//! A connection to a dyno or to the server, driven by the task that uses it.
//!
//! hyper expects a separate task for a connection's future. Here the request's task polls it, which saves switching
//! tasks; an idle connection in the pool is not polled.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use crate::files::BackendFile;
use crate::interim::Interim;
use crate::socket::{Address, Buffers, Socket};
use crate::timer::Timer;
use crate::upload::{RequestBody, Upload};

const RESPONSE_BUFFER: usize = 1024 * 1024;
/// The memory of a connection, without buffers that have grown.
const BYTES: usize = 12 * 1024;

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection ended before any response.
    Closed,
    /// No response in time.
    TimedOut,
    /// The client stopped sending its body, but is still there.
    ClientIdle,
    /// The client aborted while sending its body.
    ClientGone,
    /// No valid response, or too many interim responses before it.
    Malformed,
    TooLarge,
    /// An error of the router.
    Internal(hyper::Error),
}

/// The time limit for the beginning of a response.
#[derive(Clone, Copy)]
pub(crate) struct ResponseTimeouts {
    /// `None` for no limit after the request is complete.
    pub(crate) first_byte: Option<Duration>,
    pub(crate) idle: Duration,
}

pub(crate) struct Wire {
    sender: SendRequest<RequestBody>,
    connection: Connection<TokioIo<Socket>, RequestBody>,
    interim: Arc<Interim>,
    buffers: Arc<Buffers>,
    closed: bool,
    pub(crate) timer: Timer,
    /// When it was returned to the pool.
    pub(crate) idle_since: Instant,
}

impl Wire {
    /// Connects, with the system's timeout. `file` is held as long as the connection is open.
    pub(crate) async fn connect(address: &Address, file: BackendFile) -> io::Result<Box<Wire>> {
        let (interim, buffers) = (Arc::<Interim>::default(), Arc::<Buffers>::default());
        let socket = Socket::connect(address, interim.clone(), buffers.clone(), file).await?;
        let (sender, connection) = Builder::new()
            .max_buf_size(RESPONSE_BUFFER)
            .handshake(TokioIo::new(socket))
            .await
            .map_err(io::Error::other)?;
        Ok(Box::new(Wire {
            sender,
            connection,
            interim,
            buffers,
            closed: false,
            timer: Timer::default(),
            idle_since: Instant::now(),
        }))
    }

    /// Copies bytes in both directions. Returns whether the connection has ended.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.closed && self.connection.poll_without_shutdown(cx).is_ready() {
            self.closed = true;
        }
        self.closed
    }

    /// The memory that it needs while it is idle, approximately.
    pub(crate) fn bytes(&self) -> usize {
        BYTES + self.buffers.bytes()
    }

    /// Whether another request can be sent.
    pub(crate) fn is_ready(&self) -> bool {
        !self.closed && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of the response.
    pub(crate) fn send<'a>(
        &'a mut self,
        mut request: Request<RequestBody>,
        upload: Option<&'a Upload>,
        response_timeouts: ResponseTimeouts,
    ) -> impl Future<Output = Result<Response<Incoming>, Failure>> + 'a {
        let start = Instant::now();
        self.interim.watch(&mut request);
        // Done outside the future below, which would otherwise have to carry the request.
        let response = self.sender.send_request(request);
        async move {
            let mut response = pin!(response);
            poll_fn(|cx| {
                if !self.closed && self.connection.poll_without_shutdown(cx).is_ready() {
                    self.closed = true;
                }
                if let Poll::Ready(result) = response.as_mut().poll(cx) {
                    return Poll::Ready(match self.interim.is_excessive() {
                        true => Err(Failure::Malformed),
                        false => result.map_err(|error| Failure::of(error, upload)),
                    });
                }
                let Some((deadline, failure)) = response_timeouts.deadline(start, upload) else {
                    return Poll::Pending;
                };
                self.timer.poll_until(cx, deadline).map(|()| Err(failure))
            })
            .await
        }
    }

    /// The raw socket after a response 101, with the bytes read ahead.
    pub(crate) async fn into_socket(mut self: Box<Self>) -> (Socket, Bytes) {
        poll_fn(|cx| match self.drive(cx) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
        let parts = self.connection.into_parts();
        (parts.io.into_inner(), parts.read_buf)
    }
}

impl ResponseTimeouts {
    fn deadline(self, start: Instant, upload: Option<&Upload>) -> Option<(Instant, Failure)> {
        let answer = |since: Instant| Some((since + self.first_byte?, Failure::TimedOut));
        let Some(progress) = upload.map(Upload::progress) else { return answer(start) };
        match (progress.ended, progress.waiting) {
            (Some(ended), _) => answer(ended.max(start)),
            (None, Some(since)) => Some((since + self.idle, Failure::ClientIdle)),
            (None, None) => self.first_byte.map(|_| (progress.last + self.idle, Failure::TimedOut)),
        }
    }
}

impl Failure {
    fn of(error: hyper::Error, upload: Option<&Upload>) -> Failure {
        if upload.is_some_and(Upload::failed) {
            return Failure::ClientGone;
        }
        if error.is_parse_too_large() {
            return Failure::TooLarge;
        }
        if error.is_parse() {
            return Failure::Malformed;
        }
        if error.is_user() && !error.is_body_write_aborted() {
            return Failure::Internal(error);
        }
        Failure::Closed
    }
}
