//! Every setting, its default, its meaning.
//!
//! A setting is given as an option or in the environment; `up` passes them to the roles it
//! starts through the environment, because command lines are readable by every user of the machine.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use base::Network;
use clap::{Args, ValueEnum};
use sha2::{Digest, Sha256};

/// Settings passed to the router: an attacker who compromises it learns no others.
const FOR_ROUTER: [&str; 10] = [
    "WHARF_DATA",
    "WHARF_LISTEN",
    "WHARF_DOMAIN",
    "WHARF_TLS",
    "WHARF_TRUSTED_PROXIES",
    "WHARF_PROXY_PROTOCOL",
    "WHARF_CONNECTIONS_PER_ADDRESS",
    "WHARF_HSTS_MAX_AGE",
    "WHARF_LOG_FORMAT",
    "WHARF_LOG",
];

/// The warning for [`Settings::client_addresses_are_hidden`].
pub const CLIENT_ADDRESSES_ARE_HIDDEN: &str = "--tls is set, but --trusted-proxies is empty: every client appears with the \
     address of the proxy that terminates TLS, shares its limits, and is logged with it. Set e.g. --trusted-proxies 127.0.0.1";

/// The data directory, unless another one is set.
const DATA: &str = "/var/lib/wharf";

/// Settings of every role.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Data directory
    #[arg(long, env = "WHARF_DATA", value_name = "DIR", default_value = DATA)]
    pub data: PathBuf,

    /// Address to listen on; 127.0.0.1 includes [::1]
    #[arg(long, env = "WHARF_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:5000", value_parser = listen)]
    pub listen: SocketAddr,

    /// Domain of the console and the API; apps are subdomains of it
    #[arg(long, env = "WHARF_DOMAIN", value_name = "NAME", default_value = "localhost", value_parser = domain)]
    pub domain: String,

    /// Separate domain for apps, to isolate them from the console in browsers [default: the domain]
    #[arg(long, env = "WHARF_APPS_DOMAIN", value_name = "NAME", value_parser = domain)]
    pub apps_domain: Option<String>,

    /// TLS is terminated in front of Wharf: links use https, and cookies are Secure
    #[arg(long, env = "WHARF_TLS")]
    pub tls: bool,

    /// Proxies in front of Wharf whose X-Forwarded-For is trusted, e.g. 127.0.0.1,192.168.1.7
    #[arg(long, env = "WHARF_TRUSTED_PROXIES", value_name = "NETWORKS", default_value = "", hide_default_value = true)]
    pub trusted_proxies: router::Networks,

    /// Trusted proxies send the PROXY protocol, version 1 or 2
    #[arg(long, env = "WHARF_PROXY_PROTOCOL")]
    pub proxy_protocol: bool,

    /// Maximum concurrent connections per client address
    #[arg(long, env = "WHARF_CONNECTIONS_PER_ADDRESS", value_name = "N", default_value_t = 1000, value_parser = at_least_one)]
    pub connections_per_address: usize,

    /// max-age of Strict-Transport-Security in seconds, with --tls; 0 omits the header
    #[arg(long, env = "WHARF_HSTS_MAX_AGE", value_name = "SECONDS", default_value_t = router::HSTS.as_secs())]
    pub hsts_max_age: u64,

    /// Postgres database to use instead of a private cluster
    #[arg(long, env = "WHARF_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// The key that encrypts secrets, instead of the one in DIR/master.key
    #[arg(long, env = "WHARF_MASTER_KEY", value_name = "KEY", hide_env_values = true, hide = true)]
    pub master_key: Option<String>,

    /// File outside the database that records the newest event of the audit log [default: DIR/audit-anchor]
    #[arg(long, env = "WHARF_AUDIT_ANCHOR", value_name = "FILE")]
    pub audit_anchor: Option<PathBuf>,

    /// Maximum concurrent builds; defaults to the number of cores
    #[arg(long, env = "WHARF_BUILD_CONCURRENCY", value_name = "N", default_value_t = cores(), value_parser = at_least_one)]
    pub build_concurrency: usize,

    /// Non-public networks that the platform may send requests to for users, e.g. 10.1.0.0/16,fd00::/8
    #[arg(long, env = "WHARF_OUTBOUND_NETWORKS", value_name = "NETWORK,…", value_delimiter = ',')]
    pub outbound_networks: Vec<Network>,

    /// Maximum size of a push, in MB
    #[arg(long, env = "WHARF_GIT_PUSH_MB", value_name = "MB", default_value_t = 2048, value_parser = one_or_more)]
    pub git_push_mb: u64,

    /// Maximum total size of the files in a deployed commit, in MB
    #[arg(long, env = "WHARF_GIT_CHECKOUT_MB", value_name = "MB", default_value_t = 1024, value_parser = one_or_more)]
    pub git_checkout_mb: u64,

    /// Maximum size of an app's git repository on disk, in MB
    #[arg(long, env = "WHARF_GIT_REPOSITORY_MB", value_name = "MB", default_value_t = 8192, value_parser = one_or_more)]
    pub git_repository_mb: u64,

    /// Memory limit of one clone or push, in MB
    #[arg(long, env = "WHARF_GIT_MEMORY_MB", value_name = "MB", default_value_t = 512, value_parser = from_64)]
    pub git_memory_mb: u64,

    /// Time limit of a clone, or of the upload of a push, in minutes
    #[arg(long, env = "WHARF_GIT_MINUTES", value_name = "N", default_value_t = 60, value_parser = one_or_more)]
    pub git_minutes: u64,

    /// Private networks that apps and builds may reach, e.g. 10.1.0.0/16,192.168.1.7
    #[arg(long, env = "WHARF_DYNO_NETWORKS", value_name = "NETWORKS", value_delimiter = ',', value_parser = network)]
    pub dyno_networks: Vec<dyno::Range>,

    /// Disk space of a dyno for /app and /tmp, in MB
    #[arg(long, env = "WHARF_DYNO_DISK_MB", value_name = "MB", default_value_t = 10_240, value_parser = disk)]
    pub dyno_disk_mb: u64,

    /// Disk space of a build, and of its cache, in MB
    #[arg(long, env = "WHARF_BUILD_DISK_MB", value_name = "MB", default_value_t = 20_480, value_parser = disk)]
    pub build_disk_mb: u64,

    /// Address for `heroku run` of Heroku's CLI, which requires a certificate for the domain, e.g. 0.0.0.0:5001
    #[arg(long, env = "WHARF_RENDEZVOUS", value_name = "ADDR:PORT", value_parser = listen)]
    pub rendezvous: Option<SocketAddr>,

    /// Certificate chain of that address, in PEM; without it, a proxy in front has to terminate TLS
    #[arg(long, env = "WHARF_RENDEZVOUS_CERT", value_name = "FILE", requires = "rendezvous_key")]
    pub rendezvous_cert: Option<PathBuf>,

    /// Private key of that certificate, in PEM
    #[arg(long, env = "WHARF_RENDEZVOUS_KEY", value_name = "FILE", requires = "rendezvous_cert")]
    pub rendezvous_key: Option<PathBuf>,

    /// npm registry from which the platform downloads Node.js and its package managers for all builds
    #[arg(long, env = "WHARF_NPM_REGISTRY", value_name = "URL", default_value = "https://registry.npmjs.org", value_parser = registry, hide_env_values = true)]
    pub npm_registry: String,

    /// Memory reserved for the system, not available to apps and builds, in MB [default: a tenth, at least 512]
    #[arg(long, env = "WHARF_MEMORY_RESERVE_MB", value_name = "MB")]
    pub memory_reserve_mb: Option<u64>,

    /// Format of log lines
    #[arg(long, env = "WHARF_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Log filter, e.g. debug or router=debug
    #[arg(long, env = "WHARF_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}

