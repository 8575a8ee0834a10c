//! The entries of a slug, which are read once and written both to the archive and to the unpacked tree.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use nix::sys::stat::FileStat;
use tar::EntryType;
use trees::{Dir, Excess, Found, NewTree, Walk};

use super::{Most, Outputs, Unfit};
use crate::runtimes::{Installed, Linked};

/// Bytes that are read at once.
const CHUNK: usize = 128 << 10;
/// Bytes of files between two checks of the machine's disk.
const LOOK: u64 = 64 << 20;
/// The size of a header, and of the units in which files are stored.
const BLOCK: u64 = 512;

/// A slug that is being written; the archive goes to a `W`.
pub(super) struct Entries<'a, W: Write> {
    archive: tar::Builder<Gate<W>>,
    tree: Option<NewTree>,
    outputs: &'a Outputs<'a>,
    most: &'a Most,
    entries: u64,
    /// Bytes of files.
    total: u64,
    /// The total at which the disk is checked next.
    look_at: u64,
    /// Bytes of entries that are in `parts`.
    in_parts: u64,
    parts: Vec<File>,
}

/// A slug whose entries are complete.
pub(super) struct Written<W> {
    pub(super) inner: W,
    /// Bytes of files.
    pub(super) total: u64,
    /// Bytes of the archive before compression.
    pub(super) bytes: u64,
    /// Parts that follow what has been written to `inner`, without the archive's end.
    pub(super) parts: Vec<File>,
}

impl<'a, W: Write> Entries<'a, W> {
    pub(super) fn new(to: W, outputs: &'a Outputs<'a>, most: &'a Most) -> io::Result<Self> {
        let archive = tar::Builder::new(Gate { inner: to, bytes: 0, is_open: true });
        let tree = match outputs.tree {
            Some((tree, owner)) => Some(NewTree::new(Dir::open(tree)?, Some(owner))),
            None => None,
        };
        let (entries, total, look_at, in_parts) = (0, 0, 0, 0);
        Ok(Entries { archive, tree, outputs, most, entries, total, look_at, in_parts, parts: Vec::new() })
    }

    /// The directory of the app itself. That of the unpacked tree stays private.
    pub(super) fn top(&mut self, stat: &FileStat) -> io::Result<()> {
        self.archive.append_data(&mut header(stat, EntryType::Directory), "./app", io::empty())
    }

    /// An entry of the app. A link to a runtime becomes what it points to.
    pub(super) fn entry(&mut self, directory: &Dir, found: &Found) -> io::Result<()> {
        let linked = match self.outputs.runtimes {
            Some(runtimes) if found.is_symlink() => linked(runtimes, directory, found)?,
            _ => None,
        };
        if let Some(linked) = linked {
            let part = linked.part_at(&found.path);
            self.expand(&linked, &found.path, part.is_none())?;
            self.parts.extend(part);
            return Ok(());
        }
        self.count()?;
        if found.is_file() { self.file(directory, found) } else { self.empty(directory, found, true) }
    }

    /// What a link to a runtime points to, with everything below it, at `place`. If it is not `archived` here, it is in
    /// one of the parts.
    pub(super) fn expand(&mut self, linked: &Linked, place: &Path, archived: bool) -> io::Result<()> {
        let (folder, top) = linked.open(place)?;
        self.shared(&folder, &top, archived)?;
        if !top.is_dir() {
            return Ok(());
        }
        let mut walk = Walk::new(&folder.dir(top.name.as_ref())?, self.most.bounds)?;
        while let Some(below) = walk.next()? {
            let below = Found { path: place.join(&below.path), ..below };
            self.shared(walk.here(), &below, archived)?;
        }
        Ok(())
    }

    /// Ends the entries; the archive itself ends here only if it `is_last` and there are no parts.
    pub(super) fn end(mut self, is_last: bool) -> io::Result<Written<W>> {
        self.archive.get_mut().is_open = is_last && self.parts.is_empty();
        let Gate { inner, bytes, .. } = self.archive.into_inner()?;
        Ok(Written { inner, total: self.total, bytes: bytes + self.in_parts, parts: self.parts })
    }

    /// Limits entries including those of runtimes, to which there may be many links.
    fn count(&mut self) -> io::Result<()> {
        self.entries += 1;
        let most = self.most.bounds.entries;
        if self.entries > most { Err(io::Error::other(Excess::Entries(most))) } else { Ok(()) }
    }

