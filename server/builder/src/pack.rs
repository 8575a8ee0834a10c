//! Packs a built tree as a slug: a reproducible tar.zst.
//!
//! Everything is under `./app/`, as in Heroku's slugs. File times are preserved: web servers derive ETags from them,
//! and Python uses them to validate its byte code.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use nix::sys::stat::FileStat;
use sha2::{Digest, Sha256};
use tar::EntryType;
use tokio_util::sync::CancellationToken;
use trees::{Bounds, Dir, Excess, Found, Walk};

use crate::error::Error;
use crate::unpack::{allowed, with_names};

/// Bytes of files in one slug, before compression. More than this is a mistake, and would fill the disks of hosts.
pub(crate) const UNPACKED_LIMIT: u64 = 8 << 30;
const LEVEL: i32 = 3;

/// A written slug.
pub(crate) struct Packed {
    /// `SHA256:` and hex digits.
    pub(crate) checksum: String,
    /// Bytes, compressed.
    pub(crate) size: u64,
}

/// Writes the tree to `file`. Exceeding a limit is an error of the app: more than `limit` compressed bytes, more files
/// than [`unpack`](crate::unpack) accepts, too deeply nested directories, a file that changes while it is read. Special
/// files are left out.
pub(crate) fn pack(tree: &Path, file: &Path, limit: u64, cancel: &CancellationToken) -> Result<Packed, Error> {
    let most = Most { packed: limit, unpacked: UNPACKED_LIMIT, bounds: Bounds::APP };
    pack_within(tree, file, &most, cancel)
}

/// The limits of a slug. [`unpack`](crate::unpack) accepts everything within them.
struct Most {
    /// Bytes of the archive.
    packed: u64,
    /// Bytes of the files in it.
    unpacked: u64,
    bounds: Bounds,
}

fn pack_within(tree: &Path, file: &Path, most: &Most, cancel: &CancellationToken) -> Result<Packed, Error> {
    let limit = most.packed;
    let written = Arc::new(AtomicU64::new(0));
    let mut sink = Sink {
        file: File::create(file).context("create the slug's file")?,
        hash: Sha256::new(),
        written: Arc::clone(&written),
        limit,
        cancel: cancel.clone(),
    };
    let done = write_archive(tree, &mut sink, most, cancel);
    let size = written.load(Ordering::Relaxed);
    if cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    let (total, with_all) = done.map_err(|e| match Unfit::of(&e) {
        Some(unfit) => Error::failed(unfit.to_string()),
        None if size > limit => Error::failed(format!("the slug is larger than {} MB compressed", limit >> 20)),
        None => anyhow::Error::from(e).context("write the slug").into(),
    })?;
    let most = allowed(size, most.unpacked);
    if total > most {
        return Err(Error::failed(Unfit::TooLarge(most).to_string()));
    }
    if with_all > with_names(most) {
        return Err(Error::failed(Unfit::TooManyNames(with_names(most)).to_string()));
    }
    Ok(Packed { checksum: format!("SHA256:{}", hex::encode(sink.hash.finalize())), size })
}

/// Why a tree is rejected; displayed as a clause.
#[derive(Clone, Debug, thiserror::Error)]
enum Unfit {
    #[error("the app's files are larger than {} MB", .0 >> 20)]
    TooLarge(u64),
    #[error("the app's files and their names together are larger than {} MB", .0 >> 20)]
    TooManyNames(u64),
    #[error("`{0}` changed while it was read")]
    Changed(String),
    #[error("{0}")]
    Excess(Excess),
}

impl Unfit {
    fn of(error: &io::Error) -> Option<Unfit> {
        let own = error.get_ref().and_then(|e| e.downcast_ref()).cloned();
        own.or_else(|| Excess::of(error).map(Unfit::Excess))
    }
}

/// Returns the bytes of all files, and of the archive before compression.
fn write_archive(tree: &Path, sink: &mut Sink, most: &Most, cancel: &CancellationToken) -> io::Result<(u64, u64)> {
    let mut encoder = zstd::Encoder::new(sink, LEVEL)?;
    encoder.include_checksum(true)?;
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    encoder.multithread(workers)?;
    let mut archive = tar::Builder::new(Counted { inner: encoder, bytes: 0 });
    let mut total = 0;
    let top = Dir::open(tree)?;
    archive.append_data(&mut header(&top.stat(".".as_ref())?, EntryType::Directory), "./app", io::empty())?;
    let mut walk = Walk::new(&top, most.bounds)?;
    while let Some(found) = walk.next()? {
        if cancel.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        total += append(&mut archive, walk.here(), &found, (most.unpacked, total))?;
    }
    let Counted { inner, bytes } = archive.into_inner()?;
    inner.finish()?.file.sync_all()?;
    Ok((total, bytes))
}

/// Counts the written bytes.
struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Adds one entry; returns the bytes of its file. The archive has `total` bytes so far, of at most `most`.
fn append<W: Write>(
    archive: &mut tar::Builder<W>,
    directory: &Dir,
    found: &Found,
    (most, total): (u64, u64),
) -> io::Result<u64> {
    let path = Path::new("./app").join(&found.path);
    if found.is_dir() {
        archive.append_data(&mut header(&found.stat, EntryType::Directory), path, io::empty())?;
    } else if found.is_symlink() {
        let target = directory.target(&found.name)?;
        archive.append_link(&mut header(&found.stat, EntryType::Symlink), path, target)?;
    } else if found.is_file() {
        let file = directory.file(found.name.as_ref())?;
        let size = file.metadata()?.len();
        // A sparse file may have a nominal size of a terabyte, so it is rejected before reading.
        if size > most - total {
            return Err(io::Error::other(Unfit::TooLarge(most)));
        }
        let mut header = header(&found.stat, EntryType::Regular);
        header.set_size(size);
        let content = Whole { file: file.take(size), path: &found.path };
        archive.append_data(&mut header, path, content)?;
        return Ok(size);
    }
    Ok(0)
}

fn header(stat: &FileStat, kind: EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(stat.st_mode & 0o777);
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

/// Reads a file of a known size: if it is shorter now, the archive would be invalid.
struct Whole<'a> {
    file: io::Take<File>,
    path: &'a Path,
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

/// The destination of compressed bytes, which counts and hashes them, and enforces the limit.
struct Sink {
    file: File,
    hash: Sha256,
    written: Arc<AtomicU64>,
    limit: u64,
    cancel: CancellationToken,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        let n = self.file.write(bytes)?;
        self.hash.update(&bytes[..n]);
        let before = self.written.fetch_add(n as u64, Ordering::Relaxed);
        if before + n as u64 > self.limit {
            return Err(io::Error::other("the limit is reached"));
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests;
