//! What all routes share: reading bodies, request ids, ETags, rate limits.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use axum::{
    body::{Body, HttpBody as _, to_bytes},
    extract::{FromRequest, FromRequestParts, MatchedPath, Query, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::StreamExt as _;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::task::coop::consume_budget;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{
    body_budget::Share,
    bounds,
    error::{Cause, Error, Result, is_contended, is_crowded, is_database_gone, is_disk_full, too_much},
    rate_limits::{Budget, MOST},
};

/// Size limit of JSON bodies, in bytes.
const MOST_JSON: usize = 4 << 20;
/// Size limit of forms, in bytes: their largest field, percent-encoded, and some more.
const MOST_FORM: usize = 256 << 10;

/// Reads a body of at most `most` bytes into one buffer, within `share`; `None` if it has more, or was interrupted. Its
/// frames are not collected: one can be as short as a byte, and would keep hundreds.
async fn whole(body: Body, most: usize, share: &mut Share) -> Option<Vec<u8>> {
    let (mut frames, mut whole) = (body.into_data_stream(), Vec::new());
    while let Some(frame) = frames.next().await {
        let frame = frame.ok()?;
        if whole.len() + frame.len() > most {
            return None;
        }
        whole.extend_from_slice(&frame);
        if !share.grow_to(whole.capacity()) {
            return None;
        }
        // Frames that have already arrived must not starve other tasks.
        consume_budget().await;
    }
    Some(whole)
}

/// A JSON body, which is an object. A missing one counts as `{}`, as clients expect.
pub struct Input<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Error;

    async fn from_request(req: Request, _: &S) -> Result<Self> {
        let mut share = Share::of(req.extensions());
        let bytes = whole(req.into_body(), MOST_JSON, &mut share).await;
        let bytes = bytes.ok_or_else(|| share.error("The request body is too large or was interrupted."))?;
        let text: &[u8] = if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes };
        let value: Value = serde_json::from_slice(text)
            .map_err(|err| Error::bad_request(format!("The request body is not valid JSON: {err}.")))?;
        bounds::check(&value)?;
        // Serde would take the items of an array as the fields, in their order.
        if !value.is_object() {
            return Err(Error::invalid("The request body is not a JSON object."));
        }
        serde_json::from_value(value)
            .map(Input)
            .map_err(|err| Error::invalid(format!("The request body does not have the expected fields: {err}.")))
    }
}

/// A form, as browsers and OAuth clients send it, with the limits of a JSON body; each field may occur once.
pub struct Form<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Error;

    async fn from_request(req: Request, _: &S) -> Result<Self> {
        let mut share = Share::of(req.extensions());
        let bytes = whole(req.into_body(), MOST_FORM, &mut share).await;
        let bytes = bytes.ok_or_else(|| share.error("The form is too large or was interrupted."))?;
        let unreadable = |err| Error::bad_request(format!("The form could not be read: {err}."));
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(&bytes).map_err(unreadable)?;
        let mut fields = BTreeMap::new();
        for (name, value) in pairs {
            if fields.insert(name.clone(), value).is_some() {
                return Err(Error::invalid(format!("The form has the field {name:.100} twice.")));
            }
        }
        bounds::check(&fields.into_iter().map(|(name, value)| (name, Value::String(value))).collect::<Value>())?;
        serde_urlencoded::from_bytes(&bytes).map(Form).map_err(unreadable)
    }
}

/// A query string.
pub struct Search<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Search<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        bounds::check_query(parts.uri.query().unwrap_or_default())?;
        let query = Query::<T>::try_from_uri(&parts.uri)
            .map_err(|err| Error::invalid(format!("Invalid query string: {err}.")))?;
        Ok(Self(query.0))
    }
}

/// 201 with the created resource.
pub struct Created<T>(pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, axum::Json(self.0)).into_response()
    }
}

/// 202: accepted, but not done yet.
pub struct Accepted<T>(pub T);

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, axum::Json(self.0)).into_response()
    }
}

