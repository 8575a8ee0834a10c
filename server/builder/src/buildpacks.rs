//! The built-in buildpacks, and the names of buildpacks.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;
use rust_embed::RustEmbed;

use crate::files;
use crate::masking::masked;

#[derive(RustEmbed)]
#[folder = "buildpacks/"]
#[exclude = "*.test.js"]
#[exclude = "*.test.py"]
struct Scripts;

/// Functions that they share; each one gets a copy in `lib`.
const SHARED: [&str; 2] = ["output.sh", "runtimes.sh"];

/// The file server that the static buildpack copies into slugs; built by `build.rs`.
const FILE_SERVER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fileserver"));

/// A buildpack that is part of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// Node.js, by `package.json`.
    Nodejs,
    /// Python, by `requirements.txt`, `uv.lock` and their like.
    Python,
    /// Rust, by `Cargo.toml`.
    Rust,
    /// Files for a browser, by `static.json`, `index.html` or `public/index.html`.
    Static,
}

impl BuiltIn {
    /// In the order of detection.
    pub const ALL: [BuiltIn; 4] = [BuiltIn::Nodejs, BuiltIn::Python, BuiltIn::Rust, BuiltIn::Static];

    /// The name in the registry of buildpacks.
    pub fn name(self) -> &'static str {
        match self {
            BuiltIn::Nodejs => "heroku/nodejs",
            BuiltIn::Python => "heroku/python",
            BuiltIn::Rust => "heroku/rust",
            BuiltIn::Static => "heroku-community/static",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            BuiltIn::Nodejs => "nodejs",
            BuiltIn::Python => "python",
            BuiltIn::Rust => "rust",
            BuiltIn::Static => "static",
        }
    }

    /// Looks one up by its name in a registry (`heroku/nodejs`, `emk/rust`) or the path of its repository.
    fn find(name: &str) -> Option<BuiltIn> {
        let name = name.to_ascii_lowercase();
        let (owner, rest) = name.split_once('/')?;
        let language = rest.strip_prefix("heroku-buildpack-").unwrap_or(rest);
        if !["heroku", "heroku-community", "emk", "wharf"].contains(&owner) {
            return None;
        }
        match language {
            "nodejs" | "node" => Some(BuiltIn::Nodejs),
            "python" => Some(BuiltIn::Python),
            "rust" => Some(BuiltIn::Rust),
            "static" | "html" => Some(BuiltIn::Static),
            _ => None,
        }
    }

    /// Writes the buildpack to the new directory `to`, owned by `uid`: buildpacks write an `export`
    /// file into their own directory.
    pub(crate) fn write(self, to: &Path, uid: u32) -> io::Result<()> {
        files::make_private(to, uid)?;
        let prefix = format!("{}/", self.folder());
        for name in Scripts::iter().filter(|name| name.starts_with(&prefix)) {
            let script = Scripts::get(&name).ok_or(io::ErrorKind::NotFound)?;
            write_file(to, &name[prefix.len()..], &script.data, uid)?;
        }
        for name in SHARED {
            let script = Scripts::get(&format!("shared/{name}")).ok_or(io::ErrorKind::NotFound)?;
            write_file(to, &format!("lib/{name}"), &script.data, uid)?;
        }
        if self == BuiltIn::Static {
            write_file(to, "bin/serve", FILE_SERVER, uid)?;
        }
        Ok(())
    }
}

fn write_file(root: &Path, name: &str, data: &[u8], uid: u32) -> io::Result<()> {
    let path = root.join(name);
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        files::make_private(parent, uid)?;
    }
    fs::write(&path, data)?;
    let mode = if name.starts_with("bin/") { 0o755 } else { 0o644 };
    fs::set_permissions(&path, Permissions::from_mode(mode))?;
    files::own(&path, uid)
}

/// A parsed buildpack name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Buildpack {
    BuiltIn(BuiltIn),
    /// A repository that the build dyno clones.
    Git {
        url: String,
        reference: String,
    },
    /// A `.tgz` that the build dyno downloads.
    Archive {
        url: String,
    },
    /// A repository or directory on this host.
    Local {
        path: PathBuf,
        reference: String,
    },
}

static URL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(https?|file)://([^\s#\x00-\x1f\x7f]+)(?:#([A-Za-z0-9][A-Za-z0-9._/+-]*))?$")
        .expect("the expression is constant")
});
static OFFICIAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^https://(?:www\.)?github\.com/((?:heroku|heroku-community|emk)/heroku-buildpack-[a-z]+?)(?:\.git)?/?$",
    )
    .expect("the expression is constant")
});

