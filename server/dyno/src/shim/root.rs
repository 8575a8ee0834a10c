//! The file system that a dyno sees: an empty root, and on it only what a stack needs.
//!
//! /usr and what belongs to it come from this machine, read-only; /etc is a selection; /app and
//! /tmp are the dyno's own, on disk in its state directory; /proc is its own; /home, /root, /opt,
//! /sys and the contents of /run and /var do not exist.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Component, Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::{Sentence, doing};
use crate::state::StateDir;
use crate::{AppDir, Bind, Mounts, network};

/// The stack, as it is on the machine; symbolic links stay links.
pub const STACK: [&str; 7] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// What of /etc is shown, where it exists and everybody may read it; `*` stands for any ending.
const ETC: [&str; 41] = [
    "ImageMagick*",
    "alternatives",
    "bash.bashrc",
    "bindresvport.blacklist",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "default/locale",
    "ethertypes",
    "fonts",
    "gai.conf",
    "ghostscript",
    "host.conf",
    "java*",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "lsb-release",
    "magic",
    "magic.mime",
    "mailcap",
    "maven",
    "mime.types",
    "networks",
    "nsswitch.conf",
    "os-release",
    "perl",
    "php",
    "pki",
    "protocols",
    "python*",
    "rpc",
    "services",
    "shells",
    "ssl",
    "terminfo",
    "timezone",
    "xml",
];

/// Larger files of /etc are mounted, smaller ones copied.
const COPIED_BYTES: u64 = 1 << 20;

const PROC_READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];
const PROC_EMPTY_FILES: [&str; 8] =
    ["config.gz", "kcore", "keys", "kmsg", "latency_stats", "sched_debug", "timer_list", "timer_stats"];
const PROC_EMPTY_DIRS: [&str; 4] = ["acpi", "asound", "driver", "scsi"];

/// What is to be made, and where.
pub(super) struct Root {
    point: PathBuf,
    disk: PathBuf,
    mounts: Mounts,
    uid: u32,
    files: Vec<(&'static str, String)>,
}

impl Root {
    /// Prepares the directories on disk.
    pub fn new(
        state: &StateDir,
        mounts: Mounts,
        uid: u32,
        address: Ipv4Addr,
        hostname: &str,
    ) -> Result<Root, Sentence> {
        let root = Root {
            point: state.path.join("root"),
            disk: state.path.join("disk"),
            mounts,
            uid,
            files: files(uid, address, hostname),
        };
        root.make_disk().map_err(doing("make the dyno's directories on disk"))?;
        Ok(root)
    }

    fn make_disk(&self) -> io::Result<()> {
        fs::create_dir_all(&self.point)?;
        for (name, mode) in [("app", 0o755), ("work", 0o700), ("tmp", 0o1777)] {
            let dir = self.disk.join(name);
            fs::create_dir_all(&dir)?;
            fs::set_permissions(&dir, Permissions::from_mode(mode))?;
        }
        chown(self.disk.join("app"), Some(self.uid), Some(self.uid))
    }

    /// Makes it the root of this process, which must be PID 1 of namespaces of its own.
    pub fn enter(&self) -> Result<(), Sentence> {
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount_on("/", None, None, private, None).map_err(doing("part with the host's mounts"))?;
        let options = "mode=755,size=16m,nr_inodes=16k";
        self.tmpfs("", options).map_err(doing("mount the root"))?;
        for name in STACK {
            self.show(Path::new(name)).map_err(doing(format!("show /{name}")))?;
        }
        self.make_etc().map_err(doing("make /etc"))?;
        self.make_places().map_err(doing("make the directories of the root"))?;
        self.make_app()?;
        self.make_proc().map_err(doing("make /proc"))?;
        self.make_dev().map_err(doing("make /dev"))?;
        self.pivot()
    }

    fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.point.join(path)
    }

