//! HTTP/1.1 over TCP, kept small so that commands start fast, and websockets.
//!
//! [`Tcp`] sends the requests of [`api::Client`] and reuses its connection. [`open`] streams
//! a response: logs and build output. [`Tcp::socket`] is for terminals.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use api::{Error, Reply, Request, Transport, client::Carried};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use hyper::{
    Response,
    body::{Body, Incoming},
    client::conn::http1::SendRequest,
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::client::generate_key, protocol::Role},
};

use crate::{
    address::{Address, is_localhost},
    output,
};

/// Connect timeout.
const CONNECT: Duration = Duration::from_secs(10);
/// Response timeout.
const ANSWER: Duration = Duration::from_secs(120);
/// Timeout of an upload, with its response.
const UPLOAD: Duration = Duration::from_secs(3600);

type Sender<B = Full<Bytes>> = SendRequest<B>;

/// Sends requests to one platform with one token.
#[derive(Clone)]
pub struct Tcp(Arc<Inner>);

struct Inner {
    address: Address,
    /// Used instead of the address.
    socket: Option<PathBuf>,
    token: String,
    idle: Mutex<Vec<Sender>>,
}

impl Tcp {
    /// Sends requests to `address`, and `token` only there.
    pub fn new(address: Address, token: String) -> Self {
        Self(Arc::new(Inner { address, socket: None, token, idle: Mutex::new(Vec::new()) }))
    }

    /// Sends requests to the Unix socket `socket`.
    pub fn over(socket: PathBuf, token: String) -> anyhow::Result<Self> {
        let address = Address::parse("http://localhost")?;
        Ok(Self(Arc::new(Inner { address, socket: Some(socket), token, idle: Mutex::new(Vec::new()) })))
    }
}

/// A websocket to the platform.
pub type Socket = WebSocketStream<TokioIo<Upgraded>>;

impl Tcp {
    /// Opens the websocket at `path`.
    pub async fn socket(&self, path: &str) -> Result<Socket, Error> {
        let address = &self.0.address;
        let headers = [
            ("authorization", format!("Bearer {}", self.0.token)),
            ("connection", "upgrade".into()),
            ("upgrade", "websocket".into()),
            ("sec-websocket-version", "13".into()),
            ("sec-websocket-key", generate_key()),
        ];
        let mut sender = self.0.connect().await?;
        let request = build(address, "GET", path, &headers, Vec::new())?;
        let response = match timeout(ANSWER, sender.send_request(request)).await {
            Ok(response) => response.map_err(|err| connection_lost(address, &err))?,
            Err(_) => return Err(Error::unreachable(format!("{address} did not respond in time."))),
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let reply = read(address, response).await?;
            moved(address, &reply)?;
            return Err(api::client::refusal(&reply));
        }
        let stream = hyper::upgrade::on(response).await.map_err(|err| connection_lost(address, &err))?;
        Ok(WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Client, None).await)
    }
}

impl Transport for Tcp {
    fn send(&self, request: Request) -> Carried {
        let inner = self.0.clone();
        Box::pin(async move {
            timeout(ANSWER, inner.exchange(request)).await.unwrap_or_else(|_| {
                let seconds = ANSWER.as_secs();
                Err(Error::unreachable(format!("{} did not respond within {seconds} seconds.", inner.address)))
            })
        })
    }
}

