//! The client: one method per API operation.
//!
//! A [`Transport`] sends requests: `fetch` in the browser, the router in process when rendering on the server,
//! TCP in the command line. Methods return futures that own everything they need, so that they can be passed to
//! resources and tasks. Paginated lists are read by [`lists`].

mod lists;
mod mails;
mod operations;

use std::{
    collections::BTreeMap,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::Error;

pub use self::lists::{Page, Rows};

/// The `Accept` header that distinguishes API requests from page requests.
pub const ACCEPT: &str = "application/vnd.heroku+json; version=3";

/// A request to send. Equal requests have equal responses, as long as nothing changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Request {
    pub method: &'static str,
    /// Path and query, percent-encoded.
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    /// JSON, or empty.
    pub body: Vec<u8>,
}

/// A raw response.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// The result of a transport.
pub type Carried = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send>>;

/// Sends requests to the platform, with the caller's credentials.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` and waits for the whole response. Fails only if there is no response.
    fn send(&self, request: Request) -> Carried;
}

/// Calls the platform.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
}

/// All but the unreserved characters of RFC 3986.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes one path segment.
pub fn segment(s: &str) -> String {
    utf8_percent_encode(s, &RESERVED).to_string()
}

/// The query string of a flat struct: `?a=1&b=2`, or nothing.
pub fn query<T: Serialize>(params: &T) -> String {
    let Ok(Value::Object(fields)) = serde_json::to_value(params) else { return String::new() };
    let pairs: Vec<String> = fields
        .iter()
        .filter_map(|(key, value)| match value {
            Value::Null => None,
            Value::String(s) => Some(format!("{}={}", segment(key), segment(s))),
            other => Some(format!("{}={}", segment(key), segment(&other.to_string()))),
        })
        .collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// A pending response, as JSON.
pub type Text = Pin<Box<dyn Future<Output = Result<String, Error>> + Send>>;

/// A pending request. Awaiting it yields the response.
pub struct Asked<T> {
    answer: Text,
    reads: PhantomData<fn() -> T>,
}

impl<T> Asked<T> {
    fn new(answer: impl Future<Output = Result<String, Error>> + Send + 'static) -> Self {
        Self { answer: Box::pin(answer), reads: PhantomData }
    }

    /// The raw JSON response, to be parsed later with [`read`].
    pub fn text(self) -> Text {
        self.answer
    }

    /// Replaces an error that satisfies `fits` with the JSON `instead`.
    pub fn or<U>(self, fits: fn(&Error) -> bool, instead: &'static str) -> Asked<U> {
        Asked::new(async move {
            match self.answer.await {
                Err(err) if fits(&err) => Ok(instead.to_owned()),
                answer => answer,
            }
        })
    }
}

impl<T: DeserializeOwned> Future for Asked<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.answer.as_mut().poll(cx));
        Poll::Ready(answer.and_then(|text| read(&text)))
    }
}

/// Parses a response.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|err| unreadable(&err))
}

fn unreadable(why: &dyn std::fmt::Display) -> Error {
    Error::unreadable(200, format!("The platform sent an invalid response: {why}."))
}

/// The body of a successful response. Empty bodies stand for `()` or `null`.
fn body(reply: Reply) -> Result<String, Error> {
    if !(200..300).contains(&reply.status) {
        return Err(refusal(&reply));
    }
    let text = String::from_utf8(reply.body).map_err(|err| unreadable(&err))?;
    Ok(if text.is_empty() { "null".to_owned() } else { text })
}

/// The error of a response that is not successful.
pub fn refusal(reply: &Reply) -> Error {
    let text = String::from_utf8_lossy(&reply.body);
    let mut error: Error = serde_json::from_str(&text).unwrap_or_else(|_| {
        let text = text.trim();
        let status = reply.status;
        Error::unreadable(
            status,
            match text.is_empty() || text.starts_with('<') {
                true => format!("The platform responded with status {status} and no error message."),
                false => format!("The platform responded with status {status}: {text}"),
            },
        )
    });
    error.status = reply.status;
    error.request_id = reply.headers.get("request-id").cloned();
    error
}

impl Client {
    /// A client on top of `transport`.
    pub fn new(transport: impl Transport) -> Self {
        Self { transport: Arc::new(transport) }
    }

    /// Sends any request and parses the response as JSON. The other methods are shorthands.
    pub fn call<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &'static str,
        path: String,
        body: Option<Value>,
    ) -> Asked<T> {
        Asked::new(carried(self.transport.clone(), request(method, path, body)))
    }
}

async fn carried(transport: Arc<dyn Transport>, request: Request) -> Result<String, Error> {
    body(transport.send(request).await?)
}

fn request(method: &'static str, path: String, body: Option<Value>) -> Request {
    let mut headers = vec![("accept", ACCEPT.to_owned())];
    let body = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
    if !body.is_empty() {
        headers.push(("content-type", "application/json".to_owned()));
    }
    Request { method, path, headers, body }
}

fn json<T: Serialize>(value: T) -> Option<Value> {
    Some(serde_json::to_value(value).expect("wire types are plain data, which always serialises"))
}

/// The path of something that belongs to an app.
fn of(app: &str, rest: &str) -> String {
    format!("/apps/{}{rest}", segment(app))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{log_lines::LogLinesQuery, metrics::MetricsQuery};

    #[test]
    fn queries_leave_out_what_is_absent() {
        let params = LogLinesQuery { lines: Some(3), ..Default::default() };
        assert_eq!(query(&params), "?lines=3");
        assert_eq!(query(&MetricsQuery::default()), "");
        assert_eq!(segment("a b/ü@x"), "a%20b%2F%C3%BC%40x");
    }
}
