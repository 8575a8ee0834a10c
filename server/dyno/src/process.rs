//! The driver for Linux: starts shims, and reads their state directories.
//!
//! It has no state in memory, so a new driver on the same directory can replace the old one, and several can run
//! concurrently.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use api::ids::RunId;
use async_trait::async_trait;
use chrono::Utc;
use shim::TAKEN_OVER;
use shim::cgroups::Cgroups;
use shim::terminal::{message, socket_in};
use spool::{Cursor, Source};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncWriteExt as _, Interest};

use crate::order::{exec_order, order};
use crate::output::Spooled;
use crate::state::{self, StateDir};
use crate::{Attachment, Driver, Error, Exec, Exit, Handle, Host, Phase, Spec, Stats, Status, disks, network, program};

/// Time limit for a shim to start a command, or to exit when all processes inside are dead.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

/// Runs dynos as confined processes of this host, each under a shim of its own.
#[derive(Clone)]
pub struct ProcessDriver {
    dynos: PathBuf,
    host: Host,
    cgroups: Cgroups,
    program: PathBuf,
    has_disks: bool,
}

impl ProcessDriver {
    /// Prepares this host (directories, cgroups, forwarding and rules for the network) for dynos whose state is in
    /// `data`/dynos. An error names what the host lacks. `host` replaces earlier settings, also for running dynos.
    pub fn new(data: &Path, host: &Host) -> Result<Self, Error> {
        if !nix::unistd::geteuid().is_root() {
            return Err(Error::Host(
                "Running dynos requires root for namespaces, cgroups and users. Start the platform as root.".to_owned(),
            ));
        }
        let cgroups = Cgroups::of_dynos(&host.group)?;
        cgroups.prepare()?;
        if let Err(why) = cgroups.limit(&host.budget()?) {
            tracing::warn!("the total limit of dynos is missing or differs from the settings: {why}");
        }
        network::prepare(host)?;
        raise_open_files();
        let dynos = data.join("dynos");
        make_private(&dynos).map_err(Error::io(format!("create {}", dynos.display())))?;
        let dynos = dynos.canonicalize().map_err(Error::io("resolve the dynos' directory"))?;
        let has_disks = match disks::missing(&dynos) {
            None => true,
            Some(why) => {
                tracing::warn!("the disk usage of dynos is not limited: {why}");
                false
            }
        };
        let folder = data.join("shim");
        make_private(&folder).map_err(Error::io(format!("create {}", folder.display())))?;
        let program = program::install(&folder).map_err(Error::io("write the program of shims"))?;
        let program = program.canonicalize().map_err(Error::io("resolve the program of shims"))?;
        let driver = ProcessDriver { dynos, host: host.clone(), cgroups, program, has_disks };
        driver.sweep().map_err(Error::io("remove the remains of old dynos"))?;
        Ok(driver)
    }

    fn state(&self, id: RunId) -> StateDir {
        StateDir::new(self.dynos.join(id.to_string()))
    }

