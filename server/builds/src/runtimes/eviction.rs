//! Removes the runtimes that were not used for the longest time, when together they are too large.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use anyhow::Context as _;
use builder::Installed;
use trees::{Bounds, Dir, Walk};

/// Bytes of all runtimes on disk: some fifty versions of Node.js.
pub(super) const MOST_BYTES: u64 = 8 << 30;
/// The size of the blocks that the kernel counts.
const BLOCK: u64 = 512;

/// How many builds use the runtime in each folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds(Arc<Mutex<HashMap<PathBuf, usize>>>);

/// One use, until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    holds: Holds,
    folder: PathBuf,
}

impl Holds {
    /// Prevents this folder from being evicted, whether it exists yet or not.
    pub(super) fn hold(&self, folder: PathBuf) -> Held {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry(folder.clone()).or_default() += 1;
        drop(all);
        Held { holds: self.clone(), folder }
    }

    /// Uninstalls a runtime unless it is held. Returns its files, to be removed.
    fn take(&self, installed: &Installed, folder: &Path) -> io::Result<Option<PathBuf>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.contains_key(folder) { Ok(None) } else { installed.uninstall(folder).map(Some) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut all = self.holds.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.folder) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.folder);
            }
        }
    }
}

/// Removes runtimes until the rest has at most `most` bytes, least recently used first. Those in use stay, so that
/// there can be more as long as builds use them.
pub(super) fn evict(installed: &Installed, holds: &Holds, most: u64) -> anyhow::Result<()> {
    let mut found = Vec::new();
    for folder in installed.folders().context("list the runtimes")? {
        let used_at = fs::metadata(&folder).and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        found.push((used_at, size(&folder).context("measure a runtime")?, folder));
    }
    found.sort();
    let mut total: u64 = found.iter().map(|(_, size, _)| size).sum();
    for (_, size, folder) in found {
        if total <= most {
            break;
        }
        if let Some(files) = holds.take(installed, &folder).context("uninstall a runtime")? {
            trees::remove(&files).context("remove a runtime")?;
            tracing::info!("removed the runtime {}, which was not used recently", folder.display());
            total -= size;
        }
    }
    Ok(())
}

/// Bytes of a runtime on disk. Those that slugs also refer to count, since they are shared by all.
fn size(folder: &Path) -> io::Result<u64> {
    let mut walk = Walk::new(&Dir::open(folder)?, Bounds::APP)?;
    let mut blocks = fs::metadata(folder)?.blocks();
    while let Some(found) = walk.next()? {
        blocks += u64::try_from(found.stat.st_blocks).unwrap_or(0);
    }
    Ok(blocks * BLOCK)
}

#[cfg(test)]
mod tests {
    use std::{fs::FileTimes, time::Duration};

    use builder::Runtime;

    use super::*;

    /// Three versions of npm of a megabyte each, the oldest first.
    fn three() -> (tempfile::TempDir, Installed, [PathBuf; 3]) {
        let dir = tempfile::tempdir().unwrap();
        let installed = Installed::open(&dir.path().join("runtimes")).unwrap();
        let package = dir.path().join("package");
        fs::create_dir(&package).unwrap();
        fs::write(package.join("cli.js"), vec![b'x'; 1 << 20]).unwrap();
        let folders = ["1.0.0", "2.0.0", "3.0.0"].map(|version| {
            installed.install(Runtime::Npm, version, &package).unwrap();
            installed.folder(Runtime::Npm, version)
        });
        for (n, folder) in folders.iter().enumerate() {
            let used_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + n as u64);
            fs::File::open(folder).unwrap().set_times(FileTimes::new().set_modified(used_at)).unwrap();
        }
        (dir, installed, folders)
    }

    #[test]
    fn the_least_recently_used_is_removed() {
        let (_dir, installed, [first, second, third]) = three();
        installed.touch(Runtime::Npm, "1.0.0").unwrap();
        let most = size(&first).unwrap() * 5 / 2;
        evict(&installed, &Holds::default(), most).unwrap();
        assert!(first.exists() && !second.exists() && third.exists());
        evict(&installed, &Holds::default(), most).unwrap();
        assert_eq!(installed.folders().unwrap().len(), 2, "what fits stays");
    }

    #[test]
    fn what_is_used_stays() {
        let (_dir, installed, [first, second, third]) = three();
        let holds = Holds::default();
        let held = [holds.hold(first.clone()), holds.hold(first.clone()), holds.hold(third.clone())];
        evict(&installed, &holds, 0).unwrap();
        assert!(first.exists() && !second.exists() && third.exists());
        let [one, two, _third] = held;
        drop(one);
        evict(&installed, &holds, 0).unwrap();
        assert!(first.exists());
        drop(two);
        evict(&installed, &holds, 0).unwrap();
        assert!(!first.exists() && third.exists());
    }
}
