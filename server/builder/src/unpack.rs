//! Archives of strangers, put on disk without leaving the directory they are meant for.
//!
//! An archive becomes a directory beside its place, which is moved there when it is whole.

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
mod errand;
mod extract;

pub(crate) use archive::{allowed, with_names};

/// Adds what workers of this crate do.
pub fn errands(errands: worker::Errands) -> worker::Errands {
    errands.with::<Unpack>()
}

use archive::{Metered, Stop};
use check::Checklist;
use errand::Unpack;
use extract::{Extractor, Target};

/// Bytes of files in a source archive, as for a checkout on Heroku.
const SOURCE_LIMIT: u64 = 1 << 30;
/// An archive that takes longer to unpack is refused.
pub const LONGEST: Duration = Duration::from_secs(10 * 60);

/// The user of those who only look.
const CHECKER: u32 = *worker::USERS.start() + 1;

/// What is at the root of an archive.
#[derive(Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum Root {
    /// One directory `app`: a slug.
    App,
    /// The files, or one directory of any name with the files: source code.
    Any,
    /// The files: a commit.
    Tree,
}

/// Directories of source code that are never the wrapping of an archive.
const NOT_A_WRAPPING: [&str; 5] = ["app", "dist", "public", "public_html", "src"];

/// Why an archive is not unpacked: half a sentence.
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

/// Puts the slug in `file` (tar, also with gzip or zstd; everything under `./app/`) at `into`, owned
/// by `uid`, whose worker does it. There is either the whole slug at `into` or nothing; if there
/// already is something, nothing is done. An archive that is no slug is the app's fault. Interrupted,
/// it leaves a directory beside `into` whose name [`is_unfinished`].
pub async fn unpack(workers: &Workers, file: &Path, into: &Path, uid: u32) -> Result<(), Error> {
    put(workers, file, into, uid, Root::App, UNPACKED_LIMIT).await
}

/// Looks whether [`unpack`] would take the slug in `file`; writes nothing.
pub async fn check(workers: &Workers, file: &Path) -> Result<(), Error> {
    let errand = Unpack { root: Root::App, limit: UNPACKED_LIMIT, only_check: true };
    errand.send(workers, File::open(file).context("open the slug")?, None, CHECKER).await.map(drop)
}

/// Puts source code of elsewhere (tar, also with gzip or zstd) at `into`, owned by `uid`. If all of it
/// is in one directory, as in the archives that GitHub makes, that directory is left out. An archive
/// that cannot be read, or that is larger than 1 GB unpacked, is the app's fault.
pub async fn unpack_source(workers: &Workers, file: &Path, into: &Path, uid: u32) -> Result<(), Error> {
    source(put(workers, file, into, uid, Root::Any, SOURCE_LIMIT).await)
}

/// The same for the tree of a commit, which is as it is: a directory that is alone stays.
pub async fn unpack_tree(workers: &Workers, file: &Path, into: &Path, uid: u32) -> Result<(), Error> {
    source(put(workers, file, into, uid, Root::Tree, SOURCE_LIMIT).await)
}

/// Whether this is the name of a directory that an unpacking left behind, when it does not run.
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
    let temporary = prepare(into, uid).context("make a directory to unpack to")?;
    let errand = Unpack { root, limit, only_check: false };
    let done = match errand.send(workers, file, Some(&temporary), uid).await {
        Ok(dotted) => move_into_place(&temporary, root == Root::Any && !dotted, into).map_err(Error::Other),
        Err(e) => Err(e),
    };
    let removed = spawn_blocking(move || trees::remove(&temporary)).await;
    removed.context("remove what was unpacked")?.context("remove what was unpacked")?;
    done
}

/// A directory beside `into` for the user alone, by the path that the kernel knows it by.
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
    let done = Extractor::new(to, root, limit, bounds).run(tar::Archive::new(bytes));
    done.map_err(|e| match stop.get() {
        Some(Stop::TooMuch) => Refused::TooLarge(limit).into(),
        Some(Stop::TooLong) => Refused::TooLong.into(),
        None => e,
    })
}

/// Moves what was extracted to its place, without the directory that wraps it.
fn move_into_place(from: &Path, may_wrap: bool, into: &Path) -> Result<()> {
    let wrapping = if may_wrap { wrapping(&Dir::open(from)?)? } else { None };
    let top = wrapping.map_or_else(|| from.to_owned(), |name| from.join(name));
    match fs::rename(&top, into) {
        // Somebody else was faster, with the same archive.
        Err(_) if into.symlink_metadata().is_ok_and(|meta| meta.is_dir()) => Ok(()),
        done => Ok(done?),
    }
}

/// The only thing in a directory, if that is a directory and may wrap the others.
fn wrapping(directory: &Dir) -> io::Result<Option<PathBuf>> {
    let names = directory.names(2)?;
    let [name] = names.as_slice() else { return Ok(None) };
    let is_named = NOT_A_WRAPPING.iter().any(|known| name == known);
    Ok((!is_named && directory.dir(name.as_ref()).is_ok()).then(|| name.into()))
}

/// Whether a slug is within these bounds, as [`check`] looks.
#[cfg(test)]
pub(crate) fn is_within(slug: &Path, limit: u64, bounds: Bounds) -> std::result::Result<(), String> {
    let checked = extract(File::open(slug).map_err(|e| e.to_string())?, Checklist::default(), Root::App, limit, bounds);
    checked.map(drop).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;