    /// Continues interrupted removals.
    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dynos)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if [GONE, disks::UNFINISHED].iter().any(|kind| name.starts_with(kind)) {
                discard(entry.path());
            }
        }
        Ok(())
    }

    fn start_now(&self, spec: &Spec) -> Result<Handle, Error> {
        let state = self.state(spec.id);
        state.make_dir().map_err(Error::io("create the dyno's directory"))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let lock = state.try_lock().map_err(Error::io("lock the dyno"))?;
            let handle = state.handle().map_err(Error::io("read the dyno's record"))?;
            let exited = state.exit().map_err(Error::io("read the dyno's exit"))?.is_some();
            match (lock, handle) {
                (_, Some(handle)) if exited => return Ok(handle),
                // Started earlier, and its shim has finished starting or has been lost.
                (_, Some(handle)) if !state.is_ordered() => return Ok(handle),
                (Some(lock), _) => return self.launch(&state, spec, lock),
                // Another driver is starting it.
                (None, _) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                (None, _) => {
                    return Err(Error::Host(format!("Dyno {} did not finish starting in time.", spec.name)));
                }
            }
        }
    }

    fn launch(&self, state: &StateDir, spec: &Spec, lock: File) -> Result<Handle, Error> {
        if self.has_disks {
            // The image of an earlier attempt may still be mounted, so it is removed, not overwritten.
            let _ = fs::remove_file(state.image());
            disks::make(&self.dynos, &state.image(), spec.limits.disk).map_err(Error::io("create the dyno's disk"))?;
        }
        state.create(spec, &order(spec, &self.host)?, Utc::now()).map_err(Error::io("write the dyno's record"))?;
        let log = OpenOptions::new().create(true).append(true).open(state.log()).map_err(Error::io("open shim.log"))?;
        let mut child = Command::new(&self.program)
            .arg0("wharfd")
            .arg("dyno")
            .arg(state.path())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(lock))
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log))
            .spawn()
            .map_err(|e| self.not_started(e))?;
        let line = child.stdout.take().expect("its stdout is piped");
        // The child forks and exits; the grandchild is the shim.
        child.wait().map_err(Error::io("wait for the shim to detach"))?;
        let taken_over = read_answer(line);
        let exited = state.exit().map_err(Error::io("read the dyno's exit"))?.is_some();
        if !taken_over && !exited {
            let log = fs::read_to_string(state.log()).unwrap_or_default();
            let last = log.lines().last().unwrap_or("It did not log anything.").to_owned();
            return Err(Error::Host(format!("The shim of {} did not start. {last}", spec.name)));
        }
        let handle = state.handle().map_err(Error::io("read the dyno's record"))?;
        handle.ok_or(Error::Unknown(spec.id))
    }

    fn not_started(&self, error: io::Error) -> Error {
        match error.kind() {
            ErrorKind::PermissionDenied => Error::Host(format!(
                "{} cannot be executed. The folder must be on a file system that is not mounted with `noexec`.",
                self.program.display()
            )),
            _ => Error::io("start a shim")(error),
        }
    }

    /// Connects to the terminal of a process, if it waits for that.
    fn attach_now(&self, id: RunId) -> Result<Option<std::os::unix::net::UnixStream>, Error> {
        let connected = File::open(self.state(id).path())
            .and_then(|dir| std::os::unix::net::UnixStream::connect(socket_in(&dir)))
            .and_then(|stream| stream.set_nonblocking(true).map(|()| stream));
        match connected {
            Ok(stream) => Ok(Some(stream)),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
            Err(e) => Err(Error::io("connect to the terminal of the dyno")(e)),
        }
    }

    /// Starts the supervisor of a further process. Returns the stream to it.
    fn exec_now(&self, id: RunId) -> Result<std::os::unix::net::UnixStream, Error> {
        let state = self.state(id);
        if !state.path().exists() || state.has_ended() {
            return Err(Error::Unknown(id));
        }
        let start = || {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            let log = OpenOptions::new().create(true).append(true).open(state.log())?;
            let mut child = Command::new(&self.program)
                .arg0("wharfd")
                .args(["dyno", "exec"])
                .env_clear()
                .current_dir("/")
                .stdin(Stdio::from(OwnedFd::from(theirs)))
                .stdout(Stdio::null())
                .stderr(Stdio::from(log))
                .spawn()?;
            // It detaches by forking, as a shim does, so that nobody has to wait for its end.
            child.wait()?;
            Ok::<_, io::Error>(ours)
        };
        start().map_err(Error::io("start a process in the dyno"))
    }

    fn remove_now(&self, id: RunId) -> Result<(), Error> {
        let state = self.state(id);
        if !state.path().exists() {
            return self.cgroups.remove(id).map_err(Error::io("remove the dyno's cgroups"));
        }
        // While the lock is held, nobody can start it again during the removal.
        let _lock = self.kill(&state, id).map_err(Error::io("end the dyno"))?;
        self.cgroups.remove(id).map_err(Error::io("remove the dyno's cgroups"))?;
        if let Some(lease) = state.lease().map_err(Error::io("read the dyno's address"))? {
            shim::network::release(&lease, &state).map_err(Error::io("release the dyno's address"))?;
        }
        let gone = self.dynos.join(format!("{GONE}{id}"));
        fs::rename(state.path(), &gone).map_err(Error::io("remove the dyno's directory"))?;
        discard(gone);
        Ok(())
    }

    /// Kills the shim, which kills everything inside, and waits for its exit.
    fn kill(&self, state: &StateDir, id: RunId) -> io::Result<File> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shim = state.pid().and_then(open_pidfd);
            if let Some(lock) = state.try_lock()? {
                return Ok(lock);
            }
            // The lock was held, so the pid was still the shim's when the descriptor was opened.
            if let Some(shim) = shim {
                send(&shim, libc::SIGKILL);
            }
            self.cgroups.signal(id, libc::SIGKILL)?;
            if Instant::now() > deadline {
                return Err(io::Error::new(ErrorKind::TimedOut, "its shim does not exit"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn list_now(&self) -> io::Result<Vec<Status>> {
        let mut found = Vec::new();
        for state in state::list(&self.dynos)? {
            found.extend(tolerate_removal(state.status(Utc::now()))?);
        }
        found.sort_by_key(|status| status.handle.started_at);
        Ok(found)
    }

    fn status_now(&self, id: RunId) -> Result<Option<Status>, Error> {
        let status = tolerate_removal(self.state(id).status(Utc::now()));
        status.map_err(Error::io("read the dyno's state"))
    }

    /// Runs a function that accesses the disk on a blocking thread.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ProcessDriver) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let driver = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&driver)).await;
        done.map_err(|e| Error::io("finish")(io::Error::other(e)))?
    }
}

/// The name of a removed dyno's directory until it is deleted.
const GONE: &str = ".gone-";

#[async_trait]
impl Driver for ProcessDriver {
    async fn start(&self, spec: &Spec) -> Result<Handle, Error> {
        let spec = spec.clone();
        self.apart(move |driver| driver.start_now(&spec)).await
    }

    async fn status(&self, id: RunId) -> Result<Option<Status>, Error> {
        self.apart(move |driver| driver.status_now(id)).await
    }

    async fn list(&self) -> Result<Vec<Status>, Error> {
        self.apart(|driver| driver.list_now().map_err(Error::io("list the dynos"))).await
    }

    async fn signal(&self, id: RunId, signal: i32) -> Result<(), Error> {
        self.apart(move |driver| {
            if !driver.state(id).path().exists() {
                return Err(Error::Unknown(id));
            }
            if signal == libc::SIGTERM {
                // On a full disk it cannot be recorded, and must be stopped all the same.
                let _ = driver.state(id).note_stopping();
            }
            let sent = driver.cgroups.signal(id, signal);
            sent.map_err(Error::io("send a signal to the dyno"))
        })
        .await
    }

    async fn remove(&self, id: RunId) -> Result<(), Error> {
        self.apart(move |driver| driver.remove_now(id)).await
    }

    async fn stats(&self, id: RunId) -> Result<Option<Stats>, Error> {
        self.apart(move |driver| Ok(driver.cgroups.stats(id))).await
    }

    fn output(&self, id: RunId, from: Cursor) -> Box<dyn Source> {
        let state = self.state(id);
        Box::new(Spooled::new(&state.spool(), from, move || state.has_ended()))
    }

    async fn attach(&self, id: RunId) -> Result<Option<Attachment>, Error> {
        let Some(stream) = self.apart(move |driver| driver.attach_now(id)).await? else { return Ok(None) };
        let stream = tokio::net::UnixStream::from_std(stream).map_err(Error::io("use the terminal of the dyno"))?;
        Ok(Some(Attachment::new(stream)))
    }

    async fn exec(&self, id: RunId, exec: &Exec) -> Result<Attachment, Error> {
        let order = exec_order(id, exec, &self.host)?;
        let stream = self.apart(move |driver| driver.exec_now(id)).await?;
        let start = async {
            let mut stream = tokio::net::UnixStream::from_std(stream)?;
            stream.write_all(&message(0, &serde_json::to_vec(&order)?)).await?;
            Ok::<_, io::Error>(stream)
        };
        start.await.map(Attachment::new).map_err(Error::io("start a process in the dyno"))
    }

    async fn wait(&self, id: RunId) -> Result<Exit, Error> {
        let state = self.state(id);
        loop {
            // The descriptor is opened before the check: if the dyno still runs then, the descriptor is its shim's.
            let shim = state.pid().and_then(open_pidfd);
            match self.status(id).await?.map(|status| status.phase) {
                None => return Err(Error::Unknown(id)),
                Some(Phase::Exited(exit)) => return Ok(exit),
                Some(Phase::Running | Phase::Starting) => {}
            }
            match shim {
                Some(shim) => until_ended(shim).await.map_err(Error::io("wait for the shim"))?,
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

async fn until_ended(shim: OwnedFd) -> io::Result<()> {
    // SAFETY: the registered value owns the descriptor, and nothing else closes it.
    let registered = unsafe { AsyncFd::register_with_interest(shim, Interest::READABLE) };
    registered.map_err(io::Error::from)?.readable().await.map(drop)
}

/// Reads the shim's message, with a time limit.
fn read_answer(mut line: impl Read + AsRawFd) -> bool {
    let mut polled = libc::pollfd { fd: line.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the array has one entry.
    let ready = unsafe { libc::poll(&mut polled, 1, PATIENCE.as_millis() as i32) };
    let mut words = [0; TAKEN_OVER.len()];
    ready > 0 && line.read_exact(&mut words).is_ok() && words == TAKEN_OVER
}

fn open_pidfd(pid: i32) -> Option<OwnedFd> {
    // SAFETY: plain system call; a returned descriptor is new and owned by nobody else.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32;
        (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))
    }
}

fn send(process: &OwnedFd, signal: i32) {
    // SAFETY: plain system call. It does not matter if the process has already exited.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, 0, 0) };
}

/// A dyno that is removed concurrently does not exist.
fn tolerate_removal(status: io::Result<Option<Status>>) -> io::Result<Option<Status>> {
    match status {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        status => status,
    }
}

/// Deletes the files of a dyno, possibly millions, in the background. Interrupted deletions continue at the next start.
fn discard(gone: PathBuf) {
    let remove = move || {
        if let Err(e) = trees::remove(&gone) {
            tracing::warn!(path = %gone.display(), "cannot remove the files of a dyno: {e}");
        }
    };
    if let Err(e) = std::thread::Builder::new().name("discard".into()).spawn(remove) {
        tracing::warn!("cannot remove the files of a dyno now: {e}");
    }
}

/// Raises the machine's limit on open files, as systemd does: it also applies to the database, and dynos are limited by
/// memory, which open files count towards. Failures are ignored.
fn raise_open_files() {
    let _ = fs::write("/proc/sys/fs/file-max", i64::MAX.to_string());
}

fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