/// Settings of `wharfd up`.
#[derive(Args, Clone, Debug)]
pub struct UpSettings {
    #[command(flatten)]
    pub common: Settings,

    /// Keep the dynos running when the platform stops, for an upgrade
    #[arg(long, env = "WHARF_KEEP_DYNOS")]
    pub keep_dynos: bool,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })
    }
}

impl Settings {
    /// The domain that apps are subdomains of.
    pub fn apps_domain(&self) -> &str {
        self.apps_domain.as_deref().unwrap_or(&self.domain)
    }

    /// The URL of the console for a browser on this machine, or on the network of the domain.
    pub fn console_url(&self) -> String {
        match (self.tls, self.listen.port()) {
            (true, _) => format!("https://{}", self.domain),
            (false, 80) => format!("http://{}", self.domain),
            (false, port) => format!("http://{}:{port}", self.domain),
        }
    }

    /// Whether TLS is terminated by a proxy that is not trusted for client addresses.
    pub fn client_addresses_are_hidden(&self) -> bool {
        self.tls && self.trusted_proxies.is_empty()
    }

    /// Whether commands find the data directory without being told.
    pub fn has_default_data(&self) -> bool {
        self.data == Path::new(DATA)
    }

    /// Makes the path of the data directory absolute, and resolves symlinks if it exists.
    pub fn resolve(&mut self) -> Result<()> {
        self.data = std::path::absolute(&self.data).context("resolve the path of the data directory")?;
        if let Ok(real) = self.data.canonicalize() {
            self.data = real;
        }
        if let Some(file) = &mut self.audit_anchor {
            *file = std::path::absolute(&*file).context("resolve the path of the audit anchor")?;
        }
        for file in [&mut self.rendezvous_cert, &mut self.rendezvous_key].into_iter().flatten() {
            *file = std::path::absolute(&*file).context("resolve the path of the certificate")?;
        }
        Ok(())
    }

