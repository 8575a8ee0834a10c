//! Writes the entries of one archive below one directory.
//!
//! The directory is private to this code while it works, so what it has checked stays true: every
//! parent is a directory that it made, never a link; a directory is never replaced by anything.

use std::collections::HashSet;
use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use tar::EntryType;

use crate::files;

/// Entries in one archive.
const ENTRIES_LIMIT: u64 = 1_000_000;
/// Directories of source code that are never the wrapping of an archive.
const NOT_A_WRAPPING: [&str; 5] = ["app", "dist", "public", "public_html", "src"];

/// What is at the root of an archive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// One directory `app`: a slug.
    App,
    /// The files, or one directory of any name with the files: source code.
    Any,
    /// The files: a commit.
    Tree,
}

/// Why an archive is not unpacked: half a sentence.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("`{0}` leads out of the archive")]
    Outside(String),
    #[error("`{0}` is not under ./app")]
    NotApp(String),
    #[error("`{0}` would be written through a link or over a directory")]
    Through(String),
    #[error("there is more in it than {} MB", .0 >> 20)]
    TooLarge(u64),
    #[error("it has more than {ENTRIES_LIMIT} entries")]
    TooMany,
    #[error("it is not a readable tar archive ({0})")]
    Unreadable(io::Error),
    #[error("it is empty")]
    Empty,
}

/// Extracts one archive below `to`.
pub(super) struct Extractor<'a> {
    to: &'a Path,
    uid: u32,
    root: Root,
    limit: u64,
    written: u64,
    /// Relative paths of directories known to be real.
    directories: HashSet<PathBuf>,
    /// Some entry began with `./`, so that no directory wraps the others.
    dotted: bool,
}

impl<'a> Extractor<'a> {
    pub(super) fn new(to: &'a Path, uid: u32, root: Root, limit: u64) -> Self {
        Extractor { to, uid, root, limit, written: 0, directories: HashSet::from([PathBuf::new()]), dotted: false }
    }

    pub(super) fn run<R: Read>(&mut self, mut archive: tar::Archive<R>) -> Result<()> {
        let mut count = 0;
        for entry in archive.entries()? {
            let mut entry = entry.map_err(Refused::Unreadable)?;
            count += 1;
            if count > ENTRIES_LIMIT {
                return Err(Refused::TooMany.into());
            }
            let raw = entry.path().map_err(Refused::Unreadable)?.into_owned();
            if matches!(entry.header().entry_type(), EntryType::XGlobalHeader) {
                continue;
            }
            self.dotted |= raw.as_os_str().as_encoded_bytes().starts_with(b"./");
            let path = inside(&raw)?;
            if path.as_os_str().is_empty() {
                continue;
            }
            if self.root == Root::App && !path.starts_with("app") {
                return Err(Refused::NotApp(raw.display().to_string()).into());
            }
            self.entry(&mut entry, &path)?;
        }
        Ok(())
    }

    /// The directory that holds the files.
    pub(super) fn top(&self) -> Result<PathBuf, Refused> {
        if self.root == Root::App {
            let app = self.to.join("app");
            return if app.is_dir() { Ok(app) } else { Err(Refused::Empty) };
        }
        let mut names = fs::read_dir(self.to).map_err(Refused::Unreadable)?.filter_map(|entry| entry.ok());
        let first = names.next().ok_or(Refused::Empty)?;
        let name = first.file_name().to_string_lossy().into_owned();
        let wraps = self.root == Root::Any
            && !self.dotted
            && names.next().is_none()
            && first.file_type().is_ok_and(|kind| kind.is_dir())
            && !NOT_A_WRAPPING.contains(&name.as_str());
        Ok(if wraps { first.path() } else { self.to.to_owned() })
    }

    fn entry<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>, path: &Path) -> Result<()> {
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            let mode = entry.header().mode().map_err(Refused::Unreadable)? & 0o777;
            self.make_directory(path)?;
            fs::set_permissions(self.to.join(path), Permissions::from_mode(mode | 0o700))?;
            return Ok(());
        }
        if !(kind.is_file() || kind.is_symlink() || kind.is_hard_link() || kind.is_gnu_sparse()) {
            return Ok(()); // devices and pipes have no business in source code or a slug
        }
        let place = self.clear(path)?;
        let link = entry.link_name().map_err(Refused::Unreadable)?;
        match link {
            Some(target) if kind.is_symlink() => {
                symlink(target, &place)?;
                files::own(&place, self.uid)?;
            }
            Some(target) if kind.is_hard_link() => {
                let original = inside(&target)?;
                self.check_parents(&original)?;
                let original = self.to.join(original);
                if !original.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
                    return Err(Refused::Outside(target.display().to_string()).into());
                }
                fs::hard_link(original, &place)?;
            }
            _ => self.write(entry, &place)?,
        }
        Ok(())
    }

    fn write<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>, place: &Path) -> Result<()> {
        let mode = entry.header().mode().map_err(Refused::Unreadable)? & 0o777;
        let mtime = entry.header().mtime().unwrap_or(0);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(place)?;
        let left = self.limit - self.written;
        let copied = copy(&mut entry.take(left + 1), &mut file)?;
        if copied > left {
            return Err(Refused::TooLarge(self.limit).into());
        }
        self.written += copied;
        fchown(&file, Some(self.uid), Some(self.uid))?;
        file.set_permissions(Permissions::from_mode(mode | 0o600))?;
        if let Some(time) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(mtime)) {
            // A time that the file system cannot hold is not worth a failure.
            let _ = file.set_times(FileTimes::new().set_modified(time));
        }
        Ok(())
    }

    /// Makes the parents and removes what an earlier entry put there, unless that is a directory.
    fn clear(&mut self, path: &Path) -> Result<PathBuf> {
        if let Some(parent) = path.parent() {
            self.make_directory(parent)?;
        }
        let place = self.to.join(path);
        match place.symlink_metadata() {
            Ok(meta) if meta.is_dir() => Err(Refused::Through(path.display().to_string()).into()),
            Ok(_) => {
                fs::remove_file(&place)?;
                Ok(place)
            }
            Err(_) => Ok(place),
        }
    }

    fn make_directory(&mut self, path: &Path) -> Result<()> {
        if self.directories.contains(path) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.make_directory(parent)?;
        }
        let place = self.to.join(path);
        match place.symlink_metadata() {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Err(Refused::Through(path.display().to_string()).into()),
            Err(_) => {
                fs::create_dir(&place)?;
                fs::set_permissions(&place, Permissions::from_mode(0o755))?;
                files::own(&place, self.uid)?;
            }
        }
        self.directories.insert(path.to_owned());
        Ok(())
    }

    fn check_parents(&self, path: &Path) -> Result<(), Refused> {
        match path.parent() {
            Some(parent) if !self.directories.contains(parent) => Err(Refused::Through(path.display().to_string())),
            _ => Ok(()),
        }
    }
}

/// Errors of reading are the archive's fault, errors of writing are ours.
fn copy(from: &mut impl Read, to: &mut File) -> Result<u64> {
    let mut buffer = vec![0; 128 << 10];
    let mut copied = 0;
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Refused::Unreadable(e).into()),
        };
        io::Write::write_all(to, &buffer[..n])?;
        copied += n as u64;
    }
}

/// The path below the root of the archive.
fn inside(path: &Path) -> Result<PathBuf, Refused> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            _ => return Err(Refused::Outside(path.display().to_string())),
        }
    }
    Ok(clean)
}
