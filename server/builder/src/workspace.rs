//! The directories of a build on the host, and their mounts in its dyno.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use api::ids::BuildId;
use dyno::disks::{self, Lent};
use dyno::{Artifact, Bind, Mounts};
use trees::Dir;

use crate::buildpacks::{Buildpack, BuiltIn, label};
use crate::config::Config;
use crate::environment::authorities_to_bind;
use crate::files;
use crate::request::Request;
use crate::runtimes;

/// Where an app is built: where it will run, because installers and compilers write absolute paths into their output.
const BUILD_DIR: &str = "/app";
/// Other paths in the dyno, the same for all builds, because compilers store absolute paths in their caches.
const CACHE_DIR: &str = "/tmp/cache";
const ENV_DIR: &str = "/tmp/env";
const BUILDER: &str = "/tmp/builder";
const PACKS: &str = "/tmp/buildpacks";
const LOCAL_PACKS: &str = "/tmp/buildpacks-from";
const OUT: &str = "/tmp/out";

/// The disk image of an app's cache, in the cache's directory.
const CACHE_IMAGE: &str = "cache.img";

/// The script that runs the buildpacks inside the dyno, and those that it uses.
const SCRIPTS: [(&str, &str); 3] = [
    ("drive.sh", include_str!("drive.sh")),
    ("encodings.sh", include_str!("encodings.sh")),
    ("same.sh", include_str!("same.sh")),
];

/// The directories of a build, below a common one, and the app's cache. Both are on disks of a fixed size, if the
/// machine supports that.
#[derive(Clone)]
pub(crate) struct Workspace {
    root: PathBuf,
    slug: PathBuf,
    uid: u32,
    /// The directory that is mounted as the cache.
    cache: PathBuf,
    disks: Option<[Lent; 2]>,
}

impl Workspace {
    /// The workspace of this build, with the cache in `kept` between builds. Creates nothing yet.
    pub(crate) fn new(config: &Config, build: BuildId, uid: u32, kept: &Path) -> Workspace {
        let name = build.get().simple();
        let root = config.tmp.join(format!("build-{name}"));
        let cache = config.tmp.join(format!("cache-{name}"));
        let disk = |image: PathBuf, at: &Path| Lent {
            image,
            at: at.to_owned(),
            size: config.limits.disk,
            templates: config.tmp.clone(),
        };
        let disks = disks::missing(&config.tmp)
            .is_none()
            .then(|| [disk(config.tmp.join(format!("build-{name}.img")), &root), disk(kept.join(CACHE_IMAGE), &cache)]);
        Workspace {
            cache: if disks.is_some() { cache.join("cache") } else { kept.to_owned() },
            disks,
            root,
            slug: config.tmp.join(format!("slug-{name}.tar.zst")),
            uid,
        }
    }

    /// The copy of the source, which becomes the slug.
    pub(crate) fn source(&self) -> PathBuf {
        self.root.join("source")
    }

    /// The slug's file.
    pub(crate) fn slug(&self) -> &Path {
        &self.slug
    }

    /// A result file of the driver script, if it is a regular file.
    pub(crate) fn result(&self, name: &str) -> io::Result<Option<String>> {
        Dir::open(&self.root.join("out"))?.text(Path::new(name), 64 << 10)
    }

    /// Mounts the disks, if supported. After an interrupted build, the cache is empty.
    pub(crate) fn open(&self, request: &Request) -> io::Result<()> {
        fs::create_dir_all(&request.cache)?;
        let Some([room, cache]) = &self.disks else { return Ok(()) };
        disks::must_have_space(&request.cache, 0)?;
        room.lend()?;
        // Leftovers of versions without disks for caches.
        for entry in fs::read_dir(&request.cache)? {
            let path = entry?.path();
            if !path.starts_with(&cache.image) {
                trees::remove(&path)?;
            }
        }
        cache.lend()
    }

