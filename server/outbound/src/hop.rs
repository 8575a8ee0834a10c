//! One hop: a request to one host, at addresses that were checked.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use tokio_rustls::rustls::ClientConfig;

use crate::{error::Error, rules::Rules};

/// How names are looked up: the addresses of a name, for a port.
pub type Lookup = Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Who does not take a connection in this time does not take it.
const CONNECT: Duration = Duration::from_secs(10);
/// A name may have more addresses than it is worth trying.
const MOST_ADDRESSES: usize = 8;

/// As this machine looks names up.
pub(crate) fn system() -> Lookup {
    Arc::new(|host, port| Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }))
}

/// Where `url` leads: addresses that may be connected to. `is_sent` when a redirect led here.
pub(crate) async fn addresses(
    rules: &Rules,
    lookup: &Lookup,
    url: &Url,
    is_sent: bool,
) -> Result<Vec<SocketAddr>, Error> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(0);
    let refused = |kind, is_literal| Error::Refused { host: host.to_owned(), kind, is_literal, is_sent };
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return match rules.forbids(ip, port) {
            Some(kind) => Err(refused(kind, true)),
            None => Ok(vec![(ip, port).into()]),
        };
    }
    let found = lookup(host.to_owned(), port).await.unwrap_or_default();
    let (mut allowed, mut kind) = (Vec::new(), None);
    for address in found {
        match rules.forbids(address.ip(), port) {
            None => allowed.push(address),
            Some(forbidden) => kind = Some(forbidden),
        }
    }
    allowed.truncate(MOST_ADDRESSES);
    match (allowed.is_empty(), kind) {
        (false, _) => Ok(allowed),
        (true, Some(kind)) => Err(refused(kind, false)),
        (true, None) => Err(Error::Unknown(host.to_owned())),
    }
}

/// Answers every question with what was checked: nothing is looked up a second time.
struct Checked(Vec<SocketAddr>);

impl Resolve for Checked {
    fn resolve(&self, _: Name) -> Resolving {
        let all = self.0.clone();
        Box::pin(async move { Ok(Box::new(all.into_iter()) as Addrs) })
    }
}

/// A client for this one hop. It follows nothing, unpacks nothing, keeps no cookie and no connection.
pub(crate) fn client(tls: &ClientConfig, to: Vec<SocketAddr>, idle: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .dns_resolver(Arc::new(Checked(to)))
        .redirect(reqwest::redirect::Policy::none())
        .use_preconfigured_tls(tls.clone())
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .http1_only()
        .referer(false)
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT)
        .read_timeout(idle)
        .user_agent("wharf")
        .build()
}
