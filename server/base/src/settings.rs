//! What every area has to know of how the platform was started.

use std::{net::SocketAddr, path::PathBuf};

use outbound::Network;

/// Settings, all of them decided by whoever starts the platform.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of everything that lasts.
    pub data: PathBuf,
    /// The file that knows the newest event of the audit log, outside the database.
    pub audit_anchor: PathBuf,
    /// Where the router listens; for addresses in answers.
    pub listen: SocketAddr,
    /// Where the console and the API are, e.g. `localhost`.
    pub domain: String,
    /// Apps are at `<name>.<apps_domain>`.
    pub apps_domain: String,
    /// Whether the router serves HTTPS.
    pub tls: bool,
    pub database_url: String,
    /// The key itself, when it does not live in `master.key`.
    pub master_key: Option<String>,
    /// Networks that are not public, and may be asked all the same when somebody gives an address there.
    pub outbound_networks: Vec<Network>,
}

impl Settings {
    fn port(&self) -> String {
        match self.listen.port() {
            // Whatever ends TLS is in front, at the usual port.
            _ if self.tls => String::new(),
            80 => String::new(),
            port => format!(":{port}"),
        }
    }

    /// Ports of this host that anybody may reach apps on, dynos too. None if the router listens
    /// for this host alone. HTTPS may be ended in front of the router.
    pub fn public_ports(&self) -> Vec<u16> {
        let own = (!self.listen.ip().is_loopback()).then_some(self.listen.port());
        own.into_iter().chain(self.tls.then_some(443)).collect()
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// Where the console and the API are: `http://localhost:5000`.
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme(), self.domain, self.port())
    }

    /// Where an app is served, with a slash at the end.
    pub fn app_url(&self, name: &str) -> String {
        format!("{}://{name}.{}{}/", self.scheme(), self.apps_domain, self.port())
    }

    /// Hosts that are the platform's own.
    pub fn platform_hosts(&self) -> Vec<String> {
        let domain = &self.domain;
        vec![domain.clone(), format!("api.{domain}"), format!("console.{domain}")]
    }
}
