//! Brings a build's source to disk: a commit of the app's repository, or an archive.

use std::{net::IpAddr, path::Path};

use anyhow::{Context as _, anyhow};
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use store::builds::Row;
use tokio::io::AsyncWriteExt as _;

use crate::{Platform, git, sources};

/// An archive from elsewhere may be as large as one that is uploaded.
const MOST_BYTES: u64 = 1 << 30;

/// Unpacks the source of `build` into `into`, anew.
pub(super) async fn fetch(platform: &Platform, build: &Row, into: &Path) -> Result<(), builder::Error> {
    remove(into).await.map_err(builder::Error::Other)?;
    if let Some(commit) = &build.git_new {
        let archive = into.with_extension("tar");
        let outcome = match git::archive(platform, build.app_id, commit, &archive).await {
            Ok(()) => builder::unpack_tree(&archive, into).await,
            Err(err) => Err(builder::Error::Other(err)),
        };
        let _ = tokio::fs::remove_file(&archive).await;
        return outcome;
    }
    let url = build.source_url.as_deref().unwrap_or_default();
    let (archive, ours) = match sources::own(platform, url) {
        Some(id) => (sources::file(platform, id), true),
        None => (into.with_extension("download"), false),
    };
    let outcome = archive_source(build, url, &archive, ours, into).await;
    if !ours {
        let _ = tokio::fs::remove_file(&archive).await;
    }
    outcome
}

async fn archive_source(build: &Row, url: &str, archive: &Path, ours: bool, into: &Path) -> Result<(), builder::Error> {
    if !ours {
        download(url, archive).await.map_err(|err| failed(format!("the source cannot be fetched: {err:#}")))?;
    } else if !archive.exists() {
        return Err(failed("nothing was uploaded to the source's address".into()));
    }
    if let Some(wanted) = &build.source_checksum {
        let file = archive.to_owned();
        let found = tokio::task::spawn_blocking(move || checksum(&file))
            .await
            .map_err(anyhow::Error::from)
            .and_then(|c| c)
            .map_err(builder::Error::Other)?;
        if !wanted.trim_start_matches("SHA256:").eq_ignore_ascii_case(&found) {
            return Err(failed("the source's checksum does not match".into()));
        }
    }
    builder::unpack_source(archive, into).await
}

fn failed(why: String) -> builder::Error {
    builder::Error::Failed { why }
}

fn checksum(file: &Path) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut std::fs::File::open(file)?, &mut hash)?;
    Ok(hex::encode(hash.finalize()))
}

/// Removes the folder of a source.
pub(super) async fn remove(folder: &Path) -> anyhow::Result<()> {
    let folder = folder.to_owned();
    let removed = tokio::task::spawn_blocking(move || trees::remove(&folder)).await;
    removed.context("remove the source")?.context("remove the source")
}

async fn download(url: &str, file: &Path) -> anyhow::Result<()> {
    // Whoever may deploy must not reach, through the platform, what only the platform can reach.
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::limited(5))
        .dns_resolver(std::sync::Arc::new(PublicOnly))
        .timeout(std::time::Duration::from_secs(600))
        .build()?;
    let host = reqwest::Url::parse(url)?.host_str().unwrap_or_default().to_owned();
    if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| !is_public(ip)) {
        return Err(anyhow!("{host} is not a public address"));
    }
    let response = client.get(url).send().await?.error_for_status()?;
    let mut out = tokio::fs::File::create(file).await?;
    let (mut content, mut size) = (response.bytes_stream(), 0);
    while let Some(chunk) = content.next().await {
        let chunk = chunk?;
        size += chunk.len() as u64;
        if size > MOST_BYTES {
            return Err(anyhow!("it is larger than {} MB", MOST_BYTES >> 20));
        }
        out.write_all(&chunk).await?;
    }
    out.flush().await?;
    Ok(())
}

/// Resolves names to public addresses only.
struct PublicOnly;

impl reqwest::dns::Resolve for PublicOnly {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<_> = found.filter(|a| is_public(a.ip())).collect();
            if public.is_empty() {
                return Err(format!("{} is not a public host", name.as_str()).into());
            }
            Ok(Box::new(public.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_broadcast()
                || shared)
        }
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => is_public(IpAddr::V4(ip)),
            None => {
                !(ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_multicast()
                    || ip.is_unique_local()
                    || ip.is_unicast_link_local())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_not_public() {
        for ip in
            ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "fe80::1", "::ffff:127.0.0.1", "100.64.0.1"]
        {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["1.1.1.1", "2606:4700::1111"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }
}
