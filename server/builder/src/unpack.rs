//! Unpacks untrusted archives without leaving the target directory.
//!
//! An archive is unpacked into a directory next to the target, which is renamed when it is complete.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::task::spawn_blocking;
use trees::{Bounds, Dir, Excess};
use uuid::Uuid;
use worker::Workers;

use crate::error::Error;
use crate::files;
use crate::pack::UNPACKED_LIMIT;

mod archive;
mod check;
mod entries;
mod extract;
mod task;

pub(crate) use archive::{allowed, with_names};

/// Adds the tasks of this crate.
pub fn tasks(tasks: worker::Tasks) -> worker::Tasks {
    tasks.with::<Unpack>()
}

use archive::{Metered, Stop};
use check::Checklist;
use extract::{Extractor, Target};
use task::Unpack;

/// Bytes of files in a source archive, as for a checkout on Heroku.
const SOURCE_LIMIT: u64 = 1 << 30;
/// Time limit for unpacking.
pub const LONGEST: Duration = Duration::from_secs(10 * 60);

/// The user of workers that only check.
const CHECKER: u32 = *worker::USERS.start() + 1;

/// The expected root of an archive.
#[derive(Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum Root {
    /// One directory `app`: a slug.
    App,
    /// The files, or one directory of any name with the files: source code.
    Any,
    /// The files: a commit.
    Tree,
}

/// Directories of source code that are never an archive's wrapper.
const NOT_A_WRAPPING: [&str; 5] = ["app", "dist", "public", "public_html", "src"];

/// Why an archive is rejected; displayed as a clause.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("`{0}` points outside the archive")]
    Outside(String),
    #[error("`{0}` is not under ./app")]
    NotApp(String),
    #[error("`{0}` would be written through a link, or is both a file and a directory")]
    Through(String),
    #[error("`{0}` could not be created ({1})")]
    Impossible(String, io::Error),
    #[error("`{0}` is a sparse file; create the archive without --sparse")]
    Sparse(String),
    #[error("it contains more than {} MB", .0 >> 20)]
    TooLarge(u64),
    #[error("{0}")]
    Excess(Excess),
    #[error("a name or an attribute is longer than 64 KB")]
    Extension,
    #[error("unpacking took longer than {} minutes", LONGEST.as_secs() / 60)]
    TooLong,
    #[error("it is not a readable tar archive ({0})")]
    Unreadable(io::Error),
    #[error("it is empty")]
    Empty,
}

/// Unpacks the slug in `file` (tar, plain or with gzip or zstd; everything under `./app/`) to `into`, owned by `uid`,
/// in a worker running as that user. `into` is either the whole slug or does not exist; if it exists already, nothing
/// is done. An archive that is not a slug is an error of the app. If interrupted, it leaves a directory next to `into`
/// whose name [`is_unfinished`].
pub async fn unpack(workers: &Workers, file: &Path, into: &Path, uid: u32) -> Result<(), Error> {
    put(workers, file, into, uid, Root::App, UNPACKED_LIMIT).await
}

/// Checks whether [`unpack`] would accept the slug in `file`, without writing it.
pub async fn check(workers: &Workers, file: &Path) -> Result<(), Error> {
    let task = Unpack { root: Root::App, limit: UNPACKED_LIMIT, only_check: true };
    task.send(workers, File::open(file).context("open the slug")?, None, CHECKER).await.map(drop)
}

/// Unpacks source code (tar, plain or with gzip or zstd) to `into`, owned by `uid`. A single directory with all files,
/// as in GitHub's archives, is unwrapped. An archive that is unreadable, or larger than 1 GB unpacked, is an error of
/// the app.
pub async fn unpack_source(workers: &Workers, file: &Path, into: &Path, uid: u32) -> Result<(), Error> {
    source(put(workers, file, into, uid, Root::Any, SOURCE_LIMIT).await)
}

/// The same for the tree of a commit, which is never unwrapped.
pub async fn unpack_tree(workers: &Workers, file: &Path, into: &Path, uid: u32) -> Result<(), Error> {
    source(put(workers, file, into, uid, Root::Tree, SOURCE_LIMIT).await)
}

/// Unpacks a package of a registry, without its wrapper, in a worker whose user owns the files.
pub async fn unpack_package(workers: &Workers, file: &Path, into: &Path) -> Result<(), Error> {
    put(workers, file, into, CHECKER, Root::Any, SOURCE_LIMIT).await
}

/// An empty, private directory of the user next to `into`, for [`move_into_place`].
pub(crate) fn begin(into: &Path, uid: u32) -> io::Result<PathBuf> {
    let temporary = prepare(into, uid)?;
    dyno::disks::must_have_space(&temporary, 0).inspect_err(|_| drop(trees::remove(&temporary)))?;
    Ok(temporary)
}

