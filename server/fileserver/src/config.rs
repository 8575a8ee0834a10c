//! static.json: what is served, and how.
//!
//! Values of the wrong type count as missing, as in other implementations of the format. Of several patterns that match
//! a path, the first one counts, so maps keep their order.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use globs::Piece;
use hyper::StatusCode;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Keys of the format that have no effect here.
const IGNORED: [&str; 4] = ["basic_auth", "basic_auth_list", "encoding", "proxies"];

pub struct Config {
    /// The directory that is served, a real path.
    pub root: PathBuf,
    /// Files of `root` compressed by the buildpack, with `.gz` added.
    pub compressed: PathBuf,
    /// `/about.html` is redirected to `/about`.
    pub clean_urls: bool,
    pub https_only: bool,
    pub canonical_host: Option<String>,
    pub error_page: Option<String>,
    /// The file served for paths without one.
    pub routes: Vec<(Pattern, String)>,
    pub redirects: Vec<(Pattern, String, StatusCode)>,
    pub headers: Vec<(Pattern, Vec<(HeaderName, HeaderValue)>)>,
    /// Keys that are not supported.
    pub ignored: Vec<String>,
}

/// A value, or `None` if it is not of the expected type.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient<T> {
    Expected(T),
    Other(IgnoredAny),
}

impl<T> Lenient<T> {
    fn get(self) -> Option<T> {
        match self {
            Self::Expected(value) => Some(value),
            Self::Other(_) => None,
        }
    }
}

type Field<T> = Option<Lenient<T>>;
type Map<T> = IndexMap<String, Lenient<T>>;

#[derive(Default, Deserialize)]
#[serde(expecting = "an object")]
struct StaticJson {
    root: Field<String>,
    clean_urls: Field<bool>,
    https_only: Field<bool>,
    canonical_host: Field<String>,
    error_page: Field<String>,
    routes: Field<Map<String>>,
    redirects: Field<Map<Redirect>>,
    headers: Field<Map<Map<String>>>,
    #[serde(flatten)]
    rest: IndexMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Redirect {
    Url(String),
    Full { url: String, status: Option<Lenient<u16>> },
}

impl Config {
    /// Reads `static.json` of the app; without it, the defaults are used.
    pub fn read(app: &Path) -> Result<Config, String> {
        let json: StaticJson = match fs::read_to_string(app.join("static.json")) {
            Ok(text) => serde_json::from_str(text.trim_start_matches('\u{feff}'))
                .map_err(|e| format!("static.json cannot be read: {e}"))?,
            Err(e) if e.kind() == ErrorKind::NotFound => StaticJson::default(),
            Err(e) => return Err(format!("static.json cannot be read: {e}")),
        };
        Ok(Config {
            root: root(app, json.root.and_then(Lenient::get))?,
            compressed: app.join(".heroku/static/gz"),
            clean_urls: json.clean_urls.and_then(Lenient::get).unwrap_or_default(),
            https_only: json.https_only.and_then(Lenient::get).unwrap_or_default(),
            canonical_host: json.canonical_host.and_then(Lenient::get).filter(|host| is_header_safe(host)),
            error_page: json.error_page.and_then(Lenient::get),
            routes: entries(json.routes).collect(),
            redirects: entries(json.redirects).filter_map(redirect).collect(),
            headers: entries(json.headers).map(|(pattern, fields)| (pattern, headers(fields))).collect(),
            ignored: IGNORED.iter().filter(|key| json.rest.contains_key(**key)).map(|key| (*key).to_owned()).collect(),
        })
    }
}

fn root(app: &Path, named: Option<String>) -> Result<PathBuf, String> {
    let app = app.canonicalize().map_err(|e| format!("{} cannot be opened: {e}", app.display()))?;
    if let Some(name) = named {
        let root = app.join(name.trim_matches('/')).canonicalize();
        return match root {
            Ok(root) if root.is_dir() && root.starts_with(&app) => Ok(root),
            _ => Err(format!("static.json names \"{name}\" as root, but the app has no such directory")),
        };
    }
    let usual = ["public_html", "public", "dist", "build", "_site"];
    let has_index = |dir: &Path| dir.join("index.html").is_file();
    if has_index(&app) {
        return Ok(app);
    }
    Ok(usual.iter().map(|name| app.join(name)).find(|dir| has_index(dir)).unwrap_or(app))
}

fn entries<T>(map: Field<Map<T>>) -> impl Iterator<Item = (Pattern, T)> {
    let map = map.and_then(Lenient::get).unwrap_or_default();
    map.into_iter().filter_map(|(pattern, value)| Some((Pattern::new(&pattern), value.get()?)))
}

fn redirect((pattern, redirect): (Pattern, Redirect)) -> Option<(Pattern, String, StatusCode)> {
    let (url, status) = match redirect {
        Redirect::Url(url) => (url, None),
        Redirect::Full { url, status } => (url, status.and_then(Lenient::get)),
    };
    let status = status.filter(|status| [301, 302, 303, 307, 308].contains(status));
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    is_header_safe(&url).then_some((pattern, url, status.unwrap_or(StatusCode::MOVED_PERMANENTLY)))
}

/// The fields that can be sent; others are left out. Apps must not control how messages are delimited.
fn headers(fields: Map<String>) -> Vec<(HeaderName, HeaderValue)> {
    let field = |(name, value): (String, Lenient<String>)| {
        let name: HeaderName = name.parse().ok()?;
        let delimits = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name);
        (!delimits).then_some((name, HeaderValue::from_str(&value.get()?).ok()?))
    };
    fields.into_iter().filter_map(field).collect()
}

fn is_header_safe(text: &str) -> bool {
    text.chars().all(|c| !c.is_control())
}

/// A path in which `*` stands for anything within a part, and `**` for anything.
pub struct Pattern(globs::Pattern);

impl Pattern {
    fn new(text: &str) -> Pattern {
        let (mut rest, mut pieces) = (text.as_bytes(), Vec::new());
        while let Some((first, after)) = rest.split_first() {
            (rest, _) = match (first, after) {
                (b'*', [b'*', after @ ..]) => (after, pieces.push(Piece::Anything)),
                (b'*', after) => (after, pieces.push(Piece::WithinPart)),
                (byte, after) => (after, pieces.push(Piece::Byte(*byte))),
            };
        }
        Pattern(globs::Pattern::new(pieces))
    }

    pub fn matches(&self, path: &str) -> bool {
        self.0.matches(path.as_bytes(), &mut 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_as_documented() {
        for (pattern, path, expected) in [
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("", "", true),
            ("", "/", false),
            ("/*", "/a", true),
            ("/*", "/", true),
            ("/*", "/a/b", false),
            ("/*/b", "/a/b", true),
            ("/a*c", "/abc", true),
            ("/**", "/a/b/c", true),
            ("/**/c", "/a/b/c", true),
            ("/**/c", "/c", false),
            ("/**c", "/c", true),
            ("/a**b*c", "/a/x/b1c", true),
            ("/a**b*c", "/a/x/b/c", false),
            ("***", "/a/b", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn many_stars_are_no_way_to_keep_a_thread_busy() {
        // With backtracking, this would not terminate.
        assert!(!Pattern::new(&("/**a".repeat(20) + "b")).matches(&"/a".repeat(200)));
    }
}
