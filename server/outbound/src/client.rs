//! Sends requests, follows redirects one by one, and bounds responses.

use std::{net::SocketAddr, path::Path, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::Url;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    time::{Instant, timeout_at},
};
use tokio_rustls::rustls::ClientConfig;

use crate::{
    error::{Error, transport},
    hop::{self, Lookup},
    rules::{self, Rules},
};

/// Checks a URL like [`Client`], and returns it with the addresses at which its host may be reached: for a program that
/// connects by itself, to one of them.
///
/// # Errors
/// [`Error::Address`], [`Error::Refused`] or [`Error::Unknown`].
pub async fn checked_addresses(rules: &Rules, url: &str) -> Result<(Url, Vec<SocketAddr>), Error> {
    let url = rules::read(url)?;
    let found = hop::addresses(rules, &hop::system(), &url, false).await?;
    Ok((url, found))
}

/// The limits of one response.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first lookup to the last byte, including redirects.
    pub time: Duration,
    /// Without receiving a single byte.
    pub idle: Duration,
    /// Bytes of the body, as transferred: nothing is decompressed.
    pub bytes: u64,
    /// Maximum number of redirects, each checked like the first URL.
    pub hops: usize,
}

/// Size limit of a response's headers; more is an attack.
const MOST_HEADERS: usize = 64 << 10;

/// A client for user-supplied URLs. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    rules: Rules,
    tls: ClientConfig,
    lookup: Lookup,
}