/// Middleware of every API request: request ID, rate limit, ETag, and messages for internal errors.
pub async fn around(mut req: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    let budget = Budget(Arc::new(AtomicI64::new(MOST)));
    req.extensions_mut().insert(budget.clone());
    let (method, path) = (req.method().clone(), req.uri().path().to_owned());
    let pattern = req.extensions().get::<MatchedPath>().map(|pattern| pattern.as_str().to_owned());
    let match_tag = req.headers().get(header::IF_NONE_MATCH).cloned();
    let named = shown(&path, pattern.as_deref());
    let span = tracing::info_span!("request", request.id = %id, %method, path = %named);
    let mut response = match bounds::check_path(&path) {
        Err(err) => err.into_response(),
        Ok(()) => handled(req, next).instrument(span).await,
    };
    if let Some(Cause(err)) = response.extensions().get::<Cause>() {
        tracing::error!(request.id = %id, %method, path = %named, "request failed: {err:#}");
        response = fault(&id, err, &path);
    }
    if method == Method::GET {
        response = tag(response, match_tag).await;
    }
    let headers = response.headers_mut();
    set(headers, "request-id", &id);
    set(headers, "ratelimit-remaining", &budget.0.load(Ordering::Relaxed).to_string());
    headers.entry("x-content-type-options").or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(header::VARY).or_insert(HeaderValue::from_static("accept, authorization, cookie"));
    response
}

async fn handled(req: Request, next: Next) -> Response {
    let begin = Instant::now();
    let response = next.run(req).await;
    tracing::debug!(status = response.status().as_u16(), ms = begin.elapsed().as_millis() as u64, "request handled");
    response
}

/// A server-sent event. Any kind of line break within `text` stays within the event's data, and starts neither a field
/// nor another event.
pub fn event(id: u64, text: &str) -> String {
    let mut event = String::with_capacity(text.len() + 32);
    write_event(&mut event, id, text);
    event
}

/// Adds an [`event`] to `out`.
pub fn write_event(out: &mut String, id: u64, text: &str) {
    out.push_str("id: ");
    out.push_str(&id.to_string());
    let mut rest = text;
    loop {
        let (line, next) = match rest.find(['\n', '\r']) {
            Some(end) if rest[end..].starts_with("\r\n") => (&rest[..end], Some(&rest[end + 2..])),
            Some(end) => (&rest[..end], Some(&rest[end + 1..])),
            None => (rest, None),
        };
        out.push_str("\ndata: ");
        out.push_str(line);
        match next {
            Some(next) => rest = next,
            None => break,
        }
    }
    out.push_str("\n\n");
}

/// Adds a header, unless `value` cannot be one.
pub fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The path as it is logged: without the part named `{secret}`, which grants access. A path without a route is not
/// logged: it may be a mistyped secret.
fn shown(path: &str, pattern: Option<&str>) -> String {
    let Some(pattern) = pattern else { return "of no route".to_owned() };
    let part = |(part, name): (&str, &str)| if name == "{secret}" { "…".to_owned() } else { part.to_owned() };
    path.split('/').zip(pattern.split('/')).map(part).collect::<Vec<_>>().join("/")
}

