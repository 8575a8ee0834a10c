//! Extracts an archive into a tree.
//!
//! [`NewTree`] writes the entries, and ensures that no name leads out of the tree; this file decides what an archive
//! can contain.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use tar::EntryType;
use trees::{Bounds, Excess, NewTree};

use super::entries::{Entries, Entry, inside, shown};
use super::{Refused, Root};

/// The target of an extraction.
pub(super) trait Target {
    fn directory(&mut self, path: &Path, mode: u32) -> io::Result<()>;
    fn symlink(&mut self, path: &Path, target: &OsStr) -> io::Result<()>;
    fn link(&mut self, path: &Path, original: &Path) -> io::Result<()>;
    /// Creates a file with this content, mode and time; returns its bytes.
    fn file(&mut self, path: &Path, content: &mut dyn Read, meta: (u32, u64)) -> Result<u64>;
}

impl Target for NewTree {
    fn directory(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        NewTree::directory(self, path, mode)
    }

    fn symlink(&mut self, path: &Path, target: &OsStr) -> io::Result<()> {
        NewTree::symlink(self, path, target)
    }

    fn link(&mut self, path: &Path, original: &Path) -> io::Result<()> {
        NewTree::link(self, path, original)
    }

    fn file(&mut self, path: &Path, content: &mut dyn Read, (mode, mtime): (u32, u64)) -> Result<u64> {
        let mut file = NewTree::file(self, path).map_err(|e| fault(e, path))?;
        let copied = copy(content, &mut file)?;
        self.finish(&file, mode, mtime)?;
        Ok(copied)
    }
}

/// Extracts one archive.
pub(super) struct Extractor<T> {
    tree: T,
    root: Root,
    /// The remaining bytes of files.
    left: u64,
    limit: u64,
    bounds: Bounds,
    /// The number of entries below the top, including skipped ones. All others are bounded by their bytes.
    entries: u64,
    /// Whether an entry began with `./`, so that there is no wrapper.
    dotted: bool,
    is_empty: bool,
}

impl<T: Target> Extractor<T> {
    pub(super) fn new(tree: T, root: Root, limit: u64, bounds: Bounds) -> Self {
        Extractor { tree, root, left: limit, limit, bounds, entries: 0, dotted: false, is_empty: true }
    }

    /// Extracts all of it. Returns whether its names began with `./`.
    pub(super) fn run<R: Read>(mut self, mut archive: tar::Archive<R>) -> Result<bool> {
        let mut entries = Entries::new(&mut archive)?;
        while let Some(entry) = entries.next()? {
            self.dotted |= entry.path.as_os_str().as_encoded_bytes().starts_with(b"./");
            if let Some(path) = self.place(&entry.path, entry.kind)? {
                self.entries += 1;
                if self.entries > self.bounds.entries {
                    return Err(Refused::Excess(Excess::Entries(self.bounds.entries)).into());
                }
                self.entry(entry, &path)?;
            }
        }
        if self.is_empty { Err(Refused::Empty.into()) } else { Ok(self.dotted) }
    }

    /// The target path of an entry; `None` for the root.
    fn place(&mut self, raw: &Path, kind: EntryType) -> Result<Option<PathBuf>, Refused> {
        let mut path = inside(raw)?;
        if path.as_os_str().is_empty() {
            return Ok(None);
        }
        if self.root == Root::App {
            let not_app = || Refused::NotApp(shown(raw.as_os_str().as_encoded_bytes()));
            path = path.strip_prefix("app").map_err(|_| not_app())?.to_owned();
            if path.as_os_str().is_empty() {
                // If it were a link or a file, everything below it would end up elsewhere.
                self.is_empty &= !kind.is_dir();
                return if kind.is_dir() { Ok(None) } else { Err(not_app()) };
            }
        }
        self.bounds.check(&path, kind.is_dir()).map_err(Refused::Excess)?;
        Ok(Some(path))
    }

    fn entry<R: Read>(&mut self, mut entry: Entry<'_, R>, path: &Path) -> Result<()> {
        let kind = entry.kind;
        let done = if kind.is_dir() {
            self.tree.directory(path, entry.mode)
        } else if kind.is_symlink() {
            self.tree.symlink(path, &entry.target)
        } else if kind.is_hard_link() {
            return self.hard_link(&entry, path);
        } else if kind.is_file() || kind.is_contiguous() {
            return self.file(&mut entry, path);
        } else {
            return Ok(()); // devices and pipes do not belong in source code or a slug
        };
        done.map_err(|e| fault(e, path))?;
        self.is_empty = false;
        Ok(())
    }

    /// It can only be a file of this archive, as there is nothing else in the tree.
    fn hard_link<R: Read>(&mut self, entry: &Entry<'_, R>, path: &Path) -> Result<()> {
        let lost = || Refused::Outside(shown(entry.target.as_encoded_bytes()));
        let original = self.place(entry.target.as_ref(), entry.kind).map_err(|_| lost())?.ok_or_else(lost)?;
        self.tree.link(path, &original).map_err(|e| match e.kind() {
            io::ErrorKind::InvalidInput => lost().into(),
            _ => fault(e, path),
        })
    }

    fn file<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: &Path) -> Result<()> {
        if entry.size > self.left {
            return Err(Refused::TooLarge(self.limit).into());
        }
        let copied = self.tree.file(path, &mut entry.content, (entry.mode, entry.mtime))?;
        if copied != entry.size {
            return Err(Refused::Unreadable(io::ErrorKind::UnexpectedEof.into()).into());
        }
        self.left -= copied;
        self.is_empty = false;
        Ok(())
    }
}

/// Writing fails because of the archive, except on a full disk.
pub(super) fn fault(error: io::Error, path: &Path) -> anyhow::Error {
    let name = || shown(path.as_os_str().as_encoded_bytes());
    if let Some(excess) = Excess::of(&error) {
        return Refused::Excess(excess).into();
    }
    match error.raw_os_error() {
        Some(libc::ELOOP | libc::ENOTDIR | libc::EISDIR | libc::EEXIST) => Refused::Through(name()).into(),
        Some(libc::ENAMETOOLONG | libc::EMLINK | libc::EILSEQ | libc::EINVAL | libc::ENOENT) => {
            Refused::Impossible(name(), error).into()
        }
        _ => anyhow::Error::from(error).context(format!("write {}", name())),
    }
}

/// Read errors are errors of the archive, write errors are the platform's.
pub(super) fn copy(from: &mut dyn Read, to: &mut dyn Write) -> Result<u64> {
    let mut buffer = vec![0; 128 << 10];
    let mut copied = 0;
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Refused::Unreadable(e).into()),
        };
        to.write_all(&buffer[..n])?;
        copied += n as u64;
    }
}
