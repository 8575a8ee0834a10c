//! Walks a tree one entry at a time, parents first and names in order.
//!
//! The tree is not modified, so one that exceeds its [`Bounds`] is an error. The directories on the path to an
//! entry are kept open, no more than the maximum depth.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::sys::stat::{FileStat, SFlag};

use crate::Dir;
use crate::dir::kind;

/// Bytes of names held in memory at once.
const NAMES: usize = 64 << 20;

/// Limits of a tree.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Nesting of directories.
    pub depth: usize,
    /// Bytes of a path from the top.
    pub path: usize,
    /// Files, directories and everything else.
    pub entries: u64,
}

impl Bounds {
    /// For everything that becomes part of an app: source code, slugs, build results.
    pub const APP: Bounds = Bounds { depth: 200, path: 4000, entries: 1_000_000 };

    /// Rejects what exceeds the bounds at `path`, relative to the top. All readers and writers of trees use
    /// this, so that none creates what another rejects.
    pub fn check(&self, path: &Path, is_dir: bool) -> Result<(), Excess> {
        if path.as_os_str().len() > self.path {
            return Err(Excess::Path(self.path));
        }
        match path.components().count() - usize::from(!is_dir) > self.depth {
            true => Err(Excess::Depth(self.depth)),
            false => Ok(()),
        }
    }
}

/// The limit that a tree exceeds; displayed as a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// See [`Bounds::depth`].
    #[error("there are more than {0} nested directories")]
    Depth(usize),
    /// See [`Bounds::path`].
    #[error("a path is longer than {0} bytes")]
    Path(usize),
    /// See [`Bounds::entries`].
    #[error("there are more than {0} files and directories")]
    Entries(u64),
}

impl Excess {
    /// The excess that caused an error of [`Walk`].
    pub fn of(error: &io::Error) -> Option<Excess> {
        error.get_ref()?.downcast_ref().copied()
    }
}

/// An entry found by a walk.
#[derive(Debug)]
pub struct Found {
    /// Path from the top.
    pub path: PathBuf,
    /// Its name in [`Walk::here`].
    pub name: OsString,
    /// Its own type; for a link, not that of its target.
    pub stat: FileStat,
}

impl Found {
    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        kind(&self.stat) == SFlag::S_IFDIR
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        kind(&self.stat) == SFlag::S_IFREG
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        kind(&self.stat) == SFlag::S_IFLNK
    }
}

struct Level {
    directory: Dir,
    names: std::vec::IntoIter<OsString>,
}

/// A walk through a tree.
pub struct Walk {
    levels: Vec<Level>,
    path: PathBuf,
    bounds: Bounds,
    entries: u64,
    held: usize,
    /// The directory found last, to be entered next.
    next: Option<OsString>,
}

impl Walk {
    /// A walk through the contents of `top`.
    pub fn new(top: &Dir, bounds: Bounds) -> io::Result<Walk> {
        let path = PathBuf::new();
        let mut walk = Walk { levels: Vec::new(), path, bounds, entries: 0, held: 0, next: None };
        walk.enter(top.dir(&walk.path)?)?;
        Ok(walk)
    }

    /// The next entry; `None` at the end. Entries that vanish concurrently are skipped.
    #[expect(clippy::should_implement_trait, reason = "an iterator would have to own what `here` lends")]
    pub fn next(&mut self) -> io::Result<Option<Found>> {
        if let Some(name) = self.next.take() {
            match self.here().dir(name.as_ref()) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                directory => {
                    self.enter(directory?)?;
                    self.path.push(name);
                }
            }
        }
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.names.next() else {
                self.levels.pop();
                self.path.pop();
                continue;
            };
            self.held -= name.len();
            let stat = match self.here().stat(&name) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                stat => stat?,
            };
            let path = self.path.join(&name);
            let is_dir = kind(&stat) == SFlag::S_IFDIR;
            self.bounds.check(&path, is_dir).map_err(io::Error::other)?;
            self.next = is_dir.then(|| name.clone());
            return Ok(Some(Found { path, name, stat }));
        }
        Ok(None)
    }

    /// Skips the contents of the directory found last.
    pub fn pass_over(&mut self) {
        self.next = None;
    }

    /// The parent directory of the entry found last.
    pub fn here(&self) -> &Dir {
        &self.levels[self.levels.len() - 1].directory
    }

    fn enter(&mut self, directory: Dir) -> io::Result<()> {
        let left = usize::try_from(self.bounds.entries - self.entries).unwrap_or(usize::MAX);
        let mut names = directory.names(left.saturating_add(1))?;
        self.entries += names.len() as u64;
        self.held += names.iter().map(|name| name.as_bytes().len()).sum::<usize>();
        if names.len() > left || self.held > NAMES {
            return Err(io::Error::other(Excess::Entries(self.bounds.entries)));
        }
        names.sort();
        self.levels.push(Level { directory, names: names.into_iter() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn walked(top: &Path, bounds: Bounds) -> io::Result<Vec<String>> {
        let mut walk = Walk::new(&Dir::open(top)?, bounds)?;
        let mut found = Vec::new();
        while let Some(entry) = walk.next()? {
            found.push(entry.path.to_string_lossy().into_owned());
            if entry.path.ends_with("over") {
                walk.pass_over();
            }
        }
        Ok(found)
    }

    #[test]
    fn everything_is_found_in_order_and_links_are_not_followed() {
        let temp = tempfile::tempdir().unwrap();
        for path in ["b/c", "over/unseen", "a"] {
            fs::create_dir_all(temp.path().join(path)).unwrap();
        }
        fs::write(temp.path().join("b/c/file"), "x").unwrap();
        symlink("/etc", temp.path().join("z")).unwrap();
        assert_eq!(walked(temp.path(), Bounds::APP).unwrap(), ["a", "b", "b/c", "b/c/file", "over", "z"]);
    }

    #[test]
    fn a_tree_out_of_bounds_is_reported() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir_all(temp.path().join("a/b/c")).unwrap();
        fs::write(temp.path().join("a/b/file"), "x").unwrap();
        let bounds = |depth, path, entries| Bounds { depth, path, entries };
        assert_eq!(walked(temp.path(), bounds(3, 8, 4)).unwrap().len(), 4);
        for (out, excess) in [
            (bounds(2, 8, 4), Excess::Depth(2)),
            (bounds(3, 7, 4), Excess::Path(7)),
            (bounds(3, 8, 3), Excess::Entries(3)),
        ] {
            assert_eq!(Excess::of(&walked(temp.path(), out).unwrap_err()), Some(excess));
        }
    }
}