    /// Proxies that are trusted for client addresses: never a dyno, even if a listed network contains them.
    pub fn proxies_without_dynos(&self) -> router::Networks {
        self.trusted_proxies.without(&self.dyno_addresses())
    }

    /// The addresses of dynos, which are untrusted.
    pub fn dyno_addresses(&self) -> router::Networks {
        self.host().network.to_string().parse().expect("the range of dynos is a network")
    }

    /// The file outside the database that records the newest event of the audit log.
    pub fn audit_anchor(&self) -> PathBuf {
        self.audit_anchor.clone().unwrap_or_else(|| self.data.join("audit-anchor"))
    }

    /// The port for the terminals of Heroku's CLI, if there is one.
    pub fn rendezvous(&self) -> Option<platform::Rendezvous> {
        let tls = self.rendezvous_cert.clone().zip(self.rendezvous_key.clone());
        self.rendezvous.map(|listen| platform::Rendezvous { listen, tls })
    }

    /// Limits common to all dynos of this machine.
    pub fn host(&self) -> dyno::Host {
        let reserve = self.memory_reserve_mb.map(|mb| mb << 20);
        dyno::Host { open: self.dyno_networks.clone(), reserve, ..dyno::Host::default() }
    }

    /// RUN: sockets and locks. Short, because the path of a socket is limited to 108 bytes.
    pub fn run(&self) -> PathBuf {
        run_dir(&self.data)
    }

    /// The additional networks for outbound requests, as given.
    pub fn networks(&self) -> String {
        self.outbound_networks.iter().map(Network::to_string).collect::<Vec<_>>().join(",")
    }

    /// The environment of the router: without the key and the database URL.
    pub fn router_env(&self) -> Vec<(&'static str, String)> {
        let mut env = self.to_env();
        env.retain(|(name, _)| FOR_ROUTER.contains(name));
        env
    }

    /// The environment that passes these settings to the server.
    pub fn to_env(&self) -> Vec<(&'static str, String)> {
        let mut env = vec![
            ("WHARF_DATA", self.data.display().to_string()),
            ("WHARF_LISTEN", self.listen.to_string()),
            ("WHARF_DOMAIN", self.domain.clone()),
            ("WHARF_TLS", self.tls.to_string()),
            ("WHARF_TRUSTED_PROXIES", self.trusted_proxies.to_string()),
            ("WHARF_PROXY_PROTOCOL", self.proxy_protocol.to_string()),
            ("WHARF_CONNECTIONS_PER_ADDRESS", self.connections_per_address.to_string()),
            ("WHARF_HSTS_MAX_AGE", self.hsts_max_age.to_string()),
            ("WHARF_BUILD_CONCURRENCY", self.build_concurrency.to_string()),
            ("WHARF_GIT_PUSH_MB", self.git_push_mb.to_string()),
            ("WHARF_GIT_CHECKOUT_MB", self.git_checkout_mb.to_string()),
            ("WHARF_GIT_REPOSITORY_MB", self.git_repository_mb.to_string()),
            ("WHARF_GIT_MEMORY_MB", self.git_memory_mb.to_string()),
            ("WHARF_GIT_MINUTES", self.git_minutes.to_string()),
            ("WHARF_DYNO_DISK_MB", self.dyno_disk_mb.to_string()),
            ("WHARF_BUILD_DISK_MB", self.build_disk_mb.to_string()),
            ("WHARF_NPM_REGISTRY", self.npm_registry.clone()),
            ("WHARF_LOG_FORMAT", self.log_format.to_string()),
            ("WHARF_LOG", self.log.clone()),
        ];
        if !self.outbound_networks.is_empty() {
            env.push(("WHARF_OUTBOUND_NETWORKS", self.networks()));
        }
        let optional = [
            ("WHARF_APPS_DOMAIN", &self.apps_domain),
            ("WHARF_DATABASE_URL", &self.database_url),
            ("WHARF_MASTER_KEY", &self.master_key),
        ];
        env.extend(self.audit_anchor.iter().map(|file| ("WHARF_AUDIT_ANCHOR", file.display().to_string())));
        env.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        env.extend(self.rendezvous.map(|address| ("WHARF_RENDEZVOUS", address.to_string())));
        let files = [("WHARF_RENDEZVOUS_CERT", &self.rendezvous_cert), ("WHARF_RENDEZVOUS_KEY", &self.rendezvous_key)];
        env.extend(files.into_iter().filter_map(|(name, file)| Some((name, file.as_ref()?.display().to_string()))));
        env.extend(self.memory_reserve_mb.map(|mb| ("WHARF_MEMORY_RESERVE_MB", mb.to_string())));
        if !self.dyno_networks.is_empty() {
            let networks: Vec<String> = self.dyno_networks.iter().map(ToString::to_string).collect();
            env.push(("WHARF_DYNO_NETWORKS", networks.join(",")));
        }
        env
    }
}