    /// Flushes the disks, so that what is read is what was built.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.disks.as_ref().map_or(Ok(()), |[room, _]| room.sync())
    }

    /// A message for each full disk.
    pub(crate) fn full(&self) -> Vec<String> {
        let names = ["The source and build output", "The build cache"];
        let full = self.disks.iter().flatten().zip(names).filter_map(|(disk, name)| Some((name, disk.full()?)));
        full.map(|(name, (megabytes, files))| {
            format!(
                "Disk full: {name} used up {megabytes} MB or {files} files. Make the build smaller, or ask the operator to raise the limit."
            )
        })
        .collect()
    }

    /// Unmounts the disks, keeping the cache, and removes everything except the slug. Does nothing if there are none.
    pub(crate) fn clear(&self) -> io::Result<()> {
        if let Some([room, cache]) = &self.disks {
            room.take_back(false)?;
            cache.take_back(true)?;
            trees::remove(&cache.at)?;
        }
        trees::remove(&self.root)
    }

    /// Removes the slug.
    pub(crate) fn clear_slug(&self) -> io::Result<()> {
        trees::remove(&self.slug)
    }

    /// Creates the directories, without the source.
    pub(crate) fn prepare(&self, request: &Request, packs: &[(String, Buildpack)]) -> io::Result<()> {
        fs::create_dir_all(&self.root)?;
        fs::set_permissions(&self.root, Permissions::from_mode(0o700))?;
        for name in ["out", "packs", "env", "builder"] {
            files::make_private(&self.root.join(name), self.uid)?;
        }
        self.open_cache()?;
        self.write_env(&request.env)?;
        let git = "[safe]\n\tdirectory = *\n[core]\n\thooksPath = /dev/null\n[advice]\n\tdetachedHead = false\n";
        let mut list = String::new();
        for (n, (name, pack)) in packs.iter().enumerate() {
            let (kind, url, reference) = match pack {
                Buildpack::BuiltIn(built_in) => {
                    built_in.write(&self.root.join(format!("packs/{n}")), self.uid)?;
                    ("built-in", String::new(), "")
                }
                Buildpack::Git { url, reference } => ("git", url.clone(), reference.as_str()),
                Buildpack::Archive { url } => ("archive", url.clone(), ""),
                Buildpack::Local { reference, .. } => ("local", format!("{LOCAL_PACKS}/{n}"), reference.as_str()),
            };
            // The separator is not white space, so that empty fields are preserved.
            list.push_str(&format!("{n}|{kind}|{}|{reference}|{url}\n", label(name).replace('|', "")));
        }
        for (name, text) in SCRIPTS.into_iter().chain([("gitconfig", git), ("list", list.as_str())]) {
            let path = self.root.join("builder").join(name);
            fs::write(&path, text)?;
            files::own(&path, self.uid)?;
        }
        Ok(())
    }

    /// Changes the owner of a cache of another user, without following links: in earlier versions, apps had other
    /// users. Nothing else writes to it, because the builds of an app run one at a time.
    fn open_cache(&self) -> io::Result<()> {
        let cache = &self.cache;
        let filled_by = cache.symlink_metadata().map(|found| found.uid());
        if filled_by.is_ok_and(|uid| uid != self.uid) {
            let owner = format!("{0}:{0}", self.uid);
            let given = Command::new("chown").args(["-R", "-h", "-P", "--", &owner]).arg(cache).status()?;
            if !given.success() {
                return Err(io::Error::other("could not change the owner of the build cache"));
            }
        }
        files::make_private(cache, self.uid)
    }

    /// One file per config var. Invalid file names are rejected as keys.
    fn write_env(&self, env: &BTreeMap<String, String>) -> io::Result<()> {
        for (key, value) in env {
            if key.is_empty() || key.contains('/') || key.starts_with('.') || key.contains('\0') {
                continue;
            }
            let path = self.root.join("env").join(key);
            let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o400).open(&path)?;
            file.write_all(value.as_bytes())?;
            files::own(&path, self.uid)?;
        }
        Ok(())
    }

    /// The folder of the files that the driver script reads, which a build cannot change.
    pub(crate) fn builder(&self) -> PathBuf {
        self.root.join("builder")
    }

    /// The mounts of the dyno, which sees the folder `shared` of runtimes.
    pub(crate) fn mounts(
        &self,
        packs: &[(String, Buildpack)],
        env: &BTreeMap<String, String>,
        shared: Option<&Path>,
    ) -> Mounts {
        let bind = |from: PathBuf, to: String, writable| Bind { from, to: to.into(), writable };
        let mut binds = vec![
            bind(self.source(), BUILD_DIR.into(), true),
            bind(self.cache.clone(), CACHE_DIR.into(), true),
            bind(self.root.join("packs"), PACKS.into(), true),
            bind(self.root.join("out"), OUT.into(), true),
            bind(self.root.join("env"), ENV_DIR.into(), false),
            bind(self.builder(), BUILDER.into(), false),
        ];
        binds.extend(shared.map(|shared| bind(shared.to_owned(), runtimes::AT.into(), false)));
        for (n, (_, pack)) in packs.iter().enumerate() {
            if let Buildpack::Local { path, .. } = pack {
                binds.push(bind(path.clone(), format!("{LOCAL_PACKS}/{n}"), false));
            }
        }
        for path in authorities_to_bind(env) {
            // Configured by the operator, so links are followed.
            let from = path.canonicalize().unwrap_or_else(|_| path.clone());
            binds.push(bind(from, path.display().to_string(), false));
        }
        Mounts { artifact: Artifact::Empty, binds }
    }
}

