//! static.json: what is served and how.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::json::{self, Json};

/// Keys of static.json that exist elsewhere and do nothing here.
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
    /// Pattern and the file served for what is not there.
    pub routes: Vec<(Pattern, String)>,
    pub redirects: Vec<(Pattern, String, u16)>,
    pub headers: Vec<(Pattern, Vec<(String, String)>)>,
    /// Keys that were passed over.
    pub ignored: Vec<String>,
}

impl Config {
    /// Reads `static.json` of the app; without it the defaults are used.
    pub fn read(app: &Path) -> Result<Config, String> {
        let json = match fs::read_to_string(app.join("static.json")) {
            Ok(text) => json::parse(&text).map_err(|e| format!("static.json cannot be read: {e}"))?,
            Err(e) if e.kind() == ErrorKind::NotFound => Json::Object(Vec::new()),
            Err(e) => return Err(format!("static.json cannot be read: {e}")),
        };
        if !matches!(json, Json::Object(_)) {
            return Err("static.json cannot be read: it is not an object".into());
        }
        let text = |key: &str| json.get(key).and_then(Json::text).map(str::to_owned);
        let flag = |key: &str| json.get(key) == Some(&Json::Bool(true));
        let root = root(app, text("root"))?;
        Ok(Config {
            root,
            compressed: app.join(".heroku/static/gz"),
            clean_urls: flag("clean_urls"),
            https_only: flag("https_only"),
            canonical_host: text("canonical_host").filter(|host| is_header_safe(host)),
            error_page: text("error_page"),
            routes: pairs(&json, "routes").filter_map(|(p, v)| Some((p, v.text()?.to_owned()))).collect(),
            redirects: pairs(&json, "redirects").filter_map(|(p, v)| redirect(p, v)).collect(),
            headers: pairs(&json, "headers").map(|(p, v)| (p, headers(v))).collect(),
            ignored: IGNORED.iter().filter(|k| json.get(k).is_some()).map(|k| (*k).to_owned()).collect(),
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

fn pairs<'a>(json: &'a Json, key: &str) -> impl Iterator<Item = (Pattern, &'a Json)> {
    let entries = json.get(key).map(Json::entries).unwrap_or_default();
    entries.iter().map(|(pattern, value)| (Pattern(pattern.clone()), value))
}

fn redirect(pattern: Pattern, value: &Json) -> Option<(Pattern, String, u16)> {
    let url = value.text().or_else(|| value.get("url")?.text())?;
    let status = match value.get("status") {
        Some(Json::Number(n)) if [301.0, 302.0, 303.0, 307.0, 308.0].contains(n) => *n as u16,
        _ => 301,
    };
    is_header_safe(url).then(|| (pattern, url.to_owned(), status))
}

fn headers(value: &Json) -> Vec<(String, String)> {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    value
        .entries()
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.text()?.to_owned())))
        .filter(|(name, value)| is_name(name) && is_header_safe(value))
        .collect()
}

fn is_header_safe(text: &str) -> bool {
    text.chars().all(|c| !c.is_control())
}

/// A path with `*` for anything within a part and `**` for anything at all.
pub struct Pattern(pub String);

impl Pattern {
    pub fn matches(&self, path: &str) -> bool {
        matches(self.0.as_bytes(), path.as_bytes())
    }
}

fn matches(pattern: &[u8], path: &[u8]) -> bool {
    // Greedy with one step back for each kind of star: linear for what people write.
    match pattern.split_first() {
        None => path.is_empty(),
        Some((b'*', rest)) if rest.first() == Some(&b'*') => {
            let rest = rest.strip_prefix(b"*").unwrap_or(rest);
            (0..=path.len()).any(|n| matches(rest, &path[n..]))
        }
        Some((b'*', rest)) => {
            let part = path.iter().position(|b| *b == b'/').unwrap_or(path.len());
            (0..=part).any(|n| matches(rest, &path[n..]))
        }
        Some((byte, rest)) => path.first() == Some(byte) && matches(rest, &path[1..]),
    }
}
