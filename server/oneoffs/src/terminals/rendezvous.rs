//! The rendezvous protocol, for terminals in Heroku's clients.
//!
//! The client sends the secret of its `attach_url`, and a line end or none; the answer is a greeting, and then the bytes
//! of the process both ways. Heroku's CLI discards the first data that it reads, which has to be the greeting alone.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use async_trait::async_trait;
use dyno::FromProcess;
use futures::{StreamExt as _, future::BoxFuture, stream};
use platform::Rendezvous;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use super::{
    openings::SECRET_LENGTH,
    session::{self, End, FromClient, Input, Screen},
};
use crate::OneOffs;

const GREETING: &[u8] = b"rendezvous\r\n";
/// How long a client may take to encrypt the connection and send its secret.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause between the greeting and the first output, so that a client reads them separately.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections that have not sent a secret yet, in total and per client.
const MOST_STRANGERS: usize = 1000;
const MOST_OF_ADDRESS: usize = 50;
/// The end of the input, from a client whose own input is a file.
const END_OF_INPUT: u8 = 4;

/// Begins to listen, if that is configured. The future serves clients until it is dropped.
///
/// # Errors
/// If the port or the certificate cannot be used.
pub(crate) async fn listen(one_offs: &OneOffs) -> anyhow::Result<BoxFuture<'static, ()>> {
    let one_offs = one_offs.clone();
    let bound = match one_offs.config().rendezvous.clone() {
        Some(settings) => Some(bind(&one_offs, &settings).await?),
        None => None,
    };
    Ok(Box::pin(async move {
        if let Some((listener, tls)) = bound {
            accept(one_offs, listener, tls).await;
        }
    }))
}

async fn bind(one_offs: &OneOffs, settings: &Rendezvous) -> anyhow::Result<(TcpListener, Option<TlsAcceptor>)> {
    let address = settings.listen;
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("listen on {address} for Heroku's clients"))?;
    one_offs.terminals().set_port(listener.local_addr().context("read the port of the rendezvous")?.port());
    let tls = settings.tls.as_ref().map(|(certificate, key)| acceptor(certificate, key)).transpose()?;
    if tls.is_none() && !address.ip().is_loopback() {
        tracing::warn!("the rendezvous at {address} is not encrypted: a proxy in front has to terminate TLS");
    }
    Ok((listener, tls))
}

fn acceptor(certificate: &std::path::Path, key: &std::path::Path) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.with_context(|| format!("read the certificate {}", certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("read the private key {}", key.display()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("use the certificate of the rendezvous")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn accept(one_offs: OneOffs, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let strangers = Arc::new(Semaphore::new(MOST_STRANGERS));
    let addresses = Arc::<Addresses>::default();
    let mut clients = JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        let Ok(place) = strangers.clone().acquire_owned().await else { return };
        let (stream, counted) = match listener.accept().await {
            Ok((stream, from)) => match Counted::new(&addresses, from.ip()) {
                Some(counted) => (stream, (place, counted)),
                None => continue,
            },
            Err(err) => {
                tracing::warn!("could not accept a client of the rendezvous: {err}");
                sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let (one_offs, tls) = (one_offs.clone(), tls.clone());
        clients.spawn(async move {
            let admitted = async {
                let _ = stream.set_nodelay(true);
                match tls {
                    Some(tls) => identify(Box::new(tls.accept(stream).await?)).await,
                    None => identify(Box::new(stream)).await,
                }
            };
            let Ok(Ok((secret, stream))) = timeout(PATIENCE, admitted).await else { return };
            drop(counted);
            // A client that fails is gone.
            let _ = serve(&one_offs, &secret, stream).await;
        });
    }
}

/// The number of strangers by address, or by network.
type Addresses = Mutex<HashMap<IpAddr, usize>>;

/// Whose connections are counted together: an IPv4 address, or the /64 network of an IPv6 address, which is the least that
/// a single customer gets.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

/// A stranger, counted until this is dropped.
struct Counted(Arc<Addresses>, IpAddr);

impl Counted {
    /// `None` if there are too many of this address. A proxy on this machine speaks for all clients.
    fn new(addresses: &Arc<Addresses>, address: IpAddr) -> Option<Self> {
        let most = if address.to_canonical().is_loopback() { MOST_STRANGERS } else { MOST_OF_ADDRESS };
        let address = network(address);
        let mut all = addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Self(addresses.clone(), address))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.1);
            }
        }
    }
}

/// A connection, encrypted or not.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl Connection for TcpStream {}
impl Connection for tokio_rustls::server::TlsStream<TcpStream> {}

type Stream = Box<dyn Connection>;

/// Reads the secret.
async fn identify(mut stream: Stream) -> io::Result<(String, Stream)> {
    let mut secret = [0; SECRET_LENGTH];
    stream.read_exact(&mut secret).await?;
    Ok((String::from_utf8_lossy(&secret).into_owned(), stream))
}

async fn serve(one_offs: &OneOffs, secret: &str, mut stream: Stream) -> io::Result<()> {
    let Some(opening) = one_offs.terminals().claim(secret, None) else { return stream.shutdown().await };
    stream.write_all(GREETING).await?;
    stream.flush().await?;
    let (mut reader, writer) = tokio::io::split(stream);
    let begun = begin(&mut reader).await?;
    let input = input(reader, begun, opening.has_pipes);
    session::serve(one_offs, opening, input, &mut Client(writer)).await;
    Ok(())
}