    fn tmpfs(&self, path: &str, options: &str) -> io::Result<()> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount_on(self.at(path), Some("tmpfs"), Some("tmpfs"), flags, Some(options))
    }

    /// Shows something of the host at its place, read-only: a link as a link, a small file as a
    /// copy. What is missing, or is not for everybody to read, is passed over.
    fn show(&self, path: &Path) -> io::Result<()> {
        let (host, target) = (Path::new("/").join(path), self.at(path));
        let found = match fs::symlink_metadata(&host) {
            Ok(found) => found,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e),
        };
        if found.is_symlink() {
            return symlink(fs::read_link(&host)?, target);
        }
        if found.mode() & 0o004 == 0 {
            return Ok(());
        }
        if found.is_file() && found.len() <= COPIED_BYTES {
            return fs::copy(&host, target).map(drop);
        }
        match found.is_dir() {
            true => fs::create_dir(&target)?,
            false => fs::write(&target, "")?,
        }
        bind(&host, &target, false)
    }

    fn make_etc(&self) -> io::Result<()> {
        fs::create_dir(self.at("etc"))?;
        fs::create_dir(self.at("etc/default"))?;
        let host: Vec<String> =
            fs::read_dir("/etc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        for pattern in ETC {
            match pattern.strip_suffix('*') {
                None => self.show(&Path::new("etc").join(pattern))?,
                Some(start) => {
                    for name in host.iter().filter(|name| name.starts_with(start)) {
                        self.show(&Path::new("etc").join(name))?;
                    }
                }
            }
        }
        symlink("/proc/self/mounts", self.at("etc/mtab"))?;
        for (name, text) in &self.files {
            fs::write(self.at("etc").join(name), text)?;
        }
        Ok(())
    }

    fn make_places(&self) -> io::Result<()> {
        for path in ["app", "dev", "proc", "run", "tmp", "var", "var/cache", "var/lib", "var/log"] {
            fs::create_dir(self.at(path))?;
        }
        symlink("/run", self.at("var/run"))?;
        symlink("/tmp", self.at("var/tmp"))?;
        bind(&self.disk.join("tmp"), &self.at("tmp"), true)
    }

    /// The slug with a layer of the dyno's own above it; without overlayfs (or on a disk that
    /// cannot carry the layer) a copy of the slug.
    fn make_app(&self) -> Result<(), Sentence> {
        let (app, layer) = (self.at("app"), self.disk.join("app"));
        let AppDir::Slug(slug) = &self.mounts.app else {
            return bind(&layer, &app, true).map_err(doing("mount /app"));
        };
        if !slug.is_dir() {
            return Err(format!("The slug is not at {}. Deploy again.", slug.display()));
        }
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            escaped(slug),
            escaped(&layer),
            escaped(&self.disk.join("work"))
        );
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        let overlay = mount_on(&app, Some("overlay"), Some("overlay"), flags, Some(&options));
        overlay.or_else(|e| {
            eprintln!("{} The slug is copied instead.", doing("mount an overlay")(e));
            copy_tree(slug, &layer).map_err(doing("copy the slug"))?;
            bind(&layer, &app, true).map_err(doing("mount /app"))
        })
    }

    fn make_proc(&self) -> io::Result<()> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount_on(self.at("proc"), Some("proc"), Some("proc"), flags, None)?;
        let existing = |name: &&str| self.at("proc").join(name).exists();
        for name in PROC_READ_ONLY.iter().filter(|name| existing(name)) {
            let path = self.at("proc").join(name);
            bind(&path, &path, false)?;
        }
        for name in PROC_EMPTY_FILES.iter().filter(|name| existing(name)) {
            let path = self.at("proc").join(name);
            mount_on(&path, Some("/dev/null"), None, MsFlags::MS_BIND, None)?;
        }
        for name in PROC_EMPTY_DIRS.iter().filter(|name| existing(name)) {
            self.tmpfs(&format!("proc/{name}"), "mode=555,size=0,nr_inodes=1")?;
        }
        Ok(())
    }

    fn make_dev(&self) -> io::Result<()> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        mount_on(self.at("dev"), Some("tmpfs"), Some("tmpfs"), flags, Some("mode=755,size=64k"))?;
        for name in ["full", "null", "random", "tty", "urandom", "zero"] {
            let path = self.at("dev").join(name);
            fs::write(&path, "")?;
            let host = Path::new("/dev").join(name);
            mount_on(&path, host.to_str(), None, MsFlags::MS_BIND, None)?;
        }
        for name in ["pts", "shm"] {
            fs::create_dir(self.at("dev").join(name))?;
        }
        let pts = "newinstance,ptmxmode=0666,mode=620";
        mount_on(self.at("dev/pts"), Some("devpts"), Some("devpts"), flags, Some(pts))?;
        self.tmpfs("dev/shm", "mode=1777,size=64m")?;
        for (link, target) in [
            ("fd", "/proc/self/fd"),
            ("ptmx", "pts/ptmx"),
            ("stderr", "/proc/self/fd/2"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
        ] {
            symlink(target, self.at("dev").join(link))?;
        }
        Ok(())
    }

    /// Changes over to the new root, adds the binds, and lets go of the host's root.
    ///
    /// Binds come after the change, because their places may lead through links of the slug, which
    /// must not be followed on the host's root.
    fn pivot(&self) -> Result<(), Sentence> {
        let sources = self.mounts.binds.iter().map(|bind| {
            let opened = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_CLOEXEC).open(&bind.from);
            opened.map_err(doing(format!("find {}", bind.from.display())))
        });
        let sources: Vec<File> = sources.collect::<Result<_, _>>()?;
        std::env::set_current_dir(&self.point).map_err(doing("enter the root"))?;
        nix::unistd::pivot_root(".", ".").map_err(|e| doing("change the root")(e.into()))?;
        for (bind, source) in self.mounts.binds.iter().zip(&sources) {
            self.add(bind, source).map_err(doing(format!("mount {} in the dyno", bind.to.display())))?;
        }
        umount2(".", MntFlags::MNT_DETACH).map_err(|e| doing("leave the old root")(e.into()))?;
        std::env::set_current_dir("/").map_err(doing("enter the root"))?;
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount_on("/", None, None, flags, None).map_err(doing("make the root read-only"))
    }

    fn add(&self, wanted: &Bind, source: &File) -> io::Result<()> {
        let absolute = wanted.to.is_absolute();
        if !absolute || wanted.to.components().any(|part| part == Component::ParentDir) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "the path must be absolute"));
        }
        let parent = wanted.to.parent().unwrap_or(Path::new("/"));
        self.make_dirs(parent)?;
        if !wanted.to.exists() {
            match source.metadata()?.is_dir() {
                true => self.make_dirs(&wanted.to)?,
                false => fs::write(&wanted.to, "")?,
            }
        }
        let source = format!("/proc/self/fd/{}", source.as_raw_fd());
        bind(Path::new(&source), &wanted.to, wanted.writable)
    }

    /// New directories in /app and /tmp are the app's.
    fn make_dirs(&self, path: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = path.ancestors().take_while(|dir| !dir.exists()).collect();
        for dir in missing.into_iter().rev() {
            DirBuilder::new().mode(0o755).create(dir)?;
            if dir.starts_with("/app") || dir.starts_with("/tmp") {
                lchown(dir, Some(self.uid), Some(self.uid))?;
            }
        }
        Ok(())
    }
}

