//! Responses: which file or redirect, its header fields, and the part of the file that is requested.
//!
//! Conditions and ranges are evaluated here (RFC 9110, 13 and 14), since no crate fits: those that parse `Range`
//! respond with 416 where the header has to be ignored, or where a suffix is longer than the file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use tokio::io::AsyncReadExt;
use tokio_stream::StreamExt;
use tokio_util::io::ReaderStream;

use crate::files::{Found, Place, Site};
use crate::mime::content_type;
use crate::paths;

const NOT_FOUND: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Not found</title><body style=\"font:1rem/1.5 system-ui,sans-serif;margin:15vh auto;max-width:30rem;padding:0 1rem\"><h1>Not found</h1><p>There is no page at this address.</p>";

/// Files up to this size are read at once; larger ones are streamed in pieces of this size.
const PIECE_BYTES: usize = 64 << 10;

/// The content of a response.
enum Content {
    Bytes(Vec<u8>),
    /// This many bytes of a file, from its current position.
    File(File, u64),
}

/// Responds to one request. The body of the request is not read: hyper discards it, or closes the connection.
pub async fn respond(site: Arc<Site>, request: Request<Incoming>) -> Response<BoxBody<Bytes, io::Error>> {
    let (head, _) = request.into_parts();
    // Files are looked up and opened on a thread that may wait for the disk.
    let response = tokio::task::spawn_blocking(move || Answer::new(&site, &head).response()).await;
    let response = response.unwrap_or_else(|_| status_only(StatusCode::INTERNAL_SERVER_ERROR));
    response.map(|content| match content {
        Content::Bytes(bytes) => Full::from(bytes).map_err(|never| match never {}).boxed(),
        Content::File(file, length) => {
            let file = tokio::fs::File::from_std(file).take(length);
            let pieces = ReaderStream::with_capacity(file, PIECE_BYTES);
            BodyExt::boxed(StreamBody::new(pieces.map(|piece| piece.map(Frame::data))))
        }
    })
}

fn status_only(status: StatusCode) -> Response<Content> {
    let mut response = Response::new(Content::Bytes(Vec::new()));
    *response.status_mut() = status;
    response
}

/// A response being built.
struct Answer<'a> {
    site: &'a Site,
    head: &'a Parts,
    /// The decoded path; empty if it cannot be decoded.
    path: String,
}

impl<'a> Answer<'a> {
    fn new(site: &'a Site, head: &'a Parts) -> Self {
        Answer { site, head, path: paths::decode(&head.uri).unwrap_or_default() }
    }

    fn response(&self) -> Response<Content> {
        if ![Method::GET, Method::HEAD].contains(&self.head.method) {
            return self.short(StatusCode::METHOD_NOT_ALLOWED, Some((header::ALLOW, "GET, HEAD")), "");
        }
        if self.path.is_empty() {
            return self.short(StatusCode::BAD_REQUEST, None, "");
        }
        if let Some(url) = self.other_origin() {
            return self.redirect(StatusCode::MOVED_PERMANENTLY, &url);
        }
        let mut redirects = self.site.config.redirects.iter();
        if let Some((_, url, status)) = redirects.find(|(pattern, ..)| pattern.matches(&self.path)) {
            return self.redirect(*status, url);
        }
        match self.site.locate(&self.path) {
            Place::File(file) => self.file(StatusCode::OK, &file),
            Place::Elsewhere(path) => {
                let query = self.head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                let url = paths::encode(&path) + &query;
                self.redirect(StatusCode::MOVED_PERMANENTLY, &url)
            }
            Place::Nothing => match (self.site.fallback(&self.path), self.site.error_page()) {
                (Some(file), _) => self.file(StatusCode::OK, &file),
                (None, Some(page)) => self.file(StatusCode::NOT_FOUND, &page),
                (None, None) => self.short(StatusCode::NOT_FOUND, None, NOT_FOUND),
            },
        }
    }

    fn field(&self, name: HeaderName) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The URL of the same page with the host or scheme that static.json requires.
    fn other_origin(&self) -> Option<String> {
        let config = &self.site.config;
        let host = self.field(header::HOST).unwrap_or_default();
        let scheme = self.field(HeaderName::from_static("x-forwarded-proto")).unwrap_or("http");
        let wanted_host = config.canonical_host.as_deref().unwrap_or(host);
        let wanted_scheme = if config.https_only { "https" } else { scheme };
        if (wanted_host, wanted_scheme) == (host, scheme) || host.is_empty() {
            return None;
        }
        let target = self.head.uri.path_and_query().map_or("/", |target| target.as_str());
        Some(format!("{wanted_scheme}://{wanted_host}{target}"))
    }

    fn redirect(&self, status: StatusCode, url: &str) -> Response<Content> {
        self.short(status, Some((header::LOCATION, url)), "")
    }

    fn short(&self, status: StatusCode, field: Option<(HeaderName, &str)>, body: &str) -> Response<Content> {
        let mut response = status_only(status);
        self.add_common(response.headers_mut());
        if let Some((name, value)) = field {
            set(response.headers_mut(), name, value);
        }
        if !body.is_empty() {
            set(response.headers_mut(), header::CONTENT_TYPE, "text/html; charset=utf-8");
            set(response.headers_mut(), header::CONTENT_LENGTH, &body.len().to_string());
        }
        if self.head.method != Method::HEAD {
            *response.body_mut() = Content::Bytes(body.into());
        }
        response
    }

