//! Requests to the server over its socket in RUN, for `up` and `login-link`.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use api::sessions::SignInLink;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, time::timeout};

use crate::config::Settings;

/// The socket of the server, in RUN.
pub const SERVER: &str = "server.sock";

const PATIENCE: Duration = Duration::from_secs(15);

/// Creates a one-time sign-in link.
pub async fn sign_in_link(settings: &Settings) -> Result<SignInLink> {
    let file = settings.data.join("admin-token");
    let token = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let (scheme, host) =
        settings.console_url().split_once("://").map(|(s, h)| (s.to_owned(), h.to_owned())).unwrap_or_default();
    let request = Request::post("/account/sign-in-links")
        .header(header::HOST, host)
        .header("x-forwarded-proto", scheme)
        .header(header::ACCEPT, api::client::ACCEPT)
        .header(header::AUTHORIZATION, format!("Bearer {}", token.trim()))
        .body(Full::new(Bytes::new()))
        .context("write the request")?;
    let answer = timeout(PATIENCE, ask(&settings.run(), request)).await;
    let body = answer.map_err(|_| anyhow!("the server is not responding"))??;
    serde_json::from_slice(&body).context("read the link")
}

async fn ask(run: &Path, request: Request<Full<Bytes>>) -> Result<Bytes> {
    let stream = UnixStream::connect(run.join(SERVER)).await.context("connect to the server")?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.context("HTTP handshake with the server")?;
    let driving = tokio::spawn(connection);
    let answer = sender.send_request(request).await.context("send the request to the server")?;
    let status = answer.status();
    let body = answer.into_body().collect().await.context("read the server's response")?.to_bytes();
    driving.abort();
    if !status.is_success() {
        bail!("the server responded with {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(body)
}
