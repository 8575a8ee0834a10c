//! Fetches a commit of a repository elsewhere, for a submodule.
//!
//! This runs in a worker with network access, which the caller starts: it decides which addresses are allowed. The
//! connection is made to one of these, never to a name that git would look up a second time, and redirects are not
//! followed, since they would lead to addresses that nobody has checked.

use std::{
    fs::File,
    net::{IpAddr, SocketAddr},
};

use crate::{
    checkout::{self, Contents},
    commits::short,
    inside::run,
};

/// A repository elsewhere.
pub struct Remote<'a> {
    /// Its URL, with http or https.
    pub url: &'a str,
    /// The host in the URL.
    pub host: &'a str,
    /// The addresses at which the host may be reached.
    pub addresses: &'a [SocketAddr],
    /// The certificate authorities to trust instead of the machine's: a file, or else a folder.
    pub authorities: Option<&'a str>,
}

/// Fetches a commit, and appends its files, below the folder `prefix`, to a tar archive. Must be called in a worker that
/// shows an empty folder at [`crate::REPOSITORY`], once.
///
/// # Errors
/// A clause for the user.
pub fn fetch_files(remote: &Remote<'_>, commit: &str, prefix: &str, file: File) -> Result<Contents, String> {
    run(&["init", "--quiet", "--bare"])?;
    let settings = settings(remote);
    let settings = settings.iter().flat_map(|setting| ["-c", setting.as_str()]);
    let fetch = ["fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "--", remote.url, commit];
    let args: Vec<&str> = settings.chain(fetch).collect();
    run(&args).map_err(|complaint| reason(&complaint, commit))?;
    checkout::write(commit, &format!("{prefix}/"), file)?;
    checkout::contents(commit)
}

/// The settings of a fetch.
fn settings(remote: &Remote<'_>) -> Vec<String> {
    let mut settings: Vec<String> = [
        "protocol.allow=never",
        "protocol.http.allow=always",
        "protocol.https.allow=always",
        "http.followRedirects=false",
        "http.proxy=",
        "credential.helper=",
        "fetch.recurseSubmodules=false",
        "fetch.unpackLimit=1",
        // Slower than a kilobyte per second for half a minute is an error.
        "http.lowSpeedLimit=1024",
        "http.lowSpeedTime=30",
    ]
    .map(String::from)
    .into();
    if let (Err(_), Some(port)) = (remote.host.parse::<IpAddr>(), remote.addresses.first().map(SocketAddr::port)) {
        let addresses: Vec<String> = remote.addresses.iter().map(|address| literal(address.ip())).collect();
        settings.push(format!("http.curloptResolve={}:{port}:{}", remote.host, addresses.join(",")));
    }
    if let Some(authorities) = remote.authorities {
        let name = if authorities.ends_with(".pem") { "sslCAInfo" } else { "sslCAPath" };
        settings.push(format!("http.{name}={authorities}"));
    }
    settings
}

/// An address as curl reads it.
fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// Why a fetch failed, from git's messages.
fn reason(complaint: &str, commit: &str) -> String {
    let has = |text: &str| complaint.contains(text);
    if has("not our ref") || has("unadvertised object") {
        return format!("its repository has no commit {}", short(commit));
    }
    if has("could not read Username") || has("could not read Password") || has("Authentication failed") {
        return "its repository does not exist or needs a user and a password, which can be part of the URL".to_owned();
    }
    if has("The requested URL returned error: 30") {
        return "its URL redirects elsewhere; use the one that it leads to in .gitmodules".to_owned();
    }
    if has("shallow capabilities") {
        return "its server does not support git's smart protocol".to_owned();
    }
    let line = complaint.lines().find_map(|line| line.strip_prefix("fatal: ")).unwrap_or("git could not fetch it");
    line.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(host: &str, addresses: &[&str]) -> Option<String> {
        let addresses: Vec<SocketAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let remote = Remote { url: "", host, addresses: &addresses, authorities: None };
        settings(&remote).into_iter().find_map(|setting| Some(setting.strip_prefix("http.curloptResolve=")?.to_owned()))
    }

    #[test]
    fn git_connects_to_checked_addresses_only() {
        let two = ["192.0.2.1:443", "[2001:db8::1]:443"];
        assert_eq!(resolved("a.example", &two).as_deref(), Some("a.example:443:192.0.2.1,[2001:db8::1]"));
        assert_eq!(resolved("192.0.2.1", &two[..1]), None);
    }

    #[test]
    fn reasons_are_short_clauses() {
        let id = "0123456789012345678901234567890123456789";
        assert_eq!(
            reason("fatal: remote error: upload-pack: not our ref 0123", id),
            "its repository has no commit 01234567"
        );
        let needs = reason("fatal: could not read Username for 'https://a.example': terminal prompts disabled", id);
        assert!(needs.contains("needs a user and a password"), "{needs}");
        assert_eq!(reason("error: x\nfatal: no path specified.", id), "no path specified");
    }
}
