//! From a path to a file, and its ETag.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::Config;

/// Up to this size, the ETag is a hash of the content, so that browsers do not reload what a deploy does not change.
const HASHED_BYTES: u64 = 8 << 20;
/// Cached ETags.
const MOST_TAGS: usize = 10_000;
/// Files at the root of an app that are not served.
const PRIVATE: [&str; 3] = ["Procfile", "app.json", "static.json"];

/// The files of one app.
pub struct Site {
    pub config: Config,
    tags: Mutex<HashMap<PathBuf, (u64, u64, u64)>>,
}

/// An open file, to be sent.
pub struct Found {
    pub file: File,
    pub length: u64,
    /// Truncated to seconds, as in headers.
    pub modified: SystemTime,
    pub tag: String,
    /// The name that determines the content type.
    pub name: String,
    pub gzip: bool,
    /// A compressed form exists, so caches must look at Accept-Encoding.
    pub varies: bool,
}

/// The result of looking up a path.
pub enum Place {
    File(PathBuf),
    /// A redirect, for a directory without its slash or a page with its extension.
    Elsewhere(String),
    Nothing,
}

impl Site {
    pub fn new(config: Config) -> Site {
        Site { config, tags: Mutex::default() }
    }

    pub fn root(&self) -> &Path {
        &self.config.root
    }

    /// Looks a decoded path up.
    pub fn locate(&self, path: &str) -> Place {
        if is_hidden(path) {
            return Place::Nothing;
        }
        let relative = path.trim_start_matches('/');
        let full = self.config.root.join(relative);
        if path.ends_with('/') {
            return self.file(&full.join("index.html")).map_or(Place::Nothing, Place::File);
        }
        if self.config.clean_urls
            && let Some(clean) = path.strip_suffix(".html")
            && self.file(&full).is_some()
        {
            return Place::Elsewhere(
                clean.strip_suffix("/index").map_or_else(|| clean.to_owned(), |dir| format!("{dir}/")),
            );
        }
        if let Some(file) = self.file(&full) {
            return Place::File(file);
        }
        let mut with_ending = full.clone().into_os_string();
        with_ending.push(".html");
        if let Some(file) = self.file(Path::new(&with_ending)) {
            return Place::File(file);
        }
        if self.file(&full.join("index.html")).is_some() {
            return Place::Elsewhere(format!("{path}/"));
        }
        Place::Nothing
    }

    /// The file that static.json's `routes` name for a path without a file.
    pub fn fallback(&self, path: &str) -> Option<PathBuf> {
        let (_, file) = self.config.routes.iter().find(|(pattern, _)| pattern.matches(path))?;
        self.file(&self.config.root.join(file.trim_start_matches('/')))
    }

    /// The page for a path without a file or route.
    pub fn error_page(&self) -> Option<PathBuf> {
        let named = self.config.error_page.as_deref().unwrap_or("404.html");
        self.file(&self.config.root.join(named.trim_start_matches('/')))
    }

    /// The real path of a regular file, if that is below the root after links are followed.
    fn file(&self, path: &Path) -> Option<PathBuf> {
        let real = path.canonicalize().ok()?;
        // Links lead neither out of the site nor to hidden files.
        let is_shown = !is_hidden(&real.strip_prefix(&self.config.root).ok()?.to_string_lossy());
        (real.is_file() && is_shown).then_some(real)
    }

    /// Opens a file, or its compressed form.
    pub fn open(&self, path: &Path, accepts_gzip: bool) -> Option<Found> {
        let relative = path.strip_prefix(&self.config.root).ok()?;
        let mut compressed = self.config.compressed.join(relative).into_os_string();
        compressed.push(".gz");
        let varies = fs::metadata(&compressed).is_ok();
        let gzip = varies && accepts_gzip;
        let chosen = if gzip { PathBuf::from(compressed) } else { path.to_owned() };
        let file = File::open(&chosen).ok()?;
        let meta = file.metadata().ok()?;
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let modified = fs::metadata(path).and_then(|meta| meta.modified()).map_or(0, seconds);
        Some(Found {
            length: meta.len(),
            modified: UNIX_EPOCH + Duration::from_secs(modified),
            tag: self.tag(&chosen, meta.len(), modified),
            name: path.file_name()?.to_string_lossy().into_owned(),
            file,
            gzip,
            varies,
        })
    }

    fn tag(&self, path: &Path, length: u64, modified: u64) -> String {
        let mut tags = self.tags.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((l, m, hash)) = tags.get(path)
            && (*l, *m) == (length, modified)
        {
            return format!("\"{hash:016x}\"");
        }
        drop(tags);
        let hash = hash(path, length).unwrap_or_else(|| modified.rotate_left(32) ^ length);
        tags = self.tags.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if tags.len() >= MOST_TAGS {
            tags.clear();
        }
        tags.insert(path.to_owned(), (length, modified, hash));
        format!("\"{hash:016x}\"")
    }
}

fn hash(path: &Path, length: u64) -> Option<u64> {
    if length > HASHED_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(HASHED_BYTES).read_to_end(&mut bytes).ok()?;
    // Its keys are fixed, so that all dynos compute the same value.
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    Some(hasher.finish())
}

/// Dot files other than `.well-known`, and the app's own settings.
fn is_hidden(path: &str) -> bool {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let first = parts.next().unwrap_or_default();
    (first.starts_with('.') && first != ".well-known")
        || parts.any(|part| part.starts_with('.'))
        || PRIVATE.contains(&path.trim_start_matches('/'))
}