/// The command of the dyno. With `detect`, only the first buildpack that detects the app is used.
pub(crate) fn command(detect: bool) -> String {
    let mode = if detect { "detect" } else { "given" };
    format!("exec bash {BUILDER}/drive.sh {mode} {BUILD_DIR} {CACHE_DIR} {ENV_DIR} {PACKS} {OUT} {BUILDER}")
}

/// The build of a file or directory with this name, next to the workspaces.
pub(crate) fn of_build(name: &str) -> Option<BuildId> {
    let stem = name.split('.').next()?;
    let id = ["build-", "cache-", "slug-"].iter().find_map(|kind| stem.strip_prefix(kind))?;
    // Uploads have other names, and do not belong to builds.
    (id.len() == 32).then(|| id.parse().ok()).flatten()
}

/// The candidate buildpacks, with their display names. The error is a message for the user.
pub(crate) fn select_buildpacks(config: &Config, request: &Request) -> Result<Vec<(String, Buildpack)>, String> {
    if request.buildpacks.is_empty() {
        let all = BuiltIn::ALL.map(|b| (b.name().to_owned(), Buildpack::BuiltIn(b)));
        return Ok(all.into());
    }
    let mut packs = Vec::new();
    for name in &request.buildpacks {
        let pack = match Buildpack::parse(name)? {
            Buildpack::Local { path, reference } => {
                Buildpack::Local { path: readable(config, &path, request)?, reference }
            }
            other => other,
        };
        packs.push((name.clone(), pack));
    }
    Ok(packs)
}

/// A directory on this host can be used if the operator allows it, or, by an administrator, if it is world-readable:
/// the platform runs as root, but its users must not get root's access, and files for every user of the machine are not
/// meant for every tenant.
fn readable(config: &Config, path: &Path, request: &Request) -> Result<PathBuf, String> {
    let refused = || {
        format!(
            "The buildpack file://{} does not exist or is not readable by all users of this machine. Check the path, and run chmod -R a+rX on it and the directories above it.",
            path.display()
        )
    };
    let not_theirs = || {
        format!(
            "The buildpack file://{} is in a folder of the platform's machine, which only administrators can use. Use the https:// URL of a git repository.",
            path.display()
        )
    };
    // The message does not reveal to other users whether it exists.
    let real = path.canonicalize().map_err(|_| if request.may_use_host { refused() } else { not_theirs() })?;
    if config.local_buildpacks.iter().any(|root| real.starts_with(root)) {
        return Ok(real);
    }
    if !request.may_use_host {
        return Err(not_theirs());
    }
    let check = r#"cd -- "$1" && { test -r HEAD || test -r .git/HEAD || test -r bin/compile; }"#;
    let seen = Command::new("/bin/sh")
        .args(["-c", check, "sh"])
        .arg(&real)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .uid(request.uid)
        .gid(request.uid)
        .status();
    if seen.is_ok_and(|status| status.success()) { Ok(real) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_of_builds_are_recognized_by_name() {
        let id = BuildId::now_v7();
        for name in ["build-ID", "build-ID.img", "build-ID.open", "cache-ID", "slug-ID.tar.zst"] {
            assert_eq!(of_build(&name.replace("ID", &id.get().simple().to_string())), Some(id), "{name}");
        }
        for name in [format!("slug-{id}-{id}"), format!("source-{id}"), ".disk-1-1".into(), "build-01.img".into()] {
            assert_eq!(of_build(&name), None, "{name}");
        }
    }
}
