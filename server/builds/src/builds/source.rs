//! Writes a build's source to disk: a commit of the app's repository ([`checkout`]), or an archive.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use api::ids::BuildId;
use digest_io::IoWrapper;
use platform::Platform;
use sha2::{Digest as _, Sha256};
use store::builds::Row;

use super::checkout;
use crate::{
    Builds,
    download::{MOST_BYTES, Wanted, download},
    sources,
};

/// The name prefix of source folders; temporary files next to them have an extension.
const NAME: &str = "source-";

/// The folder of a build's source.
pub(super) fn folder(platform: &Platform, build: BuildId) -> PathBuf {
    platform.config().data.join("tmp").join(format!("{NAME}{build}"))
}

/// The builds whose source is on disk, completely or in part.
pub(super) fn left(tmp: &Path) -> io::Result<BTreeSet<BuildId>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(tmp)? {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(NAME)?.split('.').next());
        found.extend(id.and_then(|id| id.parse::<BuildId>().ok()));
    }
    Ok(found)
}

/// Removes everything of a build's source, except what is already being removed.
pub(super) async fn clear(platform: &Platform, build: BuildId) -> anyhow::Result<()> {
    let folder = folder(platform, build);
    for extension in ["tar", "git", "download"] {
        remove(&folder.with_extension(extension)).await?;
    }
    remove(&folder).await
}

/// Unpacks the source of `build` into `into`, from scratch.
pub(super) async fn fetch(builds: &Builds, build: &Row, uid: u32, into: &Path) -> Result<(), builder::Error> {
    remove(into).await.map_err(builder::Error::Other)?;
    let folder = into.parent().unwrap_or(into);
    dyno::disks::must_have_space(folder, 0).context("fetch the source")?;
    if let Some(commit) = &build.git_new {
        return checkout::write(builds, build, commit, (into, uid)).await;
    }
    let url = build.source_url.as_deref().unwrap_or_default();
    let (archive, ours) = match sources::own(builds, url) {
        Some(id) => (sources::file(builds, id), true),
        None => (into.with_extension("download"), false),
    };
    let outcome = archive_source(builds, (build, url), &archive, ours, (into, uid)).await;
    if !ours {
        let _ = tokio::fs::remove_file(&archive).await;
    }
    outcome
}

async fn archive_source(
    builds: &Builds,
    (build, url): (&Row, &str),
    archive: &Path,
    ours: bool,
    (into, uid): (&Path, u32),
) -> Result<(), builder::Error> {
    if !ours {
        let rules = builds.outbound().rules().clone();
        let wanted = Wanted { url, accept: None, rules, bytes: MOST_BYTES };
        download(builds, wanted, archive).await.map_err(|err| match err {
            builder::Error::Failed { why } => failed(format!("the source could not be fetched: {why}")),
            other => other,
        })?;
    } else if !archive.exists() {
        return Err(failed("nothing has been uploaded to the source URL".into()));
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
    builder::unpack_source(builds.workers(), archive, into, uid).await
}

fn failed(why: String) -> builder::Error {
    builder::Error::Failed { why }
}

fn checksum(file: &Path) -> anyhow::Result<String> {
    let mut hash = IoWrapper(Sha256::new());
    std::io::copy(&mut std::fs::File::open(file)?, &mut hash)?;
    Ok(hex::encode(hash.0.finalize()))
}

/// The extension of folders that are being removed.
const DISCARDED: &str = "discarded";

/// Has the folder of a source removed without waiting for it: it can have a million files, and a worker that has just been
/// ended may still be writing to it. What then remains is removed by [`remove_discarded`].
pub(super) async fn remove_later(folder: &Path) {
    let aside = folder.with_extension(DISCARDED);
    // Otherwise [`clear`] removes it.
    if tokio::fs::rename(folder, &aside).await.is_ok() {
        tokio::spawn(async move {
            if let Err(err) = remove(&aside).await {
                tracing::info!("could not remove the source of a cancelled build yet: {err:#}");
            }
        });
    }
}

/// Removes what [`remove_later`] has not removed.
pub(super) async fn remove_discarded(platform: &Platform, build: BuildId) -> anyhow::Result<()> {
    remove(&folder(platform, build).with_extension(DISCARDED)).await
}

/// Removes the folder of a source.
pub(super) async fn remove(folder: &Path) -> anyhow::Result<()> {
    let folder = folder.to_owned();
    let removed = tokio::task::spawn_blocking(move || trees::remove(&folder)).await;
    removed.context("remove the source")?.context("remove the source")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_source_that_is_removed_later_is_out_of_the_way_at_once() {
        let tmp = tempfile::tempdir().unwrap();
        let build = BuildId::now_v7();
        let folder = tmp.path().join(format!("{NAME}{build}"));
        for _ in 0..2 {
            std::fs::create_dir_all(folder.join("a/b")).unwrap();
            remove_later(&folder).await;
            assert!(!folder.exists());
            // Until it is gone, it is known which build it belongs to.
            while !left(tmp.path()).unwrap().is_empty() {
                assert_eq!(left(tmp.path()).unwrap().into_iter().find(|id| *id != build), None);
                tokio::task::yield_now().await;
            }
        }
        remove_later(&folder).await;
    }
}
