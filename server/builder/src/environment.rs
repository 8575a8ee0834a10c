//! The environment of a build dyno, without config vars: buildpacks read them from `ENV_DIR`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The `PATH` of builds: the platform's toolchains and Debian's.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables of the host that builds need to reach registries in a company network: files with CA certificates.
const AUTHORITIES: [&str; 8] = [
    "CARGO_HTTP_CAINFO",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];
/// Proxies. Their names are recognised in upper and lower case.
const PROXIES: [&str; 4] = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"];

/// The complete environment, without the driver's additions.
pub(crate) fn environment(
    stack: &str,
    source_version: &str,
    request_id: &str,
    host: impl Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = [
        ("PATH", PATH),
        ("LANG", "C.UTF-8"),
        ("TMPDIR", "/tmp"),
        ("STACK", stack),
        ("SOURCE_VERSION", source_version),
        ("REQUEST_ID", request_id),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    let proxies = PROXIES.iter().flat_map(|name| [(*name).to_owned(), name.to_lowercase()]);
    for name in AUTHORITIES.iter().map(|name| (*name).to_owned()).chain(proxies) {
        if let Some(value) = host(&name).filter(|value| !value.is_empty()) {
            env.insert(name, value);
        }
    }
    env
}

/// Files and directories in the variables above, to be mounted into the dyno.
pub(crate) fn authorities_to_bind(env: &BTreeMap<String, String>) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = AUTHORITIES
        .iter()
        .filter_map(|name| env.get(*name))
        .map(PathBuf::from)
        .filter(|path| path.is_absolute() && path.exists())
        .filter(|path| !["/etc/ssl", "/usr"].iter().any(|seen| path.starts_with(Path::new(seen))))
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_files_come_from_the_host() {
        let host = |name: &str| match name {
            "SSL_CERT_FILE" => Some("/opt/company/ca.pem".to_owned()),
            "https_proxy" => Some("http://proxy:3128".to_owned()),
            "NO_PROXY" => Some(String::new()),
            "WHARF_DATABASE_URL" | "AWS_SECRET_ACCESS_KEY" => Some("secret".to_owned()),
            _ => None,
        };
        let env = environment("heroku-24", "abc", "id", host);
        let names: Vec<_> = env.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["LANG", "PATH", "REQUEST_ID", "SOURCE_VERSION", "SSL_CERT_FILE", "STACK", "TMPDIR", "https_proxy",]
        );
        assert_eq!(env["STACK"], "heroku-24");
    }

    #[test]
    fn certificates_outside_the_stack_are_bound() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, "x").unwrap();
        let env = BTreeMap::from([
            ("SSL_CERT_FILE".to_owned(), file.display().to_string()),
            ("PIP_CERT".to_owned(), file.display().to_string()),
            ("CURL_CA_BUNDLE".to_owned(), "/etc/ssl/certs/ca-certificates.crt".to_owned()),
            ("GIT_SSL_CAINFO".to_owned(), "/nowhere/ca.pem".to_owned()),
        ]);
        assert_eq!(authorities_to_bind(&env), [file]);
    }
}
