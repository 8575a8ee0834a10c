//! The settings that every area needs.

use std::{net::SocketAddr, path::PathBuf};

use outbound::Network;

/// The operator's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The data directory.
    pub data: PathBuf,
    /// The file that records the newest event of the audit log, outside the database.
    pub audit_anchor: PathBuf,
    /// The address that the router listens on; for URLs in responses.
    pub listen: SocketAddr,
    /// The host of the console and the API, e.g. `localhost`.
    pub domain: String,
    /// Apps are at `<name>.<apps_domain>`.
    pub apps_domain: String,
    /// Whether the router serves HTTPS.
    pub tls: bool,
    pub database_url: String,
    /// The key itself, if it is not in `master.key`.
    pub master_key: Option<String>,
    /// Private networks that requests to user-supplied URLs can reach.
    pub outbound_networks: Vec<Network>,
}

impl Settings {
    fn port(&self) -> String {
        match self.listen.port() {
            // TLS is terminated in front of the router, at the default port.
            _ if self.tls => String::new(),
            80 => String::new(),
            port => format!(":{port}"),
        }
    }

    /// Public ports of this host, which dynos can reach, too. None if the router listens on a loopback address. TLS may
    /// be terminated in front of the router.
    pub fn public_ports(&self) -> Vec<u16> {
        let own = (!self.listen.ip().is_loopback()).then_some(self.listen.port());
        own.into_iter().chain(self.tls.then_some(443)).collect()
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// The URL of the console and the API: `http://localhost:5000`.
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme(), self.domain, self.port())
    }

    /// The URL of an app, with a slash at the end.
    pub fn app_url(&self, name: &str) -> String {
        format!("{}://{name}.{}{}/", self.scheme(), self.apps_domain, self.port())
    }

    /// The platform's own host names.
    pub fn platform_hosts(&self) -> Vec<String> {
        let domain = &self.domain;
        vec![domain.clone(), format!("api.{domain}"), format!("console.{domain}")]
    }
}
