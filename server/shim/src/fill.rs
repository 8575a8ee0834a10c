//! The usage of disks.

use std::fs::File;
use std::io;

/// The space kept free on the machine's disk, for existing images that may still grow, for the database, and for logs:
/// one in this many bytes and files,
const RESERVED_SHARE: u64 = 50;
/// but at least and at most this many bytes.
const LEAST_RESERVE: u64 = 256 << 20;
const MOST_RESERVE: u64 = 10 << 30;

/// The usage of a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fill {
    /// The size in bytes.
    pub bytes: u64,
    /// What is left of them.
    pub free_bytes: u64,
    /// The maximum number of files and directories; 0 if there is none.
    pub files: u64,
    /// How many more there can be.
    pub free_files: u64,
}

impl Fill {
    /// The usage of the file system that contains an open file.
    pub fn of(place: &File) -> io::Result<Fill> {
        let found = nix::sys::statvfs::fstatvfs(place)?;
        let block = found.fragment_size();
        Ok(Fill {
            bytes: found.blocks() * block,
            free_bytes: found.blocks_available() * block,
            files: found.files(),
            free_files: found.files_available(),
        })
    }

    /// Whether writes fail, or soon will.
    pub fn is_full(&self) -> bool {
        self.free_bytes < self.bytes / 200 || (self.files > 0 && self.free_files < self.files / 1000 + 1)
    }

    /// The shortage that prevents writing this many more bytes, if the reserve of the machine is to stay free.
    pub fn lack(&self, bytes: u64) -> Option<String> {
        let reserve = (self.bytes / RESERVED_SHARE).clamp(LEAST_RESERVE, MOST_RESERVE);
        if self.free_bytes < reserve.saturating_add(bytes) {
            return Some(format!("{} MB are free, of which {} MB are reserved,", self.free_bytes >> 20, reserve >> 20));
        }
        // Some file systems have no inode limit, and report zero.
        let is_short = self.files > 0 && self.free_files < self.files / RESERVED_SHARE;
        is_short.then(|| format!("{} of {} files (inodes) are left", self.free_files, self.files))
    }

    /// The message for the app's log.
    pub fn sentence(&self) -> String {
        let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
        format!(
            "Disk quota exceeded: /app and /tmp of this dyno have {} MB of {} MB and {} of {} files left, so writes \
             fail with \"No space left on device\". Remove unneeded files; keep permanent or large data in a database \
             or an object store. A new dyno starts with an empty disk.",
            self.free_bytes >> 20,
            megabytes(self.bytes),
            self.free_files,
            self.files
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_full_before_nothing_is_left() {
        let fill = |free_bytes, free_files| Fill { bytes: 1 << 30, free_bytes, files: 10_000, free_files };
        assert!(!fill(100 << 20, 5000).is_full());
        assert!(fill(1 << 20, 5000).is_full() && fill(100 << 20, 0).is_full());
        assert!(fill(0, 5000).sentence().contains("0 MB of 1024 MB"));
    }

    #[test]
    fn a_share_of_the_machine_stays_free() {
        let fill = |bytes, free_bytes, free_files| Fill { bytes, free_bytes, files: 1_000_000, free_files };
        let lack = |fill: Fill, more| fill.lack(more).unwrap_or_default();
        // A larger share of a small disk, a smaller one of a large disk.
        for (bytes, reserve) in [(1 << 30, 256 << 20), (100 << 30, 2 << 30), (10 << 40, 10 << 30)] {
            assert_eq!(lack(fill(bytes, reserve + 5, 500_000), 5), "");
            assert!(lack(fill(bytes, reserve + 5, 500_000), 6).contains("MB are reserved"));
        }
        assert_eq!(lack(fill(1 << 40, 1 << 39, 20_000), 0), "");
        assert!(lack(fill(1 << 40, 1 << 39, 19_999), 0).contains("19999 of 1000000 files (inodes) are left"));
        assert_eq!(lack(Fill { files: 0, ..fill(1 << 40, 1 << 39, 0) }, 0), "");
    }
}
