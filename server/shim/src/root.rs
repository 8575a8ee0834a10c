//! The file system of a dyno: an empty root with only what a stack needs.
//!
//! /usr and related directories come from this machine, read-only; /etc is a selection; /app and /tmp are the dyno's
//! own, on its own disk; /proc is its own; /home, /root, /opt, /sys and the contents of /run and /var do not exist.
//! What a tenant controls (the slug, /app, /tmp) is opened and mounted by descriptor, through no link: see [`places`].

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, umount2};

use crate::places::{self, SAFE, Tree, by_descriptor, mount_new, mount_on};
use crate::sentence::{Sentence, doing};
use crate::{Artifact, Bind, Mounts, StateDir, etc};

/// The stack's directories on the machine; symbolic links stay links.
pub const STACK: [&str; 7] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Larger files of /etc are mounted, smaller ones copied.
const COPIED_BYTES: u64 = 1 << 20;

const PROC_READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];
const PROC_EMPTY_FILES: [&str; 8] =
    ["config.gz", "kcore", "keys", "kmsg", "latency_stats", "sched_debug", "timer_list", "timer_stats"];
const PROC_EMPTY_DIRS: [&str; 4] = ["acpi", "asound", "driver", "scsi"];

/// Devices have to work.
const DEVICE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
/// Maximum number of pseudo-terminals.
const TERMINALS: u32 = 64;
const READ_ONLY: u64 = SAFE | libc::MOUNT_ATTR_RDONLY;

/// The parameters of the file system.
pub(crate) struct Root {
    point: PathBuf,
    /// The mount point of the disk; without one, a directory.
    disk: PathBuf,
    mounts: Mounts,
    uid: u32,
    files: Vec<(&'static str, String)>,
}

impl Root {
    /// Prepares the directories on the host.
    pub fn new(
        state: &StateDir,
        mounts: Mounts,
        uid: u32,
        address: Ipv4Addr,
        hostname: &str,
    ) -> Result<Root, Sentence> {
        let root = Root {
            point: state.path().join("root"),
            disk: state.disk(),
            mounts,
            uid,
            files: etc::files(uid, address, hostname),
        };
        for dir in [&root.point, &root.disk] {
            fs::create_dir_all(dir).map_err(doing("create the dyno's directories"))?;
        }
        Ok(root)
    }

    /// Sets it up as the root of this process, which must be PID 1 of its own namespaces. `mount` waits for the mount of
    /// the dyno's own disk, if it has one; until that is needed, the rest is set up.
    pub fn enter(&self, mount: impl FnOnce() -> Result<Option<OwnedFd>, Sentence>) -> Result<(), Sentence> {
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount_on("/", None, None, private, None).map_err(doing("detach from the host's mounts"))?;
        let new = self.make_top().map_err(doing("mount the root"))?;
        for name in STACK {
            self.show(&new, Path::new(name)).map_err(doing(format!("mount /{name}")))?;
        }
        self.make_etc(&new).map_err(doing("create /etc"))?;
        self.make_places().map_err(doing("create the directories of the root"))?;
        self.make_proc(&new).map_err(doing("create /proc"))?;
        self.make_dev(&new).map_err(doing("create /dev"))?;
        let disk = self.make_disk(mount()?).map_err(doing("create the dyno's disk"))?;
        self.make_tmp(&new, &disk).map_err(doing("mount /tmp"))?;
        self.make_app(&new, &disk)?;
        self.pivot()
    }

    /// The disk that /app and /tmp are on.
    fn make_disk(&self, mount: Option<OwnedFd>) -> io::Result<Tree> {
        if let Some(mount) = mount {
            places::put(&mount, &places::host(&self.disk)?)?;
        }
        for (name, mode) in [("app", 0o755), ("work", 0o700), ("tmp", 0o1777)] {
            let dir = self.disk.join(name);
            fs::create_dir_all(&dir)?;
            fs::set_permissions(&dir, Permissions::from_mode(mode))?;
        }
        chown(self.disk.join("app"), Some(self.uid), Some(self.uid))?;
        Tree::open(&self.disk)
    }

    fn make_top(&self) -> io::Result<Tree> {
        let point = places::host(&self.point)?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount_new("tmpfs", "tmpfs", &point, flags, Some("mode=755,size=16m,nr_inodes=16k"))?;
        Tree::open(&self.point)
    }

    fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.point.join(path)
    }

    /// Makes a path of the host visible, read-only: a link as a link, a small file as a copy. Missing and not
    /// world-readable ones are skipped.
    fn show(&self, new: &Tree, path: &Path) -> io::Result<()> {
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
        places::attach(&places::host(&host)?, &new.place(path)?, READ_ONLY)
    }

    fn make_etc(&self, new: &Tree) -> io::Result<()> {
        fs::create_dir(self.at("etc"))?;
        fs::create_dir(self.at("etc/default"))?;
        for path in etc::shown()? {
            self.show(new, &path)?;
        }
        symlink("/proc/self/mounts", self.at("etc/mtab"))?;
        for (name, text) in &self.files {
            new.write(&Path::new("etc").join(name), text.as_bytes())?;
        }
        Ok(())
    }

    fn make_places(&self) -> io::Result<()> {
        for path in ["app", "dev", "proc", "run", "tmp", "var", "var/cache", "var/lib", "var/log"] {
            fs::create_dir(self.at(path))?;
        }
        symlink("/run", self.at("var/run"))?;
        symlink("/tmp", self.at("var/tmp"))
    }

    fn make_tmp(&self, new: &Tree, disk: &Tree) -> io::Result<()> {
        places::attach(&disk.dir(Path::new("tmp"))?, &new.dir(Path::new("tmp"))?, SAFE)
    }

