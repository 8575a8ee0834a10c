//! Archives of strangers, put on disk without leaving the directory they are meant for.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::error::Error;
use crate::files;
use crate::pack::UNPACKED_LIMIT;

mod extract;

use extract::{Extractor, Refused};

/// Bytes of files in a source archive, as for a checkout on Heroku.
const SOURCE_LIMIT: u64 = 1 << 30;
/// One unpacking at a time: the disk is the bottleneck, and leftovers are known to be leftovers.
static UNPACKING: Mutex<()> = Mutex::const_new(());

/// Puts the slug in `file` (tar, also with gzip or zstd; everything under `./app/`) at `into`, owned
/// by `uid`. There is either the whole slug at `into` or nothing; if there already is something,
/// nothing is done.
pub async fn unpack(file: &Path, into: &Path, uid: u32) -> Result<()> {
    let _turn = UNPACKING.lock().await;
    let (file, into) = (file.to_owned(), into.to_owned());
    spawn_blocking(move || unpack_now(&file, &into, uid, extract::Root::App, UNPACKED_LIMIT))
        .await
        .context("unpack the slug")?
        .with_context(|| "unpack the slug")
}

/// Puts source code of elsewhere (tar, also with gzip or zstd) at `into`, owned by root. If all of it
/// is in one directory, as in the archives that GitHub makes, that directory is left out. An archive
/// that cannot be read, or that is larger than 1 GB unpacked, is the app's fault.
pub async fn unpack_source(file: &Path, into: &Path) -> Result<(), Error> {
    source(file, into, extract::Root::Any).await
}

/// The same for the tree of a commit, which is as it is: a directory that is alone stays.
pub async fn unpack_tree(file: &Path, into: &Path) -> Result<(), Error> {
    source(file, into, extract::Root::Tree).await
}

async fn source(file: &Path, into: &Path, root: extract::Root) -> Result<(), Error> {
    let (file, into) = (file.to_owned(), into.to_owned());
    let done =
        spawn_blocking(move || unpack_now(&file, &into, 0, root, SOURCE_LIMIT)).await.context("unpack the source")?;
    done.map_err(|e| match e.downcast_ref::<Refused>() {
        Some(refused) => Error::failed(format!("the source cannot be unpacked: {refused}")),
        None => Error::Other(e.context("unpack the source")),
    })
}

fn unpack_now(file: &Path, into: &Path, uid: u32, root: extract::Root, limit: u64) -> Result<()> {
    if into.symlink_metadata().is_ok() {
        return Ok(());
    }
    let parent = into.parent().context("the target has no parent")?;
    let name = into.file_name().context("the target has no name")?;
    fs::create_dir_all(parent)?;
    let temporary = parent.join(format!(".{}.tmp", name.to_string_lossy()));
    files::remove(&temporary)?;
    files::make_private(&temporary, uid)?;
    let done = extract_to(file, &temporary, uid, root, limit).and_then(|top| {
        // `top` is moved out of its directory before that directory goes.
        fs::rename(&top, into)?;
        Ok(())
    });
    files::remove(&temporary)?;
    done
}

/// Extracts; returns the directory that is the root of what was in the archive.
fn extract_to(file: &Path, to: &Path, uid: u32, root: extract::Root, limit: u64) -> Result<PathBuf> {
    let mut extractor = Extractor::new(to, uid, root, limit);
    let archive = open(file)?;
    extractor.run(tar::Archive::new(archive))?;
    Ok(extractor.top()?)
}

/// The tar stream in the file, whatever compresses it.
fn open(file: &Path) -> io::Result<Box<dyn Read>> {
    let mut magic = [0; 4];
    let n = File::open(file)?.read(&mut magic)?;
    let reader = io::BufReader::with_capacity(128 << 10, File::open(file)?);
    Ok(match &magic[..n] {
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::with_buffer(reader)?),
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        _ => Box::new(reader),
    })
}

#[cfg(test)]
mod tests;