/// The run directory that belongs to a data directory.
pub fn run_dir(data: &Path) -> PathBuf {
    let digest = Sha256::digest(data.as_os_str().as_encoded_bytes());
    Path::new("/run/wharf").join(hex::encode(&digest[..4]))
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse::<u16>() {
        return Ok((IpAddr::V4(Ipv4Addr::LOCALHOST), port).into());
    }
    if let Ok(addr) = text.parse() {
        return Ok(addr);
    }
    let host = text.rsplit_once(':').and_then(|_| text.to_socket_addrs().ok());
    // IPv4 first: 127.0.0.1 includes [::1], but not the reverse.
    host.and_then(|all| all.min_by_key(SocketAddr::is_ipv6))
        .ok_or_else(|| "must be an address and a port, e.g. 127.0.0.1:5000 or 0.0.0.0:80".to_owned())
}

fn domain(text: &str) -> Result<String, String> {
    let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    match name.len() <= 200 && name.split('.').all(label) && name.parse::<IpAddr>().is_err() {
        true => Ok(name),
        false => Err("must be a host name without a port, e.g. wharf.example.com".to_owned()),
    }
}

fn network(text: &str) -> Result<dyno::Range, String> {
    text.parse().map_err(|err: dyno::Error| err.to_string())
}

/// Megabytes: enough for a file system, and few enough that bytes do not overflow.
fn disk(text: &str) -> Result<u64, String> {
    let least = dyno::disks::LEAST_BYTES >> 20;
    text.parse()
        .ok()
        .filter(|mb| (least..1 << 30).contains(mb))
        .ok_or_else(|| format!("must be a number of MB, at least {least}"))
}

/// Concurrent builds for this machine: two even on one core, because they also wait for the network.
fn registry(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches('/');
    let is_url =
        ["https://", "http://"].iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    is_url.then(|| text.to_owned()).ok_or_else(|| "must be a URL, like https://registry.npmjs.org".to_owned())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).max(2)
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n >= 1).ok_or_else(|| "must be a number, at least 1".to_owned())
}

fn one_or_more(text: &str) -> Result<u64, String> {
    // The number of bytes must not overflow.
    text.parse().ok().filter(|n| (1..1 << 32).contains(n)).ok_or_else(|| "must be a number, at least 1".to_owned())
}

fn from_64(text: &str) -> Result<u64, String> {
    one_or_more(text).ok().filter(|n| *n >= 64).ok_or_else(|| "must be a number, at least 64".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> String {
        listen(text).map(|a| a.to_string()).unwrap_or_else(|e| e)
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        assert_eq!(addr("5000"), "127.0.0.1:5000");
        assert_eq!(addr(":80"), "127.0.0.1:80");
        assert_eq!(addr("0.0.0.0:80"), "0.0.0.0:80");
        assert_eq!(addr("[::]:80"), "[::]:80");
        assert!(addr("here").starts_with("must be an address"));
        assert!(addr("1.2.3.4").starts_with("must be an address"));
    }

    #[test]
    fn domains_are_names() {
        assert_eq!(domain("Wharf.Example.COM.").as_deref(), Ok("wharf.example.com"));
        for bad in ["", "a..b", "-a.b", "a:80", "http://a", "10.0.0.1", "a b"] {
            assert!(domain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_registry_is_a_url() {
        assert_eq!(registry("https://npm.example.com/npm/").as_deref(), Ok("https://npm.example.com/npm"));
        assert_eq!(registry("http://10.0.0.1:4873").as_deref(), Ok("http://10.0.0.1:4873"));
        for bad in ["", "npm.example.com", "https://", "file:///srv/npm"] {
            assert!(registry(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_run_directory_is_short_and_of_one_data_directory() {
        let run = run_dir(Path::new("/var/lib/wharf"));
        assert!(run.as_os_str().len() < 24, "{}", run.display());
        assert_ne!(run, run_dir(Path::new("/var/lib/wharf2")));
    }
}