    /// An entry of a runtime, whose files have the same content in all slugs.
    fn shared(&mut self, directory: &Dir, found: &Found, archived: bool) -> io::Result<()> {
        self.count()?;
        self.most.bounds.check(&found.path, found.is_dir()).map_err(io::Error::other)?;
        if !found.is_file() {
            return self.empty(directory, found, archived);
        }
        let (file, mut header) = self.open(directory, found)?;
        let size = file.limit();
        if archived {
            self.archive.append_data(&mut header, in_app(found), BufReader::with_capacity(CHUNK, file))?;
        } else {
            self.in_parts += BLOCK + size.next_multiple_of(BLOCK);
        }
        let Some(tree) = &mut self.tree else { return Ok(()) };
        match tree.adopt(&found.path, directory, &found.name) {
            // On another disk, or linked too often.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EXDEV | libc::EMLINK)) => {
                let mut copy = tree.file(&found.path)?;
                io::copy(&mut directory.file(found.name.as_ref())?, &mut copy)?;
                tree.finish(&copy, found.stat.st_mode, mtime(&found.stat))
            }
            adopted => adopted,
        }
    }

    /// A directory or a link. Anything else that is not a file is left out.
    fn empty(&mut self, directory: &Dir, found: &Found, archived: bool) -> io::Result<()> {
        let path = in_app(found);
        if !archived {
            self.in_parts += BLOCK;
        }
        if found.is_dir() {
            if let Some(tree) = &mut self.tree {
                tree.directory(&found.path, found.stat.st_mode)?;
            }
            if archived {
                self.archive.append_data(&mut header(&found.stat, EntryType::Directory), path, io::empty())?;
            }
        } else if found.is_symlink() {
            let target = directory.target(&found.name)?;
            if let Some(tree) = &mut self.tree {
                tree.symlink(&found.path, &target)?;
            }
            if archived {
                self.archive.append_link(&mut header(&found.stat, EntryType::Symlink), path, target)?;
            }
        }
        Ok(())
    }

    /// A file of the app.
    fn file(&mut self, directory: &Dir, found: &Found) -> io::Result<()> {
        let (from, mut header) = self.open(directory, found)?;
        let size = from.limit();
        let from = Whole { file: from, path: &found.path };
        let Some(tree) = &mut self.tree else {
            return self.archive.append_data(&mut header, in_app(found), BufReader::with_capacity(CHUNK, from));
        };
        let mut to = tree.file(&found.path)?;
        let both = BufReader::with_capacity(CHUNK, Tee { from, to: &mut to });
        self.archive.append_data(&mut header, in_app(found), both)?;
        to.set_len(size)?;
        tree.finish(&to, found.stat.st_mode, mtime(&found.stat))
    }

    /// Opens a file, counts its bytes, and makes its header.
    fn open(&mut self, directory: &Dir, found: &Found) -> io::Result<(io::Take<File>, tar::Header)> {
        let file = directory.file(found.name.as_ref())?;
        let size = file.metadata()?.len();
        // A sparse file may have a nominal size of a terabyte, so it is rejected before reading.
        if size > self.most.unpacked - self.total {
            return Err(io::Error::other(Unfit::TooLarge(self.most.unpacked)));
        }
        self.total += size;
        if let Some((tree, _)) = self.outputs.tree
            && self.total >= self.look_at
        {
            dyno::disks::must_have_space(tree, size)?;
            self.look_at = self.total + LOOK;
        }
        let mut header = header(&found.stat, EntryType::Regular);
        header.set_size(size);
        Ok((file.take(size), header))
    }
}

fn linked(runtimes: &Installed, directory: &Dir, found: &Found) -> io::Result<Option<Linked>> {
    Ok(runtimes.linked(&directory.target(&found.name)?))
}

fn in_app(found: &Found) -> PathBuf {
    Path::new("./app").join(&found.path)
}

fn mtime(stat: &FileStat) -> u64 {
    u64::try_from(stat.st_mtime).unwrap_or(0)
}

fn header(stat: &FileStat, kind: EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(stat.st_mode & 0o777);
    header.set_mtime(mtime(stat));
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

/// Counts the written bytes, and passes them on while it is open.
struct Gate<W> {
    inner: W,
    bytes: u64,
    is_open: bool,
}

impl<W: Write> Write for Gate<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = if self.is_open { self.inner.write(bytes)? } else { bytes.len() };
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads a file of a known size: if it is shorter now, the archive would be invalid.
pub(super) struct Whole<'a> {
    pub(super) file: io::Take<File>,
    pub(super) path: &'a Path,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read(buffer)? {
            0 if self.file.limit() > 0 && !buffer.is_empty() => {
                Err(io::Error::other(Unfit::Changed(self.path.display().to_string())))
            }
            n => Ok(n),
        }
    }
}

/// Writes what is read to a new file. Zeros become holes, so that a sparse file does not fill the machine's disk.
struct Tee<'a, R> {
    from: R,
    to: &'a mut File,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        let bytes = &buffer[..n];
        if bytes.iter().all(|byte| *byte == 0) {
            self.to.seek(SeekFrom::Current(n as i64))?;
        } else {
            self.to.write_all(bytes)?;
        }
        Ok(n)
    }
}
