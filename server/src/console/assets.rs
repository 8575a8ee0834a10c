//! The console's files, in the executable: scripts, styles, icons, fonts.
//!
//! Names below `/pkg/` contain a hash of their content, so they can be cached forever. There are precompressed copies,
//! `.br` and `.gz`; the best one that the browser accepts is sent.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use app::Assets;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::EmbeddedFile;
use serde::Deserialize;

/// Returns the file of the front end with this name.
pub type Embedded = fn(&str) -> Option<EmbeddedFile>;

static SITE: OnceLock<Embedded> = OnceLock::new();

/// Sets where the files come from: once, at the start of the process.
pub fn embed(site: Embedded) {
    SITE.get_or_init(|| site);
}

fn file(name: &str) -> Option<EmbeddedFile> {
    SITE.get().and_then(|site| site(name))
}

/// The names of the newest files; see `style/pack.mjs`.
#[derive(Deserialize)]
struct Manifest {
    js: String,
    modules: Vec<String>,
    wasm: String,
    css: String,
    /// The files of each of [`app::bundles`]; bundles may share files.
    bundles: BTreeMap<String, Vec<String>>,
}

impl Manifest {
    fn read() -> Option<Self> {
        file("manifest.json").and_then(|file| serde_json::from_slice(&file.data).ok())
    }
}

/// Shown by pages of an executable that was built without the console's front end.
const BARE_CSS: &str = "body::before{display:block;padding:1em;font:1em sans-serif;background:#fe9;color:#000;\
    content:'This wharfd was built without the console front end, so pages have no styles and are not interactive. \
    Build it with: make build'}";
const BARE_JS: &str = "export default async () => {}; export function hydrate() {}";

/// The URL of the styles.
pub fn css() -> String {
    Manifest::read().map_or_else(|| "/pkg/bare.css".into(), |manifest| format!("/{}", manifest.css))
}

/// The URLs that the page at `path` loads.
pub fn of_page(path: &str) -> Assets {
    let Some(manifest) = Manifest::read() else {
        let bare = String::from("/pkg/bare.js");
        return Assets { js: bare.clone(), modules: vec![], wasm: bare, bundles: vec![], css: css() };
    };
    let files = app::bundles::of(path).iter().filter_map(|bundle| manifest.bundles.get(*bundle));
    let files: BTreeSet<&String> = files.flatten().collect();
    Assets {
        js: format!("/{}", manifest.js),
        modules: manifest.modules.iter().map(|name| format!("/{name}")).collect(),
        wasm: format!("/{}", manifest.wasm),
        bundles: files.into_iter().map(|name| format!("/{name}")).collect(),
        css: format!("/{}", manifest.css),
    }
}

/// Whether there is a file at `path`.
pub fn exists(path: &str) -> bool {
    bare(path).is_some() || name(path).is_some_and(|name| file(name).is_some())
}

/// The file at `path`, in the best encoding that the browser accepts.
pub fn serve(path: &str, request: &HeaderMap) -> Option<Response> {
    if let Some((kind, text)) = bare(path) {
        return Some(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], text).into_response());
    }
    let name = name(path)?;
    let plain = file(name)?;
    let tag = format!("\"{:x}\"", Tag(&plain));
    let for_ever = name.starts_with("pkg/");
    let (encoding, file) = compressed(name, request).unwrap_or(("", plain));
    let mut response = match request.get(header::IF_NONE_MATCH).is_some_and(|t| t.as_bytes() == tag.as_bytes()) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Body::from(bytes(file.data)).into_response(),
    };
    let headers = response.headers_mut();
    let mut set = |name: header::HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, content_type(name));
    set(header::CACHE_CONTROL, if for_ever { "public, max-age=31536000, immutable" } else { "public, max-age=3600" });
    set(header::ETAG, &tag);
    set(header::VARY, "accept-encoding");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if !encoding.is_empty() {
        set(header::CONTENT_ENCODING, encoding);
    }
    Some(response)
}

fn name(path: &str) -> Option<&str> {
    let name = path.strip_prefix('/')?;
    let hidden = name.is_empty() || name.split('/').any(|part| part.starts_with('.')) || name == "manifest.json";
    (!hidden).then_some(name)
}

fn bare(path: &str) -> Option<(&'static str, &'static str)> {
    match path {
        "/pkg/bare.css" => Some((content_type(path), BARE_CSS)),
        "/pkg/bare.js" => Some((content_type(path), BARE_JS)),
        _ => None,
    }
}

fn compressed(name: &str, request: &HeaderMap) -> Option<(&'static str, EmbeddedFile)> {
    let accepted = request.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
    let takes = |encoding: &str| {
        accepted.split(',').map(str::trim).any(|word| match word.split_once(";q=") {
            Some((word, weight)) => word == encoding && weight.parse::<f32>().is_ok_and(|w| w > 0.0),
            None => word == encoding,
        })
    };
    let kinds = [("br", ".br"), ("gzip", ".gz")];
    kinds
        .into_iter()
        .filter(|(encoding, _)| takes(encoding))
        .find_map(|(encoding, ending)| Some((encoding, file(&format!("{name}{ending}"))?)))
}

fn bytes(data: Cow<'static, [u8]>) -> bytes::Bytes {
    match data {
        Cow::Borrowed(data) => bytes::Bytes::from_static(data),
        Cow::Owned(data) => data.into(),
    }
}

struct Tag<'a>(&'a EmbeddedFile);

impl std::fmt::LowerHex for Tag<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.metadata.sha256_hash()[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "js" => "text/javascript; charset=utf-8",
        "json" | "webmanifest" => "application/json",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_site_is_served() {
        for path in ["/", "/.inputs", "/manifest.json", "/../Cargo.toml", "/pkg/../../../Cargo.toml", "/pkg/none.js"] {
            assert!(serve(path, &HeaderMap::new()).is_none(), "{path}");
        }
    }

    #[test]
    fn pages_of_a_bare_build_say_so() {
        let css = serve("/pkg/bare.css", &HeaderMap::new()).unwrap();
        assert_eq!(css.headers()["content-type"], "text/css; charset=utf-8");
        assert!(BARE_CSS.contains("make build"));
    }
}