impl Inner {
    async fn exchange(&self, request: Request) -> Result<Reply, Error> {
        let mut headers = request.headers;
        headers.push(("authorization", format!("Bearer {}", self.token)));
        let make = || build(&self.address, request.method, &request.path, &headers, request.body.clone());
        let mut sender = match self.reuse().await {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let response = sender.send_request(make()?).await.map_err(|err| connection_lost(&self.address, &err))?;
        let reply = read(&self.address, response).await?;
        self.idle.lock().expect("nothing panics while it holds the lock").push(sender);
        moved(&self.address, &reply)?;
        Ok(reply)
    }

    async fn connect(&self) -> Result<Sender, Error> {
        let Some(socket) = &self.socket else { return connect(&self.address).await };
        match timeout(CONNECT, UnixStream::connect(socket)).await {
            Ok(Ok(stream)) => handshake(&self.address, stream).await,
            Ok(Err(err)) => Err(unreachable(&self.address, &say(&err))),
            Err(_) => Err(unreachable(&self.address, "timed out")),
        }
    }

    /// An idle connection of an earlier request.
    async fn reuse(&self) -> Option<Sender> {
        loop {
            let mut sender = self.idle.lock().expect("nothing panics while it holds the lock").pop()?;
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }
}

/// Opens the pre-signed `url`, and returns as soon as the response starts.
pub async fn open(url: &str, headers: &[(&'static str, String)]) -> Result<Response<Incoming>, Error> {
    let (address, path) = Address::split(url).map_err(|err| Error::unreadable(0, format!("{err:#}")))?;
    let mut sender = connect(&address).await?;
    let request = build(&address, "GET", &path, headers, Vec::new())?;
    let answer = timeout(ANSWER, sender.send_request(request)).await;
    match answer {
        Ok(response) => response.map_err(|err| connection_lost(&address, &err)),
        Err(_) => Err(Error::unreachable(format!("{address} did not respond in time."))),
    }
}

/// Sends `body` to the pre-signed `url` with PUT.
pub async fn upload<B>(url: &str, body: B) -> Result<(), Error>
where
    B: Body<Data = Bytes, Error = std::io::Error> + Send + Unpin + 'static,
{
    let (address, path) = Address::split(url).map_err(|err| Error::unreadable(0, format!("{err:#}")))?;
    let mut sender = connect(&address).await?;
    let answer = timeout(UPLOAD, async {
        let response = sender.send_request(with_body(&address, "PUT", &path, &[], body)?).await;
        read(&address, response.map_err(|err| connection_lost(&address, &err))?).await
    });
    let reply = answer.await.unwrap_or_else(|_| {
        let minutes = UPLOAD.as_secs() / 60;
        Err(Error::unreachable(format!("The upload to {address} did not end within {minutes} minutes.")))
    })?;
    moved(&address, &reply)?;
    match reply.status {
        200..300 => Ok(()),
        status => {
            let unreadable = |_| Error::unreadable(status, format!("The upload was rejected with status {status}."));
            Err(Error { status, ..serde_json::from_slice(&reply.body).unwrap_or_else(unreadable) })
        }
    }
}

fn build(
    address: &Address,
    method: &str,
    path: &str,
    headers: &[(&'static str, String)],
    body: Vec<u8>,
) -> Result<hyper::Request<Full<Bytes>>, Error> {
    with_body(address, method, path, headers, Full::new(Bytes::from(body)))
}

fn with_body<B>(
    address: &Address,
    method: &str,
    path: &str,
    headers: &[(&'static str, String)],
    body: B,
) -> Result<hyper::Request<B>, Error> {
    let mut request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header("host", address.authority())
        .header("user-agent", concat!("wharf/", env!("CARGO_PKG_VERSION")));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request
        .body(body)
        .map_err(|err| Error::unreadable(0, format!("Invalid request: {err}. Is the token a single line?")))
}

async fn read(address: &Address, response: Response<Incoming>) -> Result<Reply, Error> {
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let reply = Reply { status, headers, body: Vec::new() };
    for name in ["x-heroku-warning", "warning-message"] {
        if let Some(text) = reply.headers.get(name) {
            output::warn(text);
        }
    }
    let body = response.into_body().collect().await.map_err(|err| connection_lost(address, &err))?;
    Ok(Reply { body: body.to_bytes().to_vec(), ..reply })
}

/// Redirects are not followed: the token is for this address only.
fn moved(address: &Address, reply: &Reply) -> Result<(), Error> {
    match reply.headers.get("location") {
        Some(to) if (300..400).contains(&reply.status) => {
            let text = format!("{address} redirects to {to}. Log in there: wharf login ADDRESS");
            Err(Error::unreadable(reply.status, text))
        }
        _ => Ok(()),
    }
}

async fn connect<B>(address: &Address) -> Result<Sender<B>, Error>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = match timeout(CONNECT, dial(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(err)) => return Err(unreachable(address, &say(&err))),
        Err(_) => return Err(unreachable(address, "timed out")),
    };
    stream.set_nodelay(true).ok();
    if address.https {
        let stream = secure(address, stream).await.map_err(|err| untrusted(address, &err))?;
        handshake(address, stream).await
    } else {
        handshake(address, stream).await
    }
}

/// Connects. Not every resolver knows that `x.localhost` is this machine, so those names
/// are not looked up.
async fn dial(address: &Address) -> std::io::Result<TcpStream> {
    if !is_localhost(&address.host) {
        return TcpStream::connect((address.bare_host(), address.port)).await;
    }
    match TcpStream::connect(("127.0.0.1", address.port)).await {
        Ok(stream) => Ok(stream),
        Err(first) => TcpStream::connect(("::1", address.port)).await.map_err(|_| first),
    }
}

async fn secure(address: &Address, stream: TcpStream) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    use tokio_rustls::{TlsConnector, rustls};
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name =
        rustls::pki_types::ServerName::try_from(address.bare_host().to_owned()).map_err(std::io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn handshake<S, B>(address: &Address, stream: S) -> Result<Sender<B>, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|err| connection_lost(address, &err))?;
    // Ends when the sender is dropped; errors show up in the response.
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

fn say(err: &std::io::Error) -> String {
    match err.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
        _ => err.to_string(),
    }
}

fn unreachable(address: &Address, why: &str) -> Error {
    let advice = if address.is_local() {
        "Is Wharf running? Start it with: make run or wharfd up"
    } else {
        "Check the address (wharf login ADDRESS, or WHARF_URL) and the network."
    };
    Error::unreachable(format!("Couldn't reach {address}: {why}. {advice}"))
}

fn untrusted(address: &Address, err: &std::io::Error) -> Error {
    Error::unreachable(format!(
        "TLS handshake with {address} failed: {err}. If its certificate is from a private CA, \
         set SSL_CERT_FILE to the CA's certificate."
    ))
}

fn connection_lost(address: &Address, err: &hyper::Error) -> Error {
    Error::unreachable(format!("The connection to {address} was lost: {err}. Try again."))
}