impl Buildpack {
    /// Parses a name or URL; the error is a message for the user.
    pub(crate) fn parse(text: &str) -> Result<Buildpack, String> {
        let text = text.trim();
        let name = text.strip_prefix("urn:buildpack:").unwrap_or(text);
        if name.starts_with('/') {
            let advice = "For a buildpack in a folder of the platform's machine, use a URL";
            return Err(format!("{} is a path. {advice}: file://{}", label(name), label(name)));
        }
        if !name.contains("://") {
            return BuiltIn::find(name).map(Buildpack::BuiltIn).ok_or_else(|| {
                let known = BuiltIn::ALL.map(BuiltIn::name).join(", ");
                format!(
                    "There is no built-in buildpack {name}. Built-in buildpacks: {known}. For others, use the git URL."
                )
            });
        }
        let Some(found) = URL.captures(name) else {
            return Err(format!(
                "{} is not a valid buildpack URL. Use the https:// or file:// URL of a git repository, with #branch for another branch.",
                label(name)
            ));
        };
        let url = format!("{}://{}", &found[1], &found[2]);
        let reference = found.get(3).map_or("", |m| m.as_str()).to_owned();
        let official = OFFICIAL.captures(&url).and_then(|m| BuiltIn::find(&m[1]));
        if let Some(built_in) = official {
            return Ok(Buildpack::BuiltIn(built_in));
        }
        Ok(if &found[1] == "file" {
            let path = PathBuf::from(&found[2]);
            if !path.is_absolute() {
                return Err(format!("{} is not a valid path. Use file:// and an absolute path.", label(name)));
            }
            Buildpack::Local { path, reference }
        } else if url.ends_with(".tgz") || url.ends_with(".tar.gz") {
            Buildpack::Archive { url }
        } else {
            Buildpack::Git { url, reference }
        })
    }
}

/// The canonical name of a buildpack, for display and storage: `heroku/nodejs` for all names of that built-in one; URLs
/// are unchanged. The error is a message for the user.
pub fn canonical(buildpack: &str) -> Result<String, String> {
    Ok(match Buildpack::parse(buildpack)? {
        Buildpack::BuiltIn(built_in) => built_in.name().to_owned(),
        _ => buildpack.trim().to_owned(),
    })
}

/// Whether a buildpack is in a folder of this host, which users must not read.
pub fn is_local(buildpack: &str) -> bool {
    matches!(Buildpack::parse(buildpack), Ok(Buildpack::Local { .. }))
}

/// The name of a buildpack in output: without the password of a URL.
pub(crate) fn label(buildpack: &str) -> String {
    let text = buildpack.trim();
    let text = text.strip_prefix("urn:buildpack:").unwrap_or(text);
    masked(text).chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_ins_have_many_names() {
        for (name, built_in) in [
            ("heroku/nodejs", BuiltIn::Nodejs),
            ("urn:buildpack:heroku/nodejs", BuiltIn::Nodejs),
            ("https://github.com/heroku/heroku-buildpack-nodejs", BuiltIn::Nodejs),
            ("https://github.com/heroku/heroku-buildpack-nodejs.git#v200", BuiltIn::Nodejs),
            ("https://github.com/heroku/heroku-buildpack-python/", BuiltIn::Python),
            ("emk/rust", BuiltIn::Rust),
            ("https://github.com/emk/heroku-buildpack-rust.git", BuiltIn::Rust),
            ("heroku-community/static", BuiltIn::Static),
            ("https://github.com/heroku/heroku-buildpack-static", BuiltIn::Static),
        ] {
            assert_eq!(Buildpack::parse(name), Ok(Buildpack::BuiltIn(built_in)), "{name}");
            assert_eq!(canonical(name).unwrap(), built_in.name());
        }
    }

    #[test]
    fn urls_are_taken_apart() {
        let git = |url: &str, reference: &str| Buildpack::Git { url: url.into(), reference: reference.into() };
        assert_eq!(
            Buildpack::parse("https://example.com/a/b.git#feature/x"),
            Ok(git("https://example.com/a/b.git", "feature/x"))
        );
        assert_eq!(
            Buildpack::parse("https://github.com/heroku/heroku-buildpack-ruby"),
            Ok(git("https://github.com/heroku/heroku-buildpack-ruby", ""))
        );
        assert_eq!(
            Buildpack::parse("file:///srv/packs/a#main"),
            Ok(Buildpack::Local { path: "/srv/packs/a".into(), reference: "main".into() })
        );
        assert_eq!(
            Buildpack::parse("https://example.com/pack.tgz"),
            Ok(Buildpack::Archive { url: "https://example.com/pack.tgz".into() })
        );
    }

    #[test]
    fn invalid_buildpacks_have_a_message() {
        assert!(Buildpack::parse("heroku/cobol").unwrap_err().contains("heroku/cobol"));
        for bad in [
            "",
            "x",
            "ssh://a/b",
            "https://a/b#-x",
            "https://a/b#--upload-pack=x",
            "https://a b",
            "ext::sh -c x",
            "https://a/b\tc",
            "https://a/b\nc",
            "file://host/srv",
            "file://-x",
            "git://a/b",
            "git+ssh://a/b",
            "--upload-pack=x",
            "https://a/b#..x",
        ] {
            assert!(Buildpack::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_is_rejected_with_the_url_to_use() {
        assert!(Buildpack::parse("/srv/packs/a").unwrap_err().ends_with(": file:///srv/packs/a"));
    }
}
