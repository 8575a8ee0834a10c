//! The size of repositories on disk.

use std::{os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use uuid::Uuid;

use crate::{handle::Repositories, sweep::is_incoming};

/// How long a cached size is used. Writers measure it themselves.
const BELIEVED: Duration = Duration::from_secs(10);
/// The overhead of a file, in bytes.
const ENTRY: u64 = 1024;
/// A packed ref counts as much as one in its own file, since it is sent to clients in either case.
const PACKED_REF: u64 = 64;

impl Repositories {
    /// The size of an app's repository on disk, in bytes, at most some seconds old. Measuring walks the repository, one
    /// walk at a time, so do not call this in a transaction.
    pub async fn size(&self, app: Uuid) -> u64 {
        self.measured(app, BELIEVED).await
    }

    /// The current size, for callers that have just written.
    pub async fn measure(&self, app: Uuid) -> u64 {
        self.measured(app, Duration::ZERO).await
    }

    /// The last measured size, however old.
    pub fn last_size(&self, app: Uuid) -> Option<u64> {
        self.of(app).size.within(Duration::MAX)
    }

    async fn measured(&self, app: Uuid, age: Duration) -> u64 {
        let (used, repository) = (self.of(app), self.path(app));
        used.size.get(age, move || size(&repository)).await
    }
}

/// The size of a repository on disk, in bytes. It does not include pushes that are being received: see
/// [`crate::SpaceLimit`].
fn size(repository: &Path) -> u64 {
    let objects = repository.join("objects");
    let mut total = 0;
    let mut open = vec![repository.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (name, Ok(meta)) = (entry.file_name(), entry.metadata()) else { continue };
            if folder == objects && is_incoming(&name.to_string_lossy()) {
                continue;
            }
            total += ENTRY + meta.blocks() * 512;
            if folder == repository && name == "packed-refs" {
                total += meta.len() * PACKED_REF;
            }
            if meta.is_dir() {
                open.push(entry.path());
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn refs_count_however_they_are_stored() {
        let dir = tempfile::tempdir().unwrap();
        let with = |file: &str, text: &str| {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            size(dir.path())
        };
        let line = format!("{} refs/tags/v1\n", "a".repeat(40));
        let before = with("refs/tags/v1", &line);
        let loose = with("refs/tags/v2", &line) - before;
        let before = size(dir.path());
        let packed = with("packed-refs", &line.repeat(100)) - before;
        assert!(packed >= 100 * loose / 4, "{packed} for 100 packed refs, {loose} for a loose one");
        // Incoming objects of a push are counted by the code that admits the push.
        let before = with("objects/info/x", "");
        assert_eq!(with("objects/tmp_objdir-incoming-x/pack/p", "much"), before);
    }
}