/// Waits a moment, and reads the line end after the secret, or the first input.
async fn begin(reader: &mut ReadHalf<Stream>) -> io::Result<Vec<u8>> {
    let mut first = Vec::with_capacity(1024);
    let read = async {
        while first.len() < 2 {
            if reader.read_buf(&mut first).await? == 0 {
                break;
            }
        }
        Ok::<_, io::Error>(())
    };
    // Both, whichever takes longer: the pause is for the client.
    let (read, ()) = tokio::join!(timeout(PAUSE, read), sleep(PAUSE));
    if let Ok(read) = read {
        read?;
    }
    Ok(first.strip_prefix(b"\r\n").or(first.strip_prefix(b"\n")).unwrap_or(&first).to_vec())
}

/// The input of a client until it is gone.
fn input(reader: ReadHalf<Stream>, begun: Vec<u8>, has_pipes: bool) -> Input {
    let chunks = stream::unfold(reader, |mut reader| async move {
        let mut buffer = vec![0; 16 << 10];
        match reader.read(&mut buffer).await {
            Ok(0) | Err(_) => None,
            Ok(read) => {
                buffer.truncate(read);
                Some((buffer, reader))
            }
        }
    });
    let first = stream::iter((!begun.is_empty()).then_some(begun));
    first.chain(chunks).flat_map(move |bytes| stream::iter(received(bytes, has_pipes))).boxed()
}

/// Without a terminal, nothing in the dyno makes the end of the input of its character.
fn received(mut bytes: Vec<u8>, has_pipes: bool) -> Vec<FromClient> {
    let is_last = has_pipes && bytes.last() == Some(&END_OF_INPUT);
    if is_last {
        bytes.pop();
    }
    let input = (!bytes.is_empty()).then_some(FromClient::Input(bytes));
    input.into_iter().chain(is_last.then_some(FromClient::EndOfInput)).collect()
}

struct Client(WriteHalf<Stream>);

#[async_trait]
impl Screen for Client {
    async fn attached(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn show(&mut self, output: FromProcess) -> io::Result<()> {
        if let FromProcess::Output(bytes) | FromProcess::Errors(bytes) = output {
            self.0.write_all(&bytes).await?;
            self.0.flush().await?;
        }
        Ok(())
    }

    /// The protocol has no message for it.
    async fn ping(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn end(&mut self, end: &End) -> io::Result<()> {
        if let End::Failed(message) = end {
            self.0.write_all(format!("\r\n{message}\r\n").as_bytes()).await?;
        }
        self.0.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_d_ends_the_input_of_pipes_only() {
        assert_eq!(received(b"a\x04".to_vec(), false), [FromClient::Input(b"a\x04".to_vec())]);
        assert_eq!(received(b"a\x04".to_vec(), true), [FromClient::Input(b"a".to_vec()), FromClient::EndOfInput]);
        assert_eq!(received(b"\x04".to_vec(), true), [FromClient::EndOfInput]);
        assert_eq!(received(b"a".to_vec(), true), [FromClient::Input(b"a".to_vec())]);
    }

    #[test]
    fn an_address_has_few_strangers_at_once() {
        let (addresses, address) = (Arc::<Addresses>::default(), IpAddr::from([192, 0, 2, 1]));
        let all: Vec<_> = (0..MOST_OF_ADDRESS).map(|_| Counted::new(&addresses, address).unwrap()).collect();
        assert!(Counted::new(&addresses, address).is_none());
        assert!(Counted::new(&addresses, IpAddr::from([192, 0, 2, 2])).is_some());
        drop(all);
        assert!(addresses.lock().unwrap().is_empty());
    }

    #[test]
    fn a_network_counts_as_one_client_and_a_proxy_as_many() {
        let addresses = Arc::<Addresses>::default();
        let v6 = |n: usize| format!("2001:db8::{n:x}").parse::<IpAddr>().unwrap();
        let _all: Vec<_> = (0..MOST_OF_ADDRESS).map(|n| Counted::new(&addresses, v6(n)).unwrap()).collect();
        assert!(Counted::new(&addresses, v6(MOST_OF_ADDRESS)).is_none());
        assert!(Counted::new(&addresses, "2001:db8:0:1::1".parse().unwrap()).is_some());
        for proxy in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let proxy = proxy.parse().unwrap();
            let many: Vec<_> = (0..=MOST_OF_ADDRESS).map(|_| Counted::new(&addresses, proxy)).collect();
            assert!(many.iter().all(Option::is_some), "{proxy}");
        }
    }

    #[tokio::test]
    async fn the_line_end_after_the_secret_is_no_input() {
        for (sent, input) in [("\r\n", ""), ("\n", ""), ("\r\nls\n", "ls\n"), ("ls\n", "ls\n"), ("", "")] {
            let (mut client, server) = tokio::net::TcpListener::bind("127.0.0.1:0")
                .await
                .map(|listener| async move {
                    let address = listener.local_addr().unwrap();
                    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
                    (client.unwrap(), accepted.unwrap().0)
                })
                .unwrap()
                .await;
            client.write_all(sent.as_bytes()).await.unwrap();
            let (mut reader, _writer) = tokio::io::split::<Stream>(Box::new(server));
            assert_eq!(begin(&mut reader).await.unwrap(), input.as_bytes(), "{sent:?}");
        }
    }
}
