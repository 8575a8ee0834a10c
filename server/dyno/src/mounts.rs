//! What a dyno sees: a file system made for it out of pieces of the host's.
//!
//! Mounts are taken as trees by descriptor, made safe, and only then attached. Those that a user
//! has a say in are attached after the change of root, when a symbolic link cannot lead out.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::cgroup::Cgroup;
use crate::state::StateDir;
use crate::{AppDir, Spec, etc};

/// As in `linux/mount.h`.
const RDONLY: u64 = 1;
const NOSUID: u64 = 2;
const NODEV: u64 = 4;
const NOEXEC: u64 = 8;
const OPEN_TREE_CLONE: libc::c_uint = 1;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;

/// `struct mount_attr`.
#[repr(C)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// A copy of a part of the host's tree that is mounted nowhere yet.
struct Tree {
    fd: OwnedFd,
    directory: bool,
}

impl Tree {
    /// Takes what is at `from`, with the mounts below it.
    fn take(from: &Path, attributes: u64) -> anyhow::Result<Tree> {
        let directory = fs::metadata(from).with_context(|| format!("find {}", from.display()))?.is_dir();
        let path = c_path(from)?;
        let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as libc::c_uint | libc::AT_RECURSIVE as libc::c_uint;
        // SAFETY: the path lives until the call returns; the descriptor that comes back is ours.
        let fd = unsafe {
            match libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) {
                -1 => return Err(io::Error::last_os_error()).with_context(|| format!("take {}", from.display())),
                fd => OwnedFd::from_raw_fd(fd as i32),
            }
        };
        restrict(fd.as_raw_fd(), Path::new(""), attributes, true)?;
        Ok(Tree { fd, directory })
    }

    /// Mounts it at `to`, which is made when it is missing.
    fn attach(&self, to: &Path) -> anyhow::Result<()> {
        if self.directory {
            fs::create_dir_all(to).with_context(|| format!("make the mount point {}", to.display()))?;
        } else if !to.exists() {
            fs::create_dir_all(to.parent().unwrap_or(Path::new("/")))
                .and_then(|()| fs::File::create(to))
                .with_context(|| format!("make the mount point {}", to.display()))?;
        }
        let path = c_path(to)?;
        // SAFETY: paths and descriptor live until the call returns.
        let result = unsafe {
            let fd = self.fd.as_raw_fd();
            libc::syscall(libc::SYS_move_mount, fd, c"".as_ptr(), libc::AT_FDCWD, path.as_ptr(), MOVE_MOUNT_F_EMPTY_PATH)
        };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()).with_context(|| format!("mount {}", to.display())),
        }
    }
}

fn c_path(path: &Path) -> anyhow::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).context("use a path with a NUL")
}

/// Adds attributes to a mount, given by descriptor or path.
fn restrict(fd: i32, path: &Path, attributes: u64, below_too: bool) -> anyhow::Result<()> {
    let mut flags = if path.as_os_str().is_empty() { libc::AT_EMPTY_PATH } else { 0 };
    if below_too {
        flags |= libc::AT_RECURSIVE;
    }
    let change = Attributes { set: attributes, clear: 0, propagation: 0, user_namespace: 0 };
    let path = c_path(path)?;
    // SAFETY: the structure has the layout that the kernel expects, and all live long enough.
    let result =
        unsafe { libc::syscall(libc::SYS_mount_setattr, fd, path.as_ptr(), flags, &raw const change, size_of::<Attributes>()) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()).context("restrict a mount (Linux 5.12 or newer is needed)"),
    }
}

/// Makes the dyno's file system the root of this process, which has a mount namespace of its own.
pub(crate) fn enter(spec: &Spec, state: &StateDir, cgroup: &Cgroup) -> anyhow::Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("leave the host's mounts")?;
    let root = state.join("root");
    fs::create_dir_all(&root).context("make the root directory")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), &root, Some("tmpfs"), flags, Some("mode=755,size=4m")).context("mount the root")?;
    stack(&root)?;
    etc::write(&root.join("etc"), spec)?;
    kernel(&root)?;
    devices(&root)?;
    for (from, to) in cgroup.views() {
        Tree::take(&from, RDONLY | NOSUID | NODEV | NOEXEC)?.attach(&inside(&root, &to))?;
    }
    app(&root, spec, state)?;
    let mut binds = Vec::new();
    for bind in &spec.root.binds {
        let read_only = if bind.writable { 0 } else { RDONLY };
        binds.push((Tree::take(&bind.from, NOSUID | NODEV | read_only)?, &bind.to));
    }
    pivot(&root)?;
    for (tree, to) in binds {
        tree.attach(to)?;
    }
    restrict(libc::AT_FDCWD, Path::new("/"), RDONLY, false)
}

fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The programs of the host.
fn stack(root: &Path) -> anyhow::Result<()> {
    for name in ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        let from = Path::new("/").join(name);
        share(&from, &root.join(name))?;
    }
    for dir in ["home", "run/lock", "var/lib", "var/log", "var/cache", "opt", "mnt", "srv"] {
        fs::create_dir_all(root.join(dir)).with_context(|| format!("make /{dir}"))?;
    }
    symlink("/tmp", root.join("var/tmp")).and_then(|()| symlink("/run", root.join("var/run"))).context("furnish /var")
}

/// Shows something of the host, read-only, if there is such a thing; a symbolic link is copied.
pub(crate) fn share(from: &Path, to: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(from) {
        Ok(meta) if meta.is_symlink() => {
            let target = fs::read_link(from).with_context(|| format!("read {}", from.display()))?;
            symlink(target, to).with_context(|| format!("link {}", to.display()))
        }
        Ok(_) => Tree::take(from, RDONLY | NOSUID | NODEV)?.attach(to),
        Err(_) => Ok(()),
    }
}

/// `/proc`, without what tells about the host or changes it.
fn kernel(root: &Path) -> anyhow::Result<()> {
    let proc = root.join("proc");
    fs::create_dir(&proc).context("make /proc")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &proc, Some("proc"), flags, None::<&str>).context("mount /proc")?;
    for name in ["sys", "sysrq-trigger", "irq", "bus", "fs", "driver", "acpi", "scsi"] {
        let path = proc.join(name);
        if path.exists() {
            Tree::take(&path, RDONLY | NOSUID | NODEV | NOEXEC)?.attach(&path)?;
        }
    }
    for name in ["kcore", "keys", "key-users", "timer_list", "sched_debug", "kmsg", "latency_stats", "config.gz"] {
        let path = proc.join(name);
        if path.exists() {
            Tree::take(Path::new("/dev/null"), RDONLY)?.attach(&path)?;
        }
    }
    Ok(())
}

/// `/dev`, with the devices that every program expects.
fn devices(root: &Path) -> anyhow::Result<()> {
    let dev = root.join("dev");
    let none = None::<&str>;
    fs::create_dir(&dev).context("make /dev")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), &dev, Some("tmpfs"), flags, Some("mode=755,size=64k")).context("mount /dev")?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let from = Path::new("/dev").join(name);
        if from.exists() {
            Tree::take(&from, NOSUID | NOEXEC)?.attach(&dev.join(name))?;
        }
    }
    for name in ["shm", "pts"] {
        fs::create_dir(dev.join(name)).context("furnish /dev")?;
    }
    let private = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), &dev.join("shm"), Some("tmpfs"), private, Some("mode=1777,size=64m")).context("mount /dev/shm")?;
    let options = Some("newinstance,ptmxmode=0666,mode=0620");
    mount(Some("devpts"), &dev.join("pts"), Some("devpts"), flags, options).context("mount /dev/pts")?;
    for (name, target) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, dev.join(name)).context("furnish /dev")?;
    }
    mount(none, &dev, none, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | flags, none).context("seal /dev")
}

/// `/app` and `/tmp`, which are on the host's disk and end with the dyno.
fn app(root: &Path, spec: &Spec, state: &StateDir) -> anyhow::Result<()> {
    let own = |name: &str, mode: u32| -> anyhow::Result<PathBuf> {
        let path = state.join(name);
        fs::create_dir_all(&path)
            .and_then(|()| chown(&path, Some(spec.uid), Some(spec.uid)))
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)))
            .with_context(|| format!("make {}", path.display()))?;
        Ok(path)
    };
    let app = root.join("app");
    match &spec.root.app {
        AppDir::Empty => Tree::take(&own("app", 0o755)?, NOSUID | NODEV)?.attach(&app)?,
        AppDir::Slug(slug) => {
            let (upper, work) = (own("upper", 0o755)?, state.join("work"));
            fs::create_dir_all(&work).and_then(|()| fs::create_dir(&app)).context("make the directories of /app")?;
            let options = format!("lowerdir={},upperdir={},workdir={}", escape(slug), escape(&upper), escape(&work));
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            mount(Some("overlay"), &app, Some("overlay"), flags, Some(options.as_str()))
                .with_context(|| format!("lay /app over the slug {}", slug.display()))?;
        }
    }
    let tmp = own("tmp", 0o1777)?;
    chown(&tmp, Some(0), Some(0)).context("make /tmp")?;
    Tree::take(&tmp, NOSUID | NODEV)?.attach(&root.join("tmp"))
}

/// The separators of overlay's options can be part of a path.
fn escape(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,")
}

fn pivot(root: &Path) -> anyhow::Result<()> {
    std::env::set_current_dir(root).context("go to the new root")?;
    nix::unistd::pivot_root(".", ".").context("change the root")?;
    umount2(".", MntFlags::MNT_DETACH).context("let go of the host's root")?;
    std::env::set_current_dir("/").context("go to the new root")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_escaped() {
        assert_eq!(escape(Path::new("/a:b,c\\d")), "/a\\:b\\,c\\\\d");
    }
}