/// The response to an internal error: JSON, or text for git, which shows it to people.
fn fault(id: &str, cause: &anyhow::Error, path: &str) -> Response {
    let (status, name, message) = if is_disk_full(cause) {
        let message = "The platform's disk is full. Its operator has to free space. Nothing was changed; try again \
                       after that.";
        (StatusCode::INSUFFICIENT_STORAGE, "disk_full", message.to_owned())
    } else if is_database_gone(cause) {
        let message = "The platform's database is not responding. Apps keep running; the operator can run `wharfd \
                       doctor`. Nothing was changed; try again in a moment.";
        (StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", message.to_owned())
    } else if is_contended(cause) {
        let message = "There was a conflicting change at the same time. Nothing was changed; please try again.";
        (StatusCode::SERVICE_UNAVAILABLE, "try_again", message.to_owned())
    } else if is_crowded(cause) {
        let message = "The machine ran out of memory while it checked the request. Nothing was changed; please try \
                       again in a moment.";
        (StatusCode::SERVICE_UNAVAILABLE, "try_again", message.to_owned())
    } else if let Some(why) = too_much(cause) {
        let message = format!("The request is too large to be checked: {why}. Nothing was changed.");
        (StatusCode::UNPROCESSABLE_ENTITY, "too_large", message)
    } else {
        let message =
            format!("Internal error. See the platform's log for request ID {id}. Nothing was changed; try again.");
        (StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", message)
    };
    match path.contains(".git/") {
        true => (status, message + "\n").into_response(),
        false => (status, axum::Json(serde_json::json!({ "id": name, "message": message }))).into_response(),
    }
}

/// Adds an ETag to a JSON response, and responds with 304 if the client has it. A streamed response has none: it would
/// have to be in memory as a whole.
async fn tag(response: Response, wanted: Option<HeaderValue>) -> Response {
    let json =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/json"));
    if !json || !response.status().is_success() || response.body().size_hint().exact().is_none() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Its size is known, so it is in memory: reading it back is cheap and cannot fail.
    let bytes = to_bytes(body, usize::MAX).await.expect("a JSON answer can be read");
    let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&bytes)[..16]));
    set(&mut parts.headers, "etag", &etag);
    if wanted.is_some_and(|w| w.to_str().is_ok_and(|w| w.split(',').any(|w| w.trim().trim_start_matches("W/") == etag)))
    {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_one_buffer_however_it_comes() {
        let body = |bytes: usize| {
            let frames = std::iter::repeat_n(Ok::<_, std::convert::Infallible>("x"), bytes);
            Body::from_stream(futures::stream::iter(frames))
        };
        let share = &mut Share::of(&axum::http::Extensions::new());
        let read = whole(body(5000), 5000, share).await.unwrap();
        assert!(read.len() == 5000 && read.capacity() < 10_000, "{}", read.capacity());
        assert!(whole(body(5001), 5000, share).await.is_none());
        let cut = futures::stream::iter([Ok("x"), Err(std::io::Error::other("cut"))]);
        assert!(whole(Body::from_stream(cut), 5000, share).await.is_none());
    }

    #[test]
    fn an_event_is_one_whatever_is_in_it() {
        assert_eq!(event(7, "a"), "id: 7\ndata: a\n\n");
        assert_eq!(
            event(7, "a\r\rdata: b\r\nid: 9\n"),
            "id: 7\ndata: a\ndata: \ndata: data: b\ndata: id: 9\ndata: \n\n"
        );
    }

    fn read_json(body: &str) -> std::result::Result<Vec<String>, u16> {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Names {
            first: String,
            second: String,
        }
        let request = Request::new(Body::from(body.to_owned()));
        let read = futures::executor::block_on(Input::<Names>::from_request(request, &()));
        read.map(|names| vec![names.0.first, names.0.second]).map_err(|err| err.into_response().status().as_u16())
    }

    #[test]
    fn a_json_body_is_an_object() {
        assert_eq!(read_json(r#"{"second":"b"}"#), Ok(vec![String::new(), "b".to_owned()]));
        assert_eq!(read_json(" "), Ok(vec![String::new(), String::new()]));
        for refused in ["[]", r#"["a"]"#, r#"["a","b"]"#, "null", "1", "true", r#""a""#] {
            assert_eq!(read_json(refused), Err(422), "{refused}");
        }
        assert_eq!(read_json("{"), Err(400));
    }

    fn read(form: String) -> std::result::Result<BTreeMap<String, String>, u16> {
        let request = Request::new(Body::from(form));
        let read = futures::executor::block_on(Form::<BTreeMap<String, String>>::from_request(request, &()));
        read.map(|form| form.0).map_err(|err| err.into_response().status().as_u16())
    }

    #[test]
    fn forms_have_the_bounds_of_json() {
        let form = read("a=b+c&d=%26".into()).unwrap();
        assert_eq!(form, BTreeMap::from([("a", "b c"), ("d", "&")].map(|(k, v)| (k.to_owned(), v.to_owned()))));
        assert!(read(format!("A={}", "%20".repeat(64 << 10))).is_ok(), "the largest config var fits");
        for refused in [
            format!("A={}", "x".repeat((64 << 10) + 1)),
            format!("{}=x", "x".repeat(256)),
            "a=%00".to_owned(),
            "a=1&a=2".to_owned(),
            (0..1001).map(|n| format!("a{n}=1&")).collect(),
        ] {
            assert_eq!(read(refused.clone()), Err(422), "{refused:.20}");
        }
        assert_eq!(read("scope=".to_owned() + &"global+".repeat(100_000)), Err(400));
    }

    #[test]
    fn streamed_responses_have_no_etag() {
        let tagged = |body: Body| {
            let json = [(header::CONTENT_TYPE, "application/json")];
            let response = futures::executor::block_on(tag((json, body).into_response(), None));
            response.headers().contains_key("etag")
        };
        assert!(tagged(Body::from("[]")));
        let chunks = futures::stream::iter([Ok::<_, std::io::Error>("["), Ok("]")]);
        assert!(!tagged(Body::from_stream(chunks)));
    }

    #[test]
    fn secrets_of_a_path_are_not_logged() {
        for (path, pattern, expected) in [
            ("/streams/logs/hush", Some("/streams/logs/{secret}"), "/streams/logs/…"),
            ("/login/hush", Some("/login/{secret}"), "/login/…"),
            ("/apps/dusk/builds", Some("/apps/{app}/builds"), "/apps/dusk/builds"),
            ("/streams/logs/hush/more", None, "of no route"),
        ] {
            assert_eq!(shown(path, pattern), expected);
        }
    }

    #[test]
    fn internal_errors_have_helpful_messages() {
        let full = anyhow::anyhow!("could not extend file: No space left on device").context("use the database");
        let answer = |path: &str, cause: &anyhow::Error| {
            let response = fault("R1", cause, path);
            let status = response.status().as_u16();
            let body = futures::executor::block_on(to_bytes(response.into_body(), 1 << 20)).unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        let (status, body) = answer("/apps/a/config-vars", &full);
        assert_eq!(status, 507);
        assert!(body.starts_with(r#"{"id":"disk_full","message":"The platform's disk is full."#), "{body}");
        assert!(answer("/a.git/info/refs", &full).1.starts_with("The platform's disk is full."));
        let gone = anyhow::Error::new(sqlx::Error::PoolTimedOut).context("use the database");
        assert_eq!(answer("/apps", &gone).0, 503);
        // As reported by the code that checks uploads.
        let ended = |why: worker::Error| {
            anyhow::Error::from(builder::Error::from(anyhow::Error::from(why).context("unpack an archive")))
        };
        for why in [worker::Error::Crowded, worker::Error::Lost, worker::Error::Died { signal: 9 }] {
            let (status, body) = answer("/blobs/slugs/x", &ended(why));
            assert!(status == 503 && body.contains("ran out of memory"), "{body}");
        }
        let (status, body) = answer("/blobs/slugs/x", &ended(worker::Error::TooMuchMemory { bytes: 256 << 20 }));
        assert!(status == 422 && body.contains("too large to be checked: it needed more than 256 MB"), "{body}");
        assert_eq!(answer("/blobs/slugs/x", &ended(worker::Error::Died { signal: 11 })).0, 500);
        let (status, body) = answer("/apps", &anyhow::anyhow!("something else"));
        assert_eq!(status, 500);
        assert!(body.contains("request ID R1") && !body.contains("something else"), "{body}");
    }
}
