//! Requests to the server over its socket in RUN, for `up`, `login-link` and `doctor`.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use api::{platform::PlatformInfo, sessions::SignInLink};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, time::timeout};

use crate::config::Settings;

/// The socket of the server, in RUN.
pub const SERVER: &str = "server.sock";

const PATIENCE: Duration = Duration::from_secs(15);

/// Creates a one-time sign-in link, with the URL of the running platform, which may have been started with other
/// settings than this process.
pub async fn sign_in_link(settings: &Settings) -> Result<SignInLink> {
    let url = platform_info(settings).await?.url;
    let link = call(settings, Method::POST, "/account/sign-in-links", &url).await?;
    serde_json::from_slice(&link).context("read the link")
}

/// The state of the running platform.
pub async fn platform_info(settings: &Settings) -> Result<PlatformInfo> {
    let platform = call(settings, Method::GET, "/platform", &settings.console_url()).await?;
    serde_json::from_slice(&platform).context("read the state of the platform")
}

/// Sends a request as the first administrator.
async fn call(settings: &Settings, method: Method, path: &str, url: &str) -> Result<Bytes> {
    let file = settings.data.join("admin-token");
    let token = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let request = request(method, path, (url, token.trim()))?;
    timeout(PATIENCE, ask(&settings.run(), request)).await.map_err(|_| anyhow!("the server is not responding"))?
}

fn request(method: Method, path: &str, (url, token): (&str, &str)) -> Result<Request<Full<Bytes>>> {
    let (scheme, host) = url.split_once("://").unwrap_or_default();
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, host)
        .header("x-forwarded-proto", scheme)
        .header(header::ACCEPT, api::client::ACCEPT)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Full::new(Bytes::new()))
        .context("write the request")
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
