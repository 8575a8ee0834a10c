//! What all routes share: reading bodies, pages of lists, request ids, ETags, rate limits.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest, FromRequestParts, Query, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    Platform,
    error::{Cause, Error, Result, is_database_gone, is_disk_full},
};

/// No JSON body needs more.
const MOST_JSON: usize = 4 << 20;

/// A JSON body. An absent one reads as `{}`, as clients expect.
pub struct Input<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Error;

    async fn from_request(req: Request, _: &S) -> Result<Self> {
        let bytes = to_bytes(req.into_body(), MOST_JSON)
            .await
            .map_err(|_| Error::bad_request("The request body is too large or was cut short."))?;
        let text: &[u8] = if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes };
        let value: Value = serde_json::from_slice(text)
            .map_err(|err| Error::bad_request(format!("The request body is not valid JSON: {err}.")))?;
        if has_nul(&value) {
            return Err(Error::invalid("The request body contains a NUL character, which cannot be kept."));
        }
        serde_json::from_value(value)
            .map(Input)
            .map_err(|err| Error::invalid(format!("The request body does not have the expected fields: {err}.")))
    }
}

/// A query string.
pub struct Search<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Search<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let query = Query::<T>::try_from_uri(&parts.uri)
            .map_err(|err| Error::invalid(format!("The query of the address cannot be used: {err}.")))?;
        Ok(Self(query.0))
    }
}

/// Whether a NUL is anywhere in `value`. Neither the database nor a process can be given one.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// 201 with the thing that was made.
pub struct Created<T>(pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, axum::Json(self.0)).into_response()
    }
}

/// 202: it will happen.
pub struct Accepted<T>(pub T);

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, axum::Json(self.0)).into_response()
    }
}

/// How many requests the asker has left; written by whoever finds out who asks.
#[derive(Clone, Default)]
pub(crate) struct Budget(pub Arc<AtomicI64>);

