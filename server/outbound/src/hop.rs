//! One hop: a request to one host, at verified addresses.

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

/// The resolver: the addresses of a name, for a port.
pub type Lookup = Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Connect timeout.
const CONNECT: Duration = Duration::from_secs(10);
/// The maximum number of addresses tried per name.
const MOST_ADDRESSES: usize = 8;

/// The system's resolver.
pub(crate) fn system() -> Lookup {
    Arc::new(|host, port| Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }))
}

/// The addresses of `url` that may be connected to. `is_redirect` if a redirect led here.
pub(crate) async fn addresses(
    rules: &Rules,
    lookup: &Lookup,
    url: &Url,
    is_redirect: bool,
) -> Result<Vec<SocketAddr>, Error> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(0);
    let refused = |kind, is_literal| Error::Refused { host: host.to_owned(), kind, is_literal, is_redirect };
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

/// A resolver that returns the verified addresses: nothing is looked up a second time.
struct Checked(Vec<SocketAddr>);

impl Resolve for Checked {
    fn resolve(&self, _: Name) -> Resolving {
        let all = self.0.clone();
        Box::pin(async move { Ok(Box::new(all.into_iter()) as Addrs) })
    }
}

/// A client for this hop only: no redirects, no decompression, no cookies, no connection reuse.
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
