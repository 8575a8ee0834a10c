//! The files that a worker sees: this machine's programs, its mounts, and nothing else.
//!
//! An empty root, read-only when it is complete. Mount sources are opened without following any symbolic link, so that
//! a planted link leads nowhere.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use dyno::confine::{STACK, bind, mount_on};
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::{MntFlags, MsFlags, umount2};

use crate::sentence::{Sentence, doing};
use crate::{Network, Shown};

/// Where the new root is created: a directory that every machine has.
const POINT: &str = "/tmp";
const DEVICES: [&str; 4] = ["null", "random", "urandom", "zero"];
/// The visible files of /etc.
const ETC: [&str; 2] = ["ld.so.cache", "localtime"];
/// Further visible files of /etc for workers with network access.
const ETC_NETWORK: [&str; 8] =
    ["ca-certificates", "gai.conf", "host.conf", "hosts", "nsswitch.conf", "pki", "resolv.conf", "ssl"];

/// The parameters of the root.
pub(crate) struct Root<'a> {
    pub shows: &'a [Shown],
    pub network: Network,
}

impl Root<'_> {
    /// Sets it up as the root of this process, which must be PID 1 of its own namespaces.
    pub fn enter(&self) -> Result<(), Sentence> {
        // SAFETY: plain system call. The worker's user has to see what is created here.
        unsafe { libc::umask(0o022) };
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount_on("/", None, None, private, None).map_err(doing("detach from the host's mounts"))?;
        // Opened before anything is mounted over them.
        let sources =
            self.shows.iter().map(|shown| open(&shown.from).map_err(doing(format!("open {}", shown.from.display()))));
        let sources: Vec<File> = sources.collect::<Result<_, _>>()?;
        let options = Some("mode=755,size=1m,nr_inodes=1k");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount_on(POINT, Some("tmpfs"), Some("tmpfs"), flags, options).map_err(doing("mount the root"))?;
        for name in STACK {
            show(Path::new(name)).map_err(doing(format!("mount /{name}")))?;
        }
        self.make_etc().map_err(doing("create /etc"))?;
        make_dev().map_err(doing("create /dev"))?;
        for (shown, source) in self.shows.iter().zip(&sources) {
            add(shown, source).map_err(doing(format!("mount {}", shown.from.display())))?;
        }
        make_proc().map_err(doing("create /proc"))?;
        pivot()
    }

    fn make_etc(&self) -> io::Result<()> {
        fs::create_dir(at("etc"))?;
        fs::write(at("etc/passwd"), "root:x:0:0::/:/bin/false\n")?;
        let network: &[&str] = if self.network == Network::Host { &ETC_NETWORK } else { &[] };
        ETC.iter().chain(network).try_for_each(|name| {
            let (host, target) = (Path::new("/etc").join(name), at("etc").join(name));
            // Links are followed: only the administrator can create them.
            match host.canonicalize() {
                Ok(real) => make_place(&target, real.is_dir()).and_then(|()| bind(&real, &target, false)),
                Err(_) => Ok(()),
            }
        })
    }
}

fn at(path: impl AsRef<Path>) -> PathBuf {
    Path::new(POINT).join(path)
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    Ok(openat2(AT_FDCWD, path, how)?.into())
}

/// Mounts a directory of the stack at its path; a link stays a link.
fn show(name: &Path) -> io::Result<()> {
    let (host, target) = (Path::new("/").join(name), at(name));
    match fs::symlink_metadata(&host) {
        Ok(found) if found.is_symlink() => symlink(fs::read_link(&host)?, target),
        Ok(_) => fs::create_dir(&target).and_then(|()| bind(&host, &target, false)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

fn make_dev() -> io::Result<()> {
    fs::create_dir(at("dev"))?;
    for name in DEVICES {
        let target = at("dev").join(name);
        fs::write(&target, "")?;
        mount_on(&target, Path::new("/dev").join(name).to_str(), None, MsFlags::MS_BIND, None)?;
    }
    Ok(())
}

/// The last mounts before the switch: earlier ones need the host's root.
fn make_proc() -> io::Result<()> {
    fs::create_dir(at("proc"))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount_on(at("proc"), Some("proc"), Some("proc"), flags, None)
}

fn add(shown: &Shown, source: &File) -> io::Result<()> {
    let inside = shown.to.strip_prefix("/").map_err(io::Error::other)?;
    let target = at(inside);
    make_place(&target, source.metadata()?.is_dir())?;
    bind(Path::new(&format!("/proc/self/fd/{}", source.as_raw_fd())), &target, shown.writable)
}

fn make_place(target: &Path, is_dir: bool) -> io::Result<()> {
    if is_dir {
        return fs::create_dir_all(target);
    }
    fs::create_dir_all(target.parent().unwrap_or(Path::new(POINT)))?;
    fs::write(target, "")
}

fn pivot() -> Result<(), Sentence> {
    std::env::set_current_dir(POINT).map_err(doing("enter the root"))?;
    nix::unistd::pivot_root(".", ".").map_err(|e| doing("change the root")(e.into()))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(|e| doing("leave the old root")(e.into()))?;
    std::env::set_current_dir("/").map_err(doing("enter the root"))?;
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount_on("/", None, None, flags, None).map_err(doing("make the root read-only"))
}
