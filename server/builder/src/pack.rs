//! A built tree as a slug: one tar.zst, the same bytes for the same files.
//!
//! Everything is under `./app/`, as in Heroku's slugs. Times of files are kept: web servers make
//! ETags of them, and Python checks its byte code by them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::files;

/// Bytes of files in one slug, before compression. More is a mistake, and would fill hosts.
pub(crate) const UNPACKED_LIMIT: u64 = 8 << 30;
const LEVEL: i32 = 3;

/// What was written.
pub(crate) struct Packed {
    /// `SHA256:` and hex digits.
    pub(crate) checksum: String,
    /// Bytes, compressed.
    pub(crate) size: u64,
}

/// Writes the tree to `file`. More than `limit` compressed bytes are the app's fault.
pub(crate) fn pack(tree: &Path, file: &Path, limit: u64, cancel: &CancellationToken) -> Result<Packed, Error> {
    let written = Arc::new(AtomicU64::new(0));
    let mut sink = Sink {
        file: File::create(file).context("create the slug's file")?,
        hash: Sha256::new(),
        written: Arc::clone(&written),
        limit,
        cancel: cancel.clone(),
    };
    if let Err(e) = write_archive(tree, &mut sink) {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        return Err(match e.get_ref().and_then(|e| e.downcast_ref::<TooLarge>()) {
            Some(TooLarge) => Error::failed(TooLarge.to_string()),
            None if written.load(Ordering::Relaxed) > limit => Error::failed(too_big(limit)),
            None => anyhow::Error::from(e).context("write the slug").into(),
        });
    }
    Ok(Packed {
        checksum: format!("SHA256:{}", hex::encode(sink.hash.finalize())),
        size: written.load(Ordering::Relaxed),
    })
}

fn too_big(limit: u64) -> String {
    format!("the slug is larger than {} MB compressed", limit >> 20)
}

#[derive(Debug, thiserror::Error)]
#[error("the app's files are larger than {} GB", UNPACKED_LIMIT >> 30)]
struct TooLarge;

fn write_archive(tree: &Path, sink: &mut Sink) -> io::Result<()> {
    let mut encoder = zstd::Encoder::new(sink, LEVEL)?;
    encoder.include_checksum(true)?;
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    encoder.multithread(workers)?;
    let mut archive = tar::Builder::new(encoder);
    let mut total = 0;
    let mut stack = vec![PathBuf::new()];
    while let Some(path) = stack.pop() {
        total += append(&mut archive, tree, &path)?;
        if total > UNPACKED_LIMIT {
            return Err(io::Error::other(TooLarge));
        }
        if tree.join(&path).symlink_metadata()?.is_dir() {
            let names = sorted_names(&tree.join(&path))?;
            stack.extend(names.into_iter().rev().map(|name| path.join(name)));
        }
    }
    archive.into_inner()?.finish()?.file.sync_all()
}

fn sorted_names(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Adds one entry; returns the bytes of its file. Special files are left out.
fn append<W: Write>(archive: &mut tar::Builder<W>, tree: &Path, path: &Path) -> io::Result<u64> {
    let from = tree.join(path);
    let name = Path::new("./app").join(path);
    let meta = from.symlink_metadata()?;
    let mut header = tar::Header::new_gnu();
    header.set_mode(meta.permissions().mode() & 0o777);
    header.set_mtime(u64::try_from(meta.mtime()).unwrap_or(0));
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    if meta.is_dir() {
        header.set_entry_type(tar::EntryType::Directory);
        archive.append_data(&mut header, name, io::empty())?;
    } else if meta.is_symlink() {
        header.set_entry_type(tar::EntryType::Symlink);
        archive.append_link(&mut header, name, fs::read_link(&from)?)?;
    } else if meta.is_file() {
        let file = files::open_regular(&from)?;
        let size = file.metadata()?.len();
        if size > UNPACKED_LIMIT {
            return Err(io::Error::other(TooLarge));
        }
        header.set_size(size);
        archive.append_data(&mut header, name, file)?;
        return Ok(size);
    }
    Ok(0)
}

/// Where the compressed bytes go: they are counted, hashed, and stopped at the limit.
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
