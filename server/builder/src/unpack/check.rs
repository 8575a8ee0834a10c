//! A virtual tree, for checking whether an archive can be unpacked, without writing it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::path::Path;

use anyhow::Result;
use trees::{Bounds, Excess};

use super::extract::{Target, copy};

/// Bytes of a name on every file system.
const NAME: usize = 255;
/// Bytes of a link's target.
const TARGET: usize = 4095;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    File,
    Link,
}

/// Rejects what a real tree would reject. Stores a hash of each path, not the path.
#[derive(Default)]
pub(super) struct Checklist {
    kinds: HashMap<u64, Kind>,
    hashes: RandomState,
}

impl Checklist {
    fn kind(&self, path: &Path) -> Option<Kind> {
        match path.as_os_str().is_empty() {
            true => Some(Kind::Directory),
            false => self.kinds.get(&self.hashes.hash_one(path)).copied(),
        }
    }

    fn put(&mut self, path: &Path, kind: Kind) -> io::Result<()> {
        if path.file_name().is_some_and(|name| name.len() > NAME) {
            return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
        }
        self.kinds.insert(self.hashes.hash_one(path), kind);
        let most = Bounds::APP.entries;
        if self.kinds.len() as u64 > most { Err(io::Error::other(Excess::Entries(most))) } else { Ok(()) }
    }

    /// Creates a file or link, replacing anything but a directory.
    fn replace(&mut self, path: &Path, kind: Kind) -> io::Result<()> {
        self.directory(path.parent().unwrap_or(Path::new("")), 0)?;
        match self.kind(path) {
            Some(Kind::Directory) => Err(io::Error::from_raw_os_error(libc::EISDIR)),
            _ => self.put(path, kind),
        }
    }
}

impl Target for Checklist {
    fn directory(&mut self, path: &Path, _: u32) -> io::Result<()> {
        let missing: Vec<&Path> =
            path.ancestors().take_while(|path| self.kind(path) != Some(Kind::Directory)).collect();
        for path in missing.into_iter().rev() {
            match self.kind(path) {
                None => self.put(path, Kind::Directory)?,
                Some(_) => return Err(io::Error::from_raw_os_error(libc::ENOTDIR)),
            }
        }
        Ok(())
    }

    fn symlink(&mut self, path: &Path, target: &OsStr) -> io::Result<()> {
        match target.len() {
            0 => Err(io::Error::from_raw_os_error(libc::ENOENT)),
            1..=TARGET => self.replace(path, Kind::Link),
            _ => Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG)),
        }
    }

    fn link(&mut self, path: &Path, original: &Path) -> io::Result<()> {
        match self.kind(original) {
            Some(Kind::File) => self.replace(path, Kind::File),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn file(&mut self, path: &Path, content: &mut dyn Read, _: (u32, u64)) -> Result<u64> {
        self.replace(path, Kind::File).map_err(|e| super::extract::fault(e, path))?;
        copy(content, &mut io::sink())
    }
}
