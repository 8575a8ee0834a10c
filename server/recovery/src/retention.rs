//! Which backups are removed: the last one of each of the newest days is kept.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use base::secrets::Secrets;
use chrono::NaiveDate;

use crate::{
    blobs::Blobs,
    manifest::{self, Manifest, made_at},
    target::Target,
};

/// Removes backups until only the last ones of `days` days (UTC) are left, and the blobs that no backup has. Returns the
/// names of the removed backups.
///
/// # Errors
/// If a manifest cannot be read: then no blob is removed, since it may be needed.
pub async fn prune(target: &Target, secrets: &Secrets, blobs: &Blobs, days: usize) -> anyhow::Result<Vec<String>> {
    let names = manifest::names(target).await?;
    let expired = expired(&names, days);
    for name in &expired {
        manifest::remove(target, name).await.context("remove an old backup")?;
    }
    let mut needed = BTreeSet::new();
    for name in names.iter().filter(|name| !expired.contains(name)) {
        let manifest = Manifest::read(target, secrets, name).await.context("look for unused blobs")?;
        needed.extend(manifest.blobs().map(|blob| blob.name.clone()));
    }
    for name in blobs.names().iter().filter(|name| !needed.contains(*name)) {
        blobs.delete(name).await.context("remove an unused blob")?;
    }
    Ok(expired)
}

/// The backups to remove, of `names` in order.
fn expired(names: &[String], days: usize) -> Vec<String> {
    let mut last: BTreeMap<NaiveDate, &String> = BTreeMap::new();
    for name in names {
        if let Some(at) = made_at(name) {
            last.insert(at.date_naive(), name);
        }
    }
    let kept: BTreeSet<&String> = last.into_values().rev().take(days.max(1)).collect();
    names.iter().filter(|name| !kept.contains(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_backups_of_the_newest_days_are_kept() {
        let names = [
            "20261128T033000Z-00000001",
            "20261201T033000Z-00000002",
            "20261201T120000Z-00000003",
            "20261202T033000Z-00000004",
        ];
        let names = names.map(String::from);
        assert_eq!(expired(&names, 3), [names[1].clone()]);
        assert_eq!(expired(&names, 2), [names[0].clone(), names[1].clone()]);
        // The newest one always stays.
        assert_eq!(expired(&names, 0), names[..3]);
        assert_eq!(expired(&[], 3), Vec::<String>::new());
    }
}