    /// The fields of every response, and those that static.json adds.
    fn add_common(&self, headers: &mut HeaderMap) {
        set(headers, header::SERVER, "wharf-static");
        set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        let matching = self.site.config.headers.iter().filter(|(pattern, _)| pattern.matches(&self.path));
        for (name, value) in matching.flat_map(|(_, fields)| fields) {
            headers.append(name, value.clone());
        }
        if !headers.contains_key(header::CACHE_CONTROL) {
            // Revalidated on every use; the response is 304 while the file is unchanged.
            set(headers, header::CACHE_CONTROL, "public, max-age=0, must-revalidate");
        }
        if !headers.contains_key(header::REFERRER_POLICY) {
            set(headers, header::REFERRER_POLICY, "strict-origin-when-cross-origin");
        }
    }

    fn file(&self, status: StatusCode, path: &Path) -> Response<Content> {
        let is_ok = status == StatusCode::OK;
        let wants_range = is_ok && self.head.headers.contains_key(header::RANGE);
        let accepts = self.field(header::ACCEPT_ENCODING).is_some_and(accepts_gzip) && !wants_range;
        let Some(found) = self.site.open(path, accepts) else {
            return self.short(StatusCode::NOT_FOUND, None, NOT_FOUND);
        };
        if is_ok && self.is_known(&found) {
            let mut response = status_only(StatusCode::NOT_MODIFIED);
            self.add_common(response.headers_mut());
            add_validators(response.headers_mut(), &found);
            return response;
        }
        let mut response = status_only(status);
        let (from, length) = match if wants_range { self.range(&found) } else { Range::Whole } {
            Range::Whole => (0, found.length),
            Range::Part(from, to) => {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                let value = format!("bytes {from}-{to}/{}", found.length);
                set(response.headers_mut(), header::CONTENT_RANGE, &value);
                (from, to - from + 1)
            }
            Range::Outside => {
                let value = format!("bytes */{}", found.length);
                return self.short(StatusCode::RANGE_NOT_SATISFIABLE, Some((header::CONTENT_RANGE, &value)), "");
            }
        };
        let headers = response.headers_mut();
        self.add_common(headers);
        add_validators(headers, &found);
        if !headers.contains_key(header::CONTENT_TYPE) {
            set(headers, header::CONTENT_TYPE, content_type(&found.name));
        }
        if found.gzip {
            set(headers, header::CONTENT_ENCODING, "gzip");
        }
        set(headers, header::ACCEPT_RANGES, "bytes");
        set(headers, header::CONTENT_LENGTH, &length.to_string());
        if self.head.method == Method::HEAD {
            return response;
        }
        match content(found.file, from, length) {
            Ok(content) => response.map(|_| content),
            Err(_) => status_only(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// Whether the client has exactly this file.
    fn is_known(&self, found: &Found) -> bool {
        if let Some(tags) = self.field(header::IF_NONE_MATCH) {
            let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
            return tags.trim() == "*" || tags.split(',').any(|tag| strong(tag) == found.tag);
        }
        let since = self.field(header::IF_MODIFIED_SINCE).and_then(date);
        since.is_some_and(|since| found.modified <= since)
    }

    fn range(&self, found: &Found) -> Range {
        let condition = self.field(header::IF_RANGE);
        if condition.is_some_and(|c| c != found.tag && date(c) != Some(found.modified)) {
            return Range::Whole;
        }
        let Some(spec) = self.field(header::RANGE).and_then(|r| r.strip_prefix("bytes=")) else {
            return Range::Whole;
        };
        let Some((from, to)) = spec.split_once('-').filter(|_| !spec.contains(',')) else {
            return Range::Whole;
        };
        let last = found.length.saturating_sub(1);
        match (from.trim().parse::<u64>(), to.trim().parse::<u64>()) {
            (Ok(from), _) if from >= found.length => Range::Outside,
            (Ok(from), Ok(to)) if from <= to => Range::Part(from, to.min(last)),
            (Ok(from), Err(_)) if to.trim().is_empty() => Range::Part(from, last),
            (Err(_), Ok(0)) if from.trim().is_empty() => Range::Outside,
            (Err(_), Ok(n)) if from.trim().is_empty() && found.length > 0 => {
                Range::Part(found.length.saturating_sub(n), last)
            }
            _ => Range::Whole,
        }
    }
}

enum Range {
    Whole,
    /// First and last byte.
    Part(u64, u64),
    Outside,
}

/// Sets a field. All values are constant or were checked; an invalid one would be omitted.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn add_validators(headers: &mut HeaderMap, found: &Found) {
    set(headers, header::ETAG, &found.tag);
    set(headers, header::LAST_MODIFIED, &httpdate::fmt_http_date(found.modified));
    if found.varies {
        headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

fn content(mut file: File, from: u64, length: u64) -> io::Result<Content> {
    file.seek(SeekFrom::Start(from))?;
    if length > PIECE_BYTES as u64 {
        return Ok(Content::File(file, length));
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact(&mut bytes)?;
    Ok(Content::Bytes(bytes))
}

fn accepts_gzip(field: &str) -> bool {
    field.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*")
            && !parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}