impl Client {
    /// A client that enforces `rules`. Uses this machine's trusted CAs.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(rules: Rules) -> Result<Self, tokio_rustls::rustls::Error> {
        Self::trusting(rules, None, None)
    }

    /// Like `new`, but trusts the CAs in this file and directory instead, if given.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn trusting(
        rules: Rules,
        file: Option<&Path>,
        folder: Option<&Path>,
    ) -> Result<Self, tokio_rustls::rustls::Error> {
        Ok(Self { rules, tls: crate::tls::config(file, folder)?, lookup: hop::system() })
    }

    /// The rules it enforces.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The same client with a different resolver. For tests.
    #[must_use]
    pub fn with_lookup(self, lookup: Lookup) -> Self {
        Self { lookup, ..self }
    }

    /// Parses a user-supplied URL, and rejects what can be rejected without any request. Every request checks
    /// it again, with the addresses its name resolves to by then.
    ///
    /// # Errors
    /// [`Error::Address`] or [`Error::Refused`].
    pub fn check(&self, url: &str) -> Result<Url, Error> {
        let url = rules::read(url)?;
        if let Some(ip) = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse().ok())
            && let Some(kind) = self.rules.forbids(ip, url.port_or_known_default().unwrap_or(0))
        {
            return Err(Error::Refused { host: ip.to_string(), kind, is_literal: true, is_redirect: false });
        }
        Ok(url)
    }

    /// Downloads `url` into `into`, in a format that `accept` names, if given. Returns the number of bytes. On an error,
    /// the caller has to remove the partial download.
    ///
    /// # Errors
    /// If the URL is rejected, the response is not a success, or it is too slow or too large.
    pub async fn download(
        &self,
        url: &str,
        accept: Option<&str>,
        into: &mut (impl AsyncWrite + Unpin),
        limits: &Limits,
    ) -> Result<u64, Error> {
        let mut request = http::Request::new(Vec::new());
        if let Some(accept) = accept {
            let wrong = |_| Error::Address("the format to accept is not a valid header");
            request.headers_mut().insert(header::ACCEPT, HeaderValue::from_str(accept).map_err(wrong)?);
        }
        let mut answer = self.open(request, url, limits).await?;
        if !answer.status.is_success() {
            return Err(Error::Status { host: answer.host, status: answer.status });
        }
        let mut size = 0;
        while let Some(chunk) = answer.chunk().await? {
            size += chunk.len() as u64;
            into.write_all(&chunk).await.map_err(Error::Keep)?;
        }
        into.flush().await.map_err(Error::Keep)?;
        Ok(size)
    }

    /// Sends `request` and returns the whole response, whatever its status.
    ///
    /// # Errors
    /// If the URL is rejected or unreachable, or its response is too slow or too large.
    pub async fn send(
        &self,
        request: http::Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<http::Response<Vec<u8>>, Error> {
        let url = request.uri().to_string();
        let mut answer = self.open(request, &url, limits).await?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        let mut response = http::Response::new(body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }

    /// Sends `request` to `url` and returns the response once it starts. Only GET and HEAD follow redirects:
    /// any other request is meant for its recipient only.
    async fn open(&self, request: http::Request<Vec<u8>>, url: &str, limits: &Limits) -> Result<Answer, Error> {
        let deadline = Instant::now() + limits.time;
        let (mut parts, body) = request.into_parts();
        let mut url = rules::read(url)?;
        parts.headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
        let follows = matches!(parts.method, Method::GET | Method::HEAD);
        let mut hops = 0;
        loop {
            let hop = self.hop(&parts, &url, &body, (limits, hops > 0));
            let response = timeout_at(deadline, hop).await.map_err(|_| Error::Slow(host(&url)))??;
            let Some(next) = follows.then(|| next(&url, &response)).flatten() else {
                return answer(response, host(&url), deadline, limits.bytes);
            };
            if hops == limits.hops {
                let why = if hops == 0 { "redirects elsewhere" } else { "redirects too often" };
                return Err(Error::Redirect { host: host(&url), why });
            }
            hops += 1;
            let next = next?;
            if next.origin() != url.origin() {
                // Credentials for one host are not sent to the next; nor to the first, if redirected back to
                // it.
                parts.headers = impersonal(&parts.headers);
            }
            url = next;
        }
    }

    async fn hop(
        &self,
        parts: &http::request::Parts,
        url: &Url,
        body: &[u8],
        (limits, is_redirect): (&Limits, bool),
    ) -> Result<reqwest::Response, Error> {
        let failed = |err: reqwest::Error| transport(&host(url), &err);
        let to = hop::addresses(&self.rules, &self.lookup, url, is_redirect).await?;
        let client = hop::client(&self.tls, to, limits.idle).map_err(failed)?;
        // User and password in the URL become a header here.
        let request = client.request(parts.method.clone(), url.clone()).headers(parts.headers.clone());
        request.body(body.to_owned()).send().await.map_err(failed)
    }
}

/// The subset of `headers` that may be sent to a redirect's target.
fn impersonal(headers: &HeaderMap) -> HeaderMap {
    let kept = [header::ACCEPT, header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE];
    kept.into_iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect()
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// The target of a redirect, if the response is one.
fn next(url: &Url, response: &reqwest::Response) -> Option<Result<Url, Error>> {
    let is_one = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let to = response.headers().get(header::LOCATION).filter(|_| is_one)?;
    let wrong = |why| Error::Redirect { host: host(url), why };
    let read = || {
        let to = to.to_str().ok().and_then(|to| url.join(to).ok());
        let mut to = to.ok_or_else(|| wrong("redirects to an invalid URL"))?;
        // Redirects cannot supply credentials; our own stay with the host they are for.
        let own = to.origin() == url.origin();
        let (user, password) = if own { (url.username(), url.password()) } else { ("", None) };
        let _ = (to.set_username(user), to.set_password(password));
        to.set_fragment(None);
        if url.scheme() == "https" && to.scheme() != "https" {
            return Err(wrong("redirects from https to http"));
        }
        rules::read(to.as_str()).map_err(|_| wrong("redirects to an unusable URL"))
    };
    Some(read())
}

fn answer(response: reqwest::Response, host: String, deadline: Instant, most: u64) -> Result<Answer, Error> {
    let size: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > MOST_HEADERS {
        return Err(Error::Large { host, most: MOST_HEADERS as u64 });
    }
    if response.content_length().is_some_and(|length| length > most) {
        return Err(Error::Large { host, most });
    }
    let (status, headers) = (response.status(), response.headers().clone());
    Ok(Answer { status, headers, host, body: response, deadline, most, size: 0 })
}

/// A response whose body is still arriving.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    host: String,
    body: reqwest::Response,
    deadline: Instant,
    most: u64,
    size: u64,
}

impl Answer {
    /// The next chunk of the body; `None` at its end.
    ///
    /// # Errors
    /// If it does not arrive in time, or is too large.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let next = timeout_at(self.deadline, self.body.chunk()).await;
        let chunk = next.map_err(|_| Error::Slow(self.host.clone()))?.map_err(|err| transport(&self.host, &err))?;
        self.size += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        match self.size > self.most {
            true => Err(Error::Large { host: self.host.clone(), most: self.most }),
            false => Ok(chunk),
        }
    }
}