/// Around every API request: its id, its rate limit, its ETag; and 500s become a sentence.
pub(crate) async fn around(State(platform): State<Platform>, mut req: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    let budget = Budget(Arc::new(AtomicI64::new(crate::rate_limits::MOST)));
    req.extensions_mut().insert(budget.clone());
    let (method, path) = (req.method().clone(), req.uri().path().to_owned());
    let match_tag = req.headers().get(header::IF_NONE_MATCH).cloned();
    // A NUL names nothing, and the database would refuse to look for it.
    let mut response = match path.contains("%00") {
        true => Error::bad_request("The address contains a NUL character.").into_response(),
        false => next.run(req).await,
    };
    if let Some(Cause(err)) = response.extensions().get::<Cause>() {
        tracing::error!(request.id = %id, %method, path = %redact(&path), "could not answer: {err:#}");
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
    platform.count_request();
    response
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Addresses that open without credentials hold a secret, which must not reach the log.
fn redact(path: &str) -> String {
    let kept = match path.split('/').nth(1) {
        Some("streams" | "blobs") => 3,
        Some("login" | "sign-in-links") => 2,
        _ => return path.to_owned(),
    };
    path.split('/').take(kept).collect::<Vec<_>>().join("/") + "/…"
}

/// Says that it was our fault: as JSON, or as the text that git shows to people.
fn fault(id: &str, cause: &anyhow::Error, path: &str) -> Response {
    let (status, name, message) = if is_disk_full(cause) {
        let message = "The platform's disk is full. Whoever runs the platform has to make room on it. \
                       Nothing was changed; please try again then.";
        (StatusCode::INSUFFICIENT_STORAGE, "disk_full", message.to_owned())
    } else if is_database_gone(cause) {
        let message = "The platform's database does not answer. Apps go on running; `wharfd doctor` says more. \
                       Nothing was changed; please try again in a moment.";
        (StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", message.to_owned())
    } else {
        let message = format!(
            "Something went wrong on our side. The log of the platform says more at request id {id}. \
             Nothing was changed; please try again."
        );
        (StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", message)
    };
    match path.contains(".git/") {
        true => (status, message + "\n").into_response(),
        false => (status, axum::Json(serde_json::json!({ "id": name, "message": message }))).into_response(),
    }
}

/// Adds an ETag to a JSON answer, and answers 304 when the asker has it.
async fn tag(response: Response, wanted: Option<HeaderValue>) -> Response {
    let json =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/json"));
    if !json || !response.status().is_success() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Answers in JSON were made in memory, so that reading them back costs no more, and cannot fail.
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

/// One page of a list, as the `Range` header asks for it. See api.md 2.2.
pub(crate) struct Page {
    field: Option<String>,
    start: Option<String>,
    after: bool,
    end: Option<String>,
    max: usize,
    descending: bool,
}

impl Page {
    /// Reads `Range`; what cannot be understood is ignored, as clients need.
    pub fn read(headers: &HeaderMap) -> Self {
        let text = headers.get(header::RANGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let mut page = Self { field: None, start: None, after: false, end: None, max: 200, descending: false };
        let mut parts = text.split([';', ',']).map(str::trim);
        if let Some((field, range)) = parts.next().and_then(|first| first.split_once(' ')) {
            page.field = Some(field.to_owned());
            if let Some((start, end)) = range.trim().split_once("..") {
                page.after = start.starts_with(']');
                page.start = Some(start.trim_start_matches(']').to_owned()).filter(|s| !s.is_empty());
                page.end = Some(end.trim_end_matches('[').to_owned()).filter(|s| !s.is_empty());
            }
        }
        for option in parts {
            match option.split_once('=') {
                Some(("max", n)) => page.max = n.trim().parse().unwrap_or(200).clamp(1, 1000),
                Some(("order", o)) => page.descending = o.trim() == "desc",
                _ => {}
            }
        }
        page
    }

    /// Cuts `items` (oldest first) to the page: 200 with all that is left, or 206 with `Next-Range`.
    pub fn of<T: Serialize>(self, items: Vec<T>) -> Result<Response> {
        let items = serde_json::to_value(items).map_err(anyhow::Error::new)?;
        let Value::Array(mut items) = items else { return Err(anyhow::anyhow!("list is not a list").into()) };
        let known = |f: &String| items.first().is_some_and(|i| i.get(f.as_str()).is_some_and(|v| !v.is_object()));
        let field = self.field.clone().filter(known).unwrap_or_else(|| "id".into());
        // A list that does not fit a page is in the order of the field that its next page is asked by.
        if self.field.as_ref().is_some_and(|f| *f == field) || items.len() > self.max {
            items.sort_by(|a, b| compare(&a[&field], &b[&field]));
        }
        if self.descending {
            items.reverse();
        }
        let low = |item: &Value, bound: &str| compare(&item[&field], &read_as(&item[&field], bound));
        if let Some(start) = &self.start {
            let outside = if self.descending { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Less };
            items.retain(|item| {
                let order = low(item, start);
                order != outside && !(self.after && order.is_eq())
            });
        }
        if let Some(end) = &self.end {
            let outside = if self.descending { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater };
            items.retain(|item| low(item, end) != outside);
        }
        let more = items.len() > self.max;
        items.truncate(self.max);
        Ok(self.answer(&field, items, more))
    }

    fn answer(&self, field: &str, items: Vec<Value>, more: bool) -> Response {
        let text = |item: Option<&Value>| match item.map(|i| &i[field]) {
            Some(Value::String(s)) => s.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let (first, last) = (text(items.first()), text(items.last()));
        let mut response = axum::Json(items).into_response();
        let headers = response.headers_mut();
        set(headers, "accept-ranges", "id, name, version, created_at, updated_at");
        set(headers, "content-range", &format!("{field} {first}..{last}"));
        if more {
            let order = if self.descending { ", order=desc" } else { "" };
            set(headers, "next-range", &format!("{field} ]{last}..; max={}{order}", self.max));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        response
    }
}

fn read_as(like: &Value, text: &str) -> Value {
    match like {
        Value::Number(_) => text.parse::<i64>().map(Value::from).unwrap_or(Value::Null),
        _ => Value::from(text),
    }
}

fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_str().unwrap_or_default().cmp(b.as_str().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: &str, status: u16, versions: &[i64], next: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        let items: Vec<Value> = (1..=5).map(|v| serde_json::json!({ "id": format!("{v:04}"), "version": v })).collect();
        let response = Page::read(&headers).of(items).unwrap();
        assert_eq!(response.status(), status, "{range}");
        assert_eq!(response.headers().get("next-range").map(|v| v.to_str().unwrap()), next, "{range}");
        let body = futures::executor::block_on(to_bytes(response.into_body(), 1 << 20)).unwrap();
        let got: Vec<Value> = serde_json::from_slice(&body).unwrap();
        assert_eq!(got.iter().map(|v| v["version"].as_i64().unwrap()).collect::<Vec<_>>(), versions, "{range}");
    }

    #[test]
    fn faults_are_said_in_a_way_that_helps() {
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
        let (status, body) = answer("/apps", &anyhow::anyhow!("something else"));
        assert_eq!(status, 500);
        assert!(body.contains("request id R1") && !body.contains("something else"), "{body}");
    }

    #[test]
    fn secrets_of_addresses_are_not_logged() {
        assert_eq!(redact("/login/secret"), "/login/…");
        assert_eq!(redact("/sign-in-links/secret"), "/sign-in-links/…");
        assert_eq!(redact("/streams/logs/secret"), "/streams/logs/…");
        assert_eq!(redact("/blobs/slugs/secret"), "/blobs/slugs/…");
        assert_eq!(redact("/apps/dusk"), "/apps/dusk");
    }

    #[test]
    fn ranges_as_clients_send_them() {
        check("", 200, &[1, 2, 3, 4, 5], None);
        check("id ..; ;", 200, &[1, 2, 3, 4, 5], None);
        check("version ..; order=desc", 200, &[5, 4, 3, 2, 1], None);
        check("version ..; order=desc,max=1", 206, &[5], Some("version ]5..; max=1, order=desc"));
        check("version ..; max=2, order=desc", 206, &[5, 4], Some("version ]4..; max=2, order=desc"));
        check("version ]4..; max=2, order=desc", 206, &[3, 2], Some("version ]2..; max=2, order=desc"));
        check("version ]2..; max=2, order=desc", 200, &[1], None);
        check("id ]0002..; max=2;", 206, &[3, 4], Some("id ]0004..; max=2"));
        check("version 2..3", 200, &[2, 3], None);
        check("nonsense ..; max=2", 206, &[1, 2], Some("id ]0002..; max=2"));
    }
}