/// The files of /etc that are the dyno's own.
fn files(uid: u32, address: Ipv4Addr, hostname: &str) -> Vec<(&'static str, String)> {
    vec![
        (
            "passwd",
            format!(
                "root:x:0:0:root:/:/usr/sbin/nologin\n\
                 wharf:x:{uid}:{uid}::/app:/bin/bash\n\
                 nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
            ),
        ),
        ("group", format!("root:x:0:\nwharf:x:{uid}:\nnogroup:x:65534:\n")),
        ("hostname", format!("{hostname}\n")),
        (
            "hosts",
            format!(
                "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n\
                 {address} {hostname}\n"
            ),
        ),
        ("resolv.conf", network::resolv_conf()),
    ]
}

/// In the options of an overlay, commas and colons part things.
fn escaped(path: &Path) -> String {
    let path = path.to_string_lossy();
    path.replace('\\', "\\\\").replace(',', "\\,").replace(':', "\\:")
}

/// Shows `from` at `to`, without set-user-id programs and devices, read-only unless `writable`.
pub fn bind(from: &Path, to: &Path, writable: bool) -> io::Result<()> {
    mount_on(to, from.to_str(), None, MsFlags::MS_BIND, None)?;
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    flags.set(MsFlags::MS_RDONLY, !writable);
    mount_on(to, None, None, flags, None)
}

/// Mounts; the arguments are those of mount(2), the target first.
pub fn mount_on(
    target: impl AsRef<Path>,
    source: Option<&str>,
    kind: Option<&str>,
    flags: MsFlags,
    options: Option<&str>,
) -> io::Result<()> {
    mount(source, target.as_ref(), kind, flags, options).map_err(io::Error::from)
}

/// Copies what is in `from` into `to` with owners and modes.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let found = entry.metadata()?;
        if found.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else if found.is_dir() {
            fs::create_dir(&target)?;
            copy_tree(&source, &target)?;
        } else {
            fs::copy(&source, &target)?;
        }
        lchown(&target, Some(found.uid()), Some(found.gid()))?;
        if !found.is_symlink() {
            fs::set_permissions(&target, found.permissions())?;
        }
    }
    Ok(())
}
