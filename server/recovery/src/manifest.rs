//! Manifests: what a backup consists of. A backup exists when its manifest does, which is written last.
//!
//! ```text
//! wharf-backups.json   whose backups these are; the master key, encrypted with the passphrase
//! backups/NAME         manifests, encrypted and authenticated as a whole
//! blobs/…              their content
//! ```

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow, bail};
use base::{
    secrets::{Secrets, same},
    wrapped_key::WrappedKey,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{blobs::Blob, target::Target};

/// The format that this version writes.
const FORMAT: u32 = 1;
const HEADER: &str = "wharf-backups.json";
const CHECK: &str = "owner of backups";

/// Whose backups a target has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    format: u32,
    /// The keyed hash of the format: only the same master key has it.
    check: String,
    /// The master key, encrypted with a passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapped_key: Option<WrappedKey>,
}

impl Header {
    /// A header for the backups of this platform.
    pub fn new(secrets: &Secrets, wrapped_key: Option<WrappedKey>) -> Self {
        let check = hex::encode(secrets.mac(CHECK, &FORMAT.to_be_bytes()));
        Self { format: FORMAT, check, wrapped_key }
    }

    /// Reads the header of a target; nothing if it has no backups.
    ///
    /// # Errors
    /// If it cannot be read, or belongs to something else.
    pub async fn read(target: &Target) -> anyhow::Result<Option<Self>> {
        let Some(text) = target.read(HEADER).await? else { return Ok(None) };
        let header: Self =
            serde_json::from_slice(&text).with_context(|| format!("read {HEADER} in {}", target.place()))?;
        match header.format {
            FORMAT => Ok(Some(header)),
            other => {
                bail!("{} has backups of the format {other}, which this version of Wharf cannot read.", target.place())
            }
        }
    }

    /// Writes the header to a target.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn write(&self, target: &Target) -> anyhow::Result<()> {
        target.write(HEADER, serde_json::to_vec_pretty(self)?).await
    }

    /// Whether the backups were made with this master key.
    pub fn is_of(&self, secrets: &Secrets) -> bool {
        let check = hex::decode(&self.check).unwrap_or_default();
        same(&secrets.mac(CHECK, &self.format.to_be_bytes()), &check)
    }
}

/// A file, or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// In the data directory. With `is_archive`, the directory that the files of the tar archive are below.
    pub path: String,
    #[serde(default)]
    pub is_archive: bool,
    pub blob: Blob,
}

/// What a backup consists of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of Wharf that made it.
    pub version: String,
    pub made_at: DateTime<Utc>,
    /// The command line options of the server, for whoever restores it: name and value.
    pub options: BTreeMap<String, String>,
    pub with_logs: bool,
    /// What `pg_dump` has written, in its own format.
    pub database: Blob,
    /// Rows in the dump, by table.
    pub rows: BTreeMap<String, i64>,
    pub entries: Vec<Entry>,
}

impl Manifest {
    /// All blobs, some of them several times.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        std::iter::once(&self.database).chain(self.entries.iter().map(|entry| &entry.blob))
    }

    /// Bytes of everything.
    pub fn bytes(&self) -> u64 {
        self.blobs().map(|blob| blob.size).sum()
    }

    /// Writes it to a target, with which the backup exists.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn write(&self, target: &Target, secrets: &Secrets, name: &str) -> anyhow::Result<()> {
        let sealed = secrets.seal(&purpose(name), &serde_json::to_vec(self)?);
        target.write(&path(name), sealed).await.context("write the manifest")
    }

    /// Reads the manifest of the backup called `name`.
    ///
    /// # Errors
    /// If there is none, or it was changed.
    pub async fn read(target: &Target, secrets: &Secrets, name: &str) -> anyhow::Result<Self> {
        let missing = || anyhow!("There is no backup {name} in {}.", target.place());
        let sealed = target.read(&path(name)).await?.ok_or_else(missing)?;
        let damaged = || format!("The manifest of the backup {name} in {} is damaged", target.place());
        let plain = secrets.open(&purpose(name), &sealed).with_context(damaged)?;
        serde_json::from_slice(&plain).with_context(damaged)
    }
}

/// The names of all complete backups, oldest first.
///
/// # Errors
/// If the target cannot be read.
pub async fn names(target: &Target) -> anyhow::Result<Vec<String>> {
    let found = target.list("backups").await.context("list the backups")?;
    let mut names: Vec<String> =
        found.iter().filter_map(|(path, _)| path.strip_prefix("backups/")).map(String::from).collect();
    names.retain(|name| made_at(name).is_some());
    names.sort();
    Ok(names)
}

/// The name of a backup made at `now`; `id` distinguishes those of the same second.
pub fn name(now: DateTime<Utc>, id: uuid::Uuid) -> String {
    let id = id.simple().to_string();
    format!("{}-{}", now.format("%Y%m%dT%H%M%SZ"), &id[id.len() - 8..])
}

/// When the backup of this name was made; nothing if it is not the name of one.
pub fn made_at(name: &str) -> Option<DateTime<Utc>> {
    let (time, id) = name.split_once('-')?;
    let is_id = id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let time = chrono::NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%SZ").ok()?;
    is_id.then(|| time.and_utc())
}

/// Deletes the manifest of a backup, with which it no longer exists.
///
/// # Errors
/// If the target cannot be written to.
pub async fn remove(target: &Target, name: &str) -> anyhow::Result<()> {
    target.delete(&path(name)).await
}

fn path(name: &str) -> String {
    format!("backups/{name}")
}

fn purpose(name: &str) -> String {
    format!("manifest of the backup {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_when_it_was_made() {
        let now = "2026-12-02T03:30:05Z".parse().unwrap();
        let id = uuid::Uuid::from_u128(0x0198_a5b3_7c4e_7d10_8000_0123_4567_89ab);
        let name = name(now, id);
        assert_eq!(name, "20261202T033005Z-456789ab");
        assert_eq!(made_at(&name), Some(now));
        for bad in ["", "20261202T033005Z", "20261202T033005Z-456789", "2026-456789ab", "20261202T033005Z-456789ab#1"] {
            assert_eq!(made_at(bad), None, "{bad}");
        }
    }
}
