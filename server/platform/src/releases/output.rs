//! Copies the output of release phases into the file that is streamed, and into the app's log.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use api::ids::{AppId, ReleaseId};
use async_trait::async_trait;
use dyno::Output;
use serde::{Deserialize, Serialize};
use spool::{Cursor, Entry};

use crate::{Platform, ingest, outputs};

/// The number of entries that are copied into the app's log in one turn.
const TURN: usize = 1000;

/// Copies output.
pub(super) struct Copy<'a> {
    platform: &'a Platform,
    app: AppId,
    /// The dyno, as the app's log names it.
    name: &'a str,
    file: PathBuf,
    open: Option<Open>,
}

/// The file that is written.
struct Open {
    file: Bounded,
    log: logs::Follower,
}

impl<'a> Copy<'a> {
    /// The output of the phase of this release, run by the dyno `name`.
    pub fn new(platform: &'a Platform, app: AppId, release: ReleaseId, name: &'a str) -> Self {
        Self { platform, app, name, file: outputs::release_file(platform, app, release), open: None }
    }

    /// Copies the rest into the app's log: output that was in the file but not in the log when the server was killed,
    /// and the end of a truncated output.
    pub async fn finish(mut self) -> io::Result<()> {
        self.apart(|open| {
            while open.log.step(TURN).map_err(io::Error::other)? > 0 {}
            Ok(())
        })
        .await
    }

    /// Runs disk operations where they do not block other tasks.
    async fn apart(&mut self, work: impl FnOnce(&mut Open) -> io::Result<()> + Send + 'static) -> io::Result<()> {
        let mut open = self.open.take().ok_or_else(|| io::Error::other("the output has not begun"))?;
        let (open, done) = tokio::task::spawn_blocking(move || {
            let done = work(&mut open);
            (open, done)
        })
        .await
        .map_err(io::Error::other)?;
        self.open = Some(open);
        done
    }
}

/// Removes the stored position in the output of a phase that has ended.
pub(super) async fn forget_place(platform: &Platform, app: AppId, release: ReleaseId) -> io::Result<()> {
    match tokio::fs::remove_file(place_of(&outputs::release_file(platform, app, release))).await {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}

#[async_trait]
impl Output for Copy<'_> {
    /// The file and the log both continue at their own positions.
    async fn begin(&mut self, handle: &dyno::Handle) -> io::Result<Cursor> {
        let (platform, app, path) = (self.platform.clone(), self.app, self.file.clone());
        let (run, name) = (handle.id, handle.name.clone());
        let open = tokio::task::spawn_blocking(move || {
            let file = Bounded::open(&path, outputs::MOST_OUTPUT)?;
            let log = ingest::follower(&platform, app, run, &name).map_err(io::Error::other)?;
            Ok::<_, io::Error>(Open { file, log })
        });
        let open = open.await.map_err(io::Error::other)??;
        let place = open.file.place.cursor;
        self.open = Some(open);
        Ok(place)
    }

    async fn take(&mut self, entries: Vec<Entry>, place: Cursor) -> io::Result<()> {
        self.apart(move |open| {
            open.file.add(&entries, place)?;
            // Last, since this removes the part of the dyno's output that is in the log.
            open.log.step(entries.len()).map_err(io::Error::other)?;
            Ok(())
        })
        .await?;
        if self.is_full() {
            self.platform.supervisor_said(self.app, self.name, &outputs::mostly_omitted("release phase"));
        }
        Ok(())
    }

    /// The follower reads the same output for the app's log.
    fn is_only_reader(&self) -> bool {
        false
    }

    /// The log gets no more output than the file, except for the end.
    fn is_full(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.file.place.is_full)
    }
}

/// The position up to which the output is written.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Place {
    /// Everything before this cursor in the dyno's output is in the file.
    cursor: Cursor,
    /// The length of the file at that point.
    length: u64,
    /// Whether the file has reached its limit, which its last line states.
    is_full: bool,
}

/// A file that gets each entry of a dyno's output exactly once, up to a limit, even if the server is killed: output
/// that was written after the position was last stored is truncated and written again.
struct Bounded {
    file: File,
    noted: PathBuf,
    place: Place,
    most: u64,
}

impl Bounded {
    fn open(path: &Path, most: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let noted = place_of(path);
        // Without a position, from an earlier version or after a power failure, it starts over.
        let mut place: Place =
            std::fs::read(&noted).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let file = File::options().create(true).append(true).open(path)?;
        // Never extended, which would fill it with zeros.
        place.length = place.length.min(file.metadata()?.len());
        file.set_len(place.length)?;
        Ok(Self { file, noted, place, most })
    }

    /// Adds entries, up to `cursor` in the dyno's output, in one write.
    fn add(&mut self, entries: &[Entry], cursor: Cursor) -> io::Result<()> {
        let mut text = Vec::new();
        if !self.place.is_full {
            for entry in entries.iter().filter(|entry| entry.kind != b's') {
                text.extend_from_slice(&entry.text);
                text.push(b'\n');
            }
            if self.place.length + text.len() as u64 > self.most {
                self.place.is_full = true;
                text = (outputs::omitted("release phase", self.most) + "\n").into_bytes();
            }
        }
        // First removes the remains of a failed write.
        self.file.set_len(self.place.length)?;
        self.file.write_all(&text)?;
        self.place.length += text.len() as u64;
        self.place.cursor = cursor;
        let new = self.noted.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(&self.place)?)?;
        std::fs::rename(new, &self.noted)
    }
}

/// The file that records the position up to which an output is written.
fn place_of(output: &Path) -> PathBuf {
    output.with_extension("place")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        Entry { at_us: 1, kind: b'o', text: text.as_bytes().to_vec() }
    }

    fn at(offset: u64) -> Cursor {
        Cursor { segment: 1, offset }
    }

    #[test]
    fn output_after_the_stored_position_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app").join("release.log");
        let mut file = Bounded::open(&path, 1000).unwrap();
        let shim = Entry { kind: b's', ..entry("not of the phase") };
        file.add(&[entry("one"), shim, entry("")], at(10)).unwrap();
        // As after a kill in the middle of the next write.
        File::options().append(true).open(&path).unwrap().write_all(b"tw").unwrap();
        drop(file);
        let mut file = Bounded::open(&path, 1000).unwrap();
        assert_eq!(file.place.cursor, at(10));
        file.add(&[entry("two")], at(20)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n\ntwo\n");
    }

    #[test]
    fn the_limit_holds_across_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("release.log");
        let said = outputs::omitted("release phase", 50) + "\n";
        for n in 0..20 {
            let mut file = Bounded::open(&path, 50).unwrap();
            file.add(&[entry("twelve bytes")], at(n)).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "twelve bytes\n".repeat(3) + &said);
    }
}