    /// The slug, with the dyno's own layer above it.
    fn make_app(&self, new: &Tree, disk: &Tree) -> Result<(), Sentence> {
        let app = new.dir(Path::new("app")).map_err(doing("open /app"))?;
        let layer = disk.dir(Path::new("app")).map_err(doing("open the dyno's writable directories"))?;
        let Artifact::Slug(path) = &self.mounts.artifact else {
            return places::attach(&layer, &app, SAFE).map_err(doing("mount /app"));
        };
        let slug = open_slug(path)?;
        let work = disk.dir(Path::new("work")).map_err(doing("open the dyno's writable directories"))?;
        let [lower, upper, work] = [&slug, &layer, &work].map(by_descriptor);
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount_new("overlay", "overlay", &app, flags, Some(&options))
            .map_err(doing("mount the dyno's writable layer over the slug"))
    }

    fn make_proc(&self, new: &Tree) -> io::Result<()> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount_new("proc", "proc", &new.dir(Path::new("proc"))?, flags, None)?;
        let existing = |name: &&str| self.at("proc").join(name).exists();
        let place = |name: &str| new.place(&Path::new("proc").join(name));
        for name in PROC_READ_ONLY.iter().filter(|name| existing(name)) {
            places::attach(&place(name)?, &place(name)?, READ_ONLY)?;
        }
        let null = places::host(Path::new("/dev/null"))?;
        for name in PROC_EMPTY_FILES.iter().filter(|name| existing(name)) {
            places::attach(&null, &place(name)?, 0)?;
        }
        for name in PROC_EMPTY_DIRS.iter().filter(|name| existing(name)) {
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            mount_new("tmpfs", "tmpfs", &place(name)?, flags, Some("mode=555,size=0,nr_inodes=1"))?;
        }
        Ok(())
    }

    fn make_dev(&self, new: &Tree) -> io::Result<()> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        let options = "mode=755,size=64k,nr_inodes=64";
        mount_new("tmpfs", "tmpfs", &new.dir(Path::new("dev"))?, flags, Some(options))?;
        for name in ["full", "null", "random", "tty", "urandom", "zero"] {
            fs::write(self.at("dev").join(name), "")?;
            let device = places::host(&Path::new("/dev").join(name))?;
            places::attach(&device, &new.place(&Path::new("dev").join(name))?, DEVICE)?;
        }
        for name in ["pts", "shm"] {
            fs::create_dir(self.at("dev").join(name))?;
        }
        // The number of terminals is limited for the whole machine, so each dyno gets a limit.
        let options = format!("newinstance,ptmxmode=0666,mode=620,max={TERMINALS}");
        mount_new("devpts", "devpts", &new.dir(Path::new("dev/pts"))?, flags, Some(&options))?;
        // Its contents count towards the memory of the dyno.
        let options = "mode=1777,size=64m,nr_inodes=16k";
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount_new("tmpfs", "tmpfs", &new.dir(Path::new("dev/shm"))?, flags, Some(options))?;
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

    /// Switches to the new root, adds the bind mounts, and detaches the host's root.
    fn pivot(&self) -> Result<(), Sentence> {
        let sources =
            self.mounts.binds.iter().map(|bind| {
                places::host(&bind.from).map_err(doing(format!("open {} to mount it", bind.from.display())))
            });
        let sources: Vec<OwnedFd> = sources.collect::<Result<_, _>>()?;
        std::env::set_current_dir(&self.point).map_err(doing("enter the root"))?;
        nix::unistd::pivot_root(".", ".").map_err(|e| doing("change the root")(e.into()))?;
        let new = Tree::open(Path::new("/")).map_err(doing("open the root"))?;
        for (bind, source) in self.mounts.binds.iter().zip(&sources) {
            self.add(&new, bind, source).map_err(doing(format!("mount {} in the dyno", bind.to.display())))?;
        }
        umount2(".", MntFlags::MNT_DETACH).map_err(|e| doing("leave the old root")(e.into()))?;
        std::env::set_current_dir("/").map_err(doing("enter the root"))?;
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount_on("/", None, None, flags, None).map_err(doing("make the root read-only"))
    }

    /// Bind-mounts a file or directory; a missing target is created. New directories in /app and /tmp belong to the
    /// app.
    fn add(&self, new: &Tree, wanted: &Bind, source: &OwnedFd) -> io::Result<()> {
        let outside = || io::Error::new(ErrorKind::InvalidInput, "the path must be absolute");
        let to = wanted.to.strip_prefix("/").map_err(|_| outside())?;
        let owner = (to.starts_with("app") || to.starts_with("tmp")).then_some(self.uid);
        let target = match new.place(to) {
            Err(e) if e.kind() == ErrorKind::NotFound => match places::is_dir(source)? {
                true => new.make_dir(to, owner)?,
                false => {
                    new.make_dir(to.parent().unwrap_or(Path::new("")), owner)?;
                    drop(new.write(to, b"")?);
                    new.place(to)?
                }
            },
            found => found?,
        };
        places::attach(source, &target, if wanted.writable { SAFE } else { READ_ONLY })
    }
}

/// Opens the slug, if it is a directory and its path contains no link.
fn open_slug(path: &Path) -> Result<OwnedFd, Sentence> {
    let is_dir = |slug: OwnedFd| places::is_dir(&slug).map(|is_dir| is_dir.then_some(slug));
    match places::host(path).and_then(is_dir) {
        Ok(Some(slug)) => Ok(slug),
        Err(e) if e.kind() != ErrorKind::NotFound => Err(doing(format!("open the slug {}", path.display()))(e)),
        _ => Err(format!("The slug is not at {}. Deploy again.", path.display())),
    }
}
