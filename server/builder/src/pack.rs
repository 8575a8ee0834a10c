//! Packs a built tree as a slug: a reproducible tar.zst, and in the same pass the unpacked tree for its dynos.
//!
//! Everything is under `./app/`, as in Heroku's slugs. File times are preserved: web servers derive ETags from them,
//! and Python uses them to validate its byte code. Links to runtimes are replaced by their targets; an archive is then
//! a sequence of zstd frames, of which those of runtimes are only copied.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use trees::{Bounds, Dir, Excess, Walk};

use crate::error::Error;
use crate::runtimes::{Installed, Linked};
use crate::unpack::{allowed, with_names};

mod entries;

use entries::{Entries, Written};

/// Bytes of files in one slug, before compression. More than this is a mistake, and would fill the disks of hosts.
pub(crate) const UNPACKED_LIMIT: u64 = 8 << 30;
const LEVEL: i32 = 3;
/// The end of a tar archive.
const END: [u8; 1024] = [0; 1024];

/// A written slug.
pub(crate) struct Packed {
    /// `SHA256:` and hex digits.
    pub(crate) checksum: String,
    /// Bytes, compressed.
    pub(crate) size: u64,
}

/// Where a slug is written to.
pub(crate) struct Outputs<'a> {
    /// The file of the archive.
    pub(crate) archive: &'a Path,
    /// An empty directory that becomes the unpacked slug, as [`unpack`](crate::unpack) would unpack it, and its user.
    pub(crate) tree: Option<(&'a Path, u32)>,
    /// The runtimes that links may point to.
    pub(crate) runtimes: Option<&'a Installed>,
}

impl<'a> Outputs<'a> {
    /// Only an archive.
    pub(crate) fn archive(archive: &'a Path) -> Outputs<'a> {
        Outputs { archive, tree: None, runtimes: None }
    }
}

/// Writes the slug of `tree`. Exceeding a limit is an error of the app: more than `limit` compressed bytes, more files
/// than [`unpack`](crate::unpack) accepts, too deeply nested directories, a file that changes while it is read. Special
/// files are left out.
pub(crate) fn pack(
    tree: &Path,
    outputs: &Outputs<'_>,
    limit: u64,
    cancel: &CancellationToken,
) -> Result<Packed, Error> {
    let most = Most { packed: limit, unpacked: UNPACKED_LIMIT, bounds: Bounds::APP };
    pack_within(tree, outputs, &most, cancel)
}

/// Writes the part of an archive for something in a runtime, at `place` in the app.
pub(crate) fn part(linked: &Linked, place: &Path, file: &Path) -> io::Result<()> {
    let most = Most { packed: u64::MAX, unpacked: UNPACKED_LIMIT, bounds: Bounds::APP };
    let outputs = Outputs::archive(file);
    let mut entries = Entries::new(frame(File::create(file)?)?, &outputs, &most)?;
    entries.expand(linked, place, true)?;
    entries.end(false)?.inner.finish()?.sync_all()
}

/// The limits of a slug. [`unpack`](crate::unpack) accepts everything within them.
struct Most {
    /// Bytes of the archive.
    packed: u64,
    /// Bytes of the files in it.
    unpacked: u64,
    bounds: Bounds,
}

fn pack_within(tree: &Path, outputs: &Outputs<'_>, most: &Most, cancel: &CancellationToken) -> Result<Packed, Error> {
    let limit = most.packed;
    let written = Arc::new(AtomicU64::new(0));
    let mut sink = Sink {
        file: File::create(outputs.archive).context("create the slug's file")?,
        hash: Sha256::new(),
        written: Arc::clone(&written),
        limit,
        cancel: cancel.clone(),
    };
    let done = write(tree, &mut sink, outputs, most, cancel);
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
fn write(
    tree: &Path,
    sink: &mut Sink,
    outputs: &Outputs<'_>,
    most: &Most,
    cancel: &CancellationToken,
) -> io::Result<(u64, u64)> {
    let mut entries = Entries::new(frame(&mut *sink)?, outputs, most)?;
    let top = Dir::open(tree)?;
    entries.top(&top.stat(".".as_ref())?)?;
    let mut walk = Walk::new(&top, most.bounds)?;
    while let Some(found) = walk.next()? {
        if cancel.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        entries.entry(walk.here(), &found)?;
    }
    let Written { inner, total, bytes, parts } = entries.end(true)?;
    inner.finish()?;
    for mut part in &parts {
        io::copy(&mut part, sink)?;
    }
    if !parts.is_empty() {
        sink.write_all(&zstd::encode_all(END.as_slice(), LEVEL)?)?;
    }
    sink.file.sync_all()?;
    Ok((total, bytes))
}

/// A zstd frame.
fn frame<W: Write>(to: W) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(to, LEVEL)?;
    encoder.include_checksum(true)?;
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    encoder.multithread(workers)?;
    Ok(encoder)
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