/// Whether this is the name of a directory that an interrupted unpacking left behind.
pub fn is_unfinished(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".unpacking")
}

fn source(done: Result<(), Error>) -> Result<(), Error> {
    done.map_err(|e| match e {
        Error::Failed { why } => Error::failed(format!("the source could not be unpacked: {why}")),
        other => other,
    })
}

async fn put(workers: &Workers, file: &Path, into: &Path, uid: u32, root: Root, limit: u64) -> Result<(), Error> {
    if into.symlink_metadata().is_ok() {
        return Ok(());
    }
    let file = File::open(file).context("open the archive")?;
    let temporary = prepare(into, uid).context("create a directory to unpack to")?;
    if let Err(full) = must_have_space(&temporary) {
        let _ = trees::remove(&temporary);
        return Err(Error::Other(full));
    }
    let task = Unpack { root, limit, only_check: false };
    let extracted = tokio::select! {
        extracted = task.send(workers, file, Some(&temporary), uid) => extracted,
        full = until_full(&temporary) => Err(Error::Other(full)),
    };
    // The final check covers recent writes, however fast they were.
    let done = match extracted.and_then(|dotted| must_have_space(&temporary).map(|()| dotted).map_err(Error::Other)) {
        Ok(dotted) => move_into_place(&temporary, root == Root::Any && !dotted, into).map_err(Error::Other),
        Err(e) => Err(e),
    };
    let removed = spawn_blocking(move || remove(&temporary)).await;
    removed.context("remove the unpacked files")?.context("remove the unpacked files")?;
    done
}

/// The interval of checks of the machine's disk.
const LOOK: Duration = Duration::from_millis(250);

/// Waits until the machine's disk is nearly full: an archive may hold far more than its own size.
async fn until_full(folder: &Path) -> anyhow::Error {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(full) = must_have_space(folder) {
            return full;
        }
    }
}

fn must_have_space(folder: &Path) -> anyhow::Result<()> {
    dyno::disks::must_have_space(folder, 0).context("unpack an archive")
}

/// Removes a directory in which a worker may still write until it has been killed.
fn remove(folder: &Path) -> io::Result<()> {
    for _ in 0..20 {
        if trees::remove(folder).is_ok() {
            return Ok(());
        }
        std::thread::sleep(LOOK / 5);
    }
    trees::remove(folder)
}

/// A private directory of the user next to `into`, by its canonical path.
fn prepare(into: &Path, uid: u32) -> io::Result<PathBuf> {
    let parent = into.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent)?;
    let temporary = parent.canonicalize()?.join(format!(".{}.unpacking", Uuid::now_v7()));
    files::make_private(&temporary, uid)?;
    Ok(temporary)
}

/// Extracts; returns whether names in the archive began with `./`.
fn extract(file: File, to: impl Target, root: Root, limit: u64, bounds: Bounds) -> Result<bool> {
    let limit = allowed(file.metadata()?.len(), limit);
    let bytes = Metered::open(file, limit, LONGEST)?;
    let stop = bytes.stop.clone();
    let mut archive = tar::Archive::new(bytes);
    // Those of a commit and of its submodules follow one another.
    archive.set_ignore_zeros(root == Root::Tree);
    let done = Extractor::new(to, root, limit, bounds).run(archive);
    done.map_err(|e| match stop.get() {
        Some(Stop::TooMuch) => Refused::TooLarge(limit).into(),
        Some(Stop::TooLong) => Refused::TooLong.into(),
        None => e,
    })
}

/// Renames the extracted tree to its target, without a wrapper.
pub(crate) fn move_into_place(from: &Path, may_wrap: bool, into: &Path) -> Result<()> {
    let wrapping = if may_wrap { wrapping(&Dir::open(from)?)? } else { None };
    let top = wrapping.map_or_else(|| from.to_owned(), |name| from.join(name));
    match fs::rename(&top, into) {
        // The same archive was unpacked concurrently.
        Err(_) if into.symlink_metadata().is_ok_and(|meta| meta.is_dir()) => Ok(()),
        done => Ok(done?),
    }
}

/// The only entry of a directory, if that is a directory and can be a wrapper.
fn wrapping(directory: &Dir) -> io::Result<Option<PathBuf>> {
    let names = directory.names(2)?;
    let [name] = names.as_slice() else { return Ok(None) };
    let is_named = NOT_A_WRAPPING.iter().any(|known| name == known);
    Ok((!is_named && directory.dir(name.as_ref()).is_ok()).then(|| name.into()))
}

/// Whether a slug is within these bounds, like [`check`].
#[cfg(test)]
pub(crate) fn is_within(slug: &Path, limit: u64, bounds: Bounds) -> std::result::Result<(), String> {
    let checked = extract(File::open(slug).map_err(|e| e.to_string())?, Checklist::default(), Root::App, limit, bounds);
    checked.map(drop).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;
