//! The driver of real processes. All it knows is on disk, so a new one knows as much.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use chrono::Utc;
use uuid::Uuid;

use crate::cgroup::Cgroup;
use crate::network::{Cable, Network};
use crate::state::{LOST, StateDir};
use crate::{Driver, Error, Exit, Handle, Phase, Spec, Stats, Status};

/// A shim that does not end although its processes are gone is killed after this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs dynos in namespaces and groups of the kernel, each under a shim of its own.
#[derive(Clone)]
pub struct ProcessDriver {
    dynos: PathBuf,
    network: Network,
    shim: PathBuf,
    /// One start at a time gets as far as the shim.
    starting: Arc<Mutex<()>>,
}

impl ProcessDriver {
    /// A driver for the dynos of this data directory. Prepares the host's network.
    pub fn new(data: &Path, network: Network) -> Result<ProcessDriver, Error> {
        if !nix::unistd::geteuid().is_root() {
            return Err(Error::Missing("Dynos can only be run by root. Start wharfd as root.".to_owned()));
        }
        network.prepare()?;
        let dynos = data.join("dynos");
        fs::create_dir_all(&dynos).with_context(|| format!("make {}", dynos.display()))?;
        let dynos = dynos.canonicalize().context("find the directory of dynos")?;
        Ok(ProcessDriver { dynos, network, shim: "/proc/self/exe".into(), starting: Arc::default() })
    }

    /// Runs shims by this program instead of by the one that runs now. It is called as
    /// `PROGRAM dyno STATE_DIR`, which has to get to [`crate::shim_main`].
    pub fn with_shim(mut self, program: impl Into<PathBuf>) -> ProcessDriver {
        self.shim = program.into();
        self
    }

    fn state(&self, id: Uuid) -> StateDir {
        StateDir::new(self.dynos.join(id.to_string()))
    }

    /// Runs something that waits for the kernel or a disk where waiting is allowed.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ProcessDriver) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let driver = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&driver)).await;
        Ok(done.context("wait for work on a dyno")??)
    }

    fn start_now(&self, spec: &Spec) -> anyhow::Result<Handle> {
        let state = self.state(spec.id);
        let (handle, lock) = {
            let _one = self.starting.lock().map_err(|_| anyhow!("an earlier start panicked"))?;
            if let Some(handle) = state.handle().context("look for the dyno")? {
                return Ok(handle);
            }
            // Left by a start that was cut short before it counted.
            clear(&state).context("remove what an earlier start left")?;
            self.prepare(spec, &state).inspect_err(|_| {
                let _ = clear(&state);
            })?
        };
        self.run_shim(&state, lock)?;
        Ok(handle)
    }

    /// Makes the directory. From the handle on there is a dyno; the lock says that it is alive.
    fn prepare(&self, spec: &Spec, state: &StateDir) -> anyhow::Result<(Handle, File)> {
        state.make().with_context(|| format!("make {}", state.path().display()))?;
        let lock = state.lock().context("lock the dyno")?.context("the dyno is being started already")?;
        let cable = self.network.lease(state.path())?;
        state.write("net.json", &cable).context("write the dyno's addresses")?;
        state.write_spec(spec).context("write the dyno's spec")?;
        fs::create_dir_all(state.spool()).context("make the dyno's spool")?;
        let handle = Handle {
            id: spec.id,
            name: spec.name.clone(),
            addr: spec.port.map(|port| SocketAddr::from((cable.dyno(), port))),
            started_at: Utc::now(),
            spool: state.spool(),
        };
        state.write_handle(&handle).context("write the dyno's handle")?;
        Ok((handle, lock))
    }

    /// Starts the shim, and waits until the dyno runs or has failed to.
    fn run_shim(&self, state: &StateDir, lock: File) -> anyhow::Result<()> {
        let log = File::create(state.join("shim.log")).context("make the shim's log")?;
        let mut command = Command::new(&self.shim);
        command.arg("dyno").arg(state.path()).current_dir("/").env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.stdin(lock).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().context("start the dyno's shim")?;
        // Our copy of the lock, so that only the shim's counts.
        drop(command);
        let status = child.wait().context("wait for the shim to detach")?;
        if let Some(mut ready) = child.stdout.take() {
            ready.read_to_end(&mut Vec::new()).context("wait for the dyno to start")?;
        }
        if !status.success() {
            let log = fs::read_to_string(state.join("shim.log")).unwrap_or_default();
            let error = Some(format!("The dyno could not be started: {}", log.trim()));
            state.write_exit(&Exit { at: Utc::now(), code: None, signal: None, oom: false, error })?;
        }
        Ok(())
    }

    fn status_now(&self, id: Uuid) -> anyhow::Result<Option<Status>> {
        let state = self.state(id);
        let Some(handle) = state.handle().context("read a dyno's handle")? else { return Ok(None) };
        let phase = match ended(&state, id)? {
            Some(exit) => Phase::Exited(exit),
            None if state.join("init.pid").exists() => Phase::Running,
            None => Phase::Starting,
        };
        Ok(Some(Status { handle, phase }))
    }

    fn list_now(&self) -> anyhow::Result<Vec<Status>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.dynos).context("list the dynos")? {
            let name = entry.context("list the dynos")?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            match self.status_now(id) {
                Ok(status) => all.extend(status),
                Err(e) => tracing::warn!(dyno.id = %id, error = format!("{e:#}"), "cannot read a dyno's state"),
            }
        }
        Ok(all)
    }
}

/// How the dyno ended, if it did. Notices when its shim is gone, and clears up after it.
fn ended(state: &StateDir, id: Uuid) -> anyhow::Result<Option<Exit>> {
    if let Some(exit) = state.exit().context("read how a dyno ended")? {
        return Ok(Some(exit));
    }
    let Some(_lock) = state.lock().context("look for a dyno's shim")? else { return Ok(None) };
    if let Some(exit) = state.exit().context("read how a dyno ended")? {
        return Ok(Some(exit));
    }
    let cgroup = Cgroup::new(&id.to_string());
    let oom = cgroup.oom_kills() > 0;
    let exit = Exit { at: Utc::now(), code: None, signal: None, oom, error: Some(LOST.to_owned()) };
    dismantle(state, &cgroup)?;
    state.forget_spec();
    state.write_exit(&exit).context("write that a dyno was lost")?;
    Ok(Some(exit))
}

/// Ends the processes of a dyno without shim, and takes away what the kernel keeps for it.
fn dismantle(state: &StateDir, cgroup: &Cgroup) -> anyhow::Result<()> {
    if !cgroup.kill_all(PATIENCE) {
        return Err(anyhow!("the processes {:?} of a dyno cannot be killed", cgroup.pids()));
    }
    cgroup.remove().context("remove a dyno's cgroup")?;
    if let Some(cable) = state.read::<Cable>("net.json").context("read a dyno's addresses")? {
        cable.remove().context("remove a dyno's network")?;
    }
    Ok(())
}

/// Removes a dyno, alive or not.
fn clear(state: &StateDir) -> anyhow::Result<()> {
    if !state.path().exists() {
        return Ok(());
    }
    let id = state.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let cgroup = Cgroup::new(&id);
    let deadline = Instant::now() + PATIENCE;
    // The shim ends by itself when its processes do. One that still makes them is met again.
    let _lock = loop {
        cgroup.kill_all(PATIENCE);
        if let Some(lock) = state.lock().context("wait for a dyno's shim")? {
            break lock;
        }
        if Instant::now() > deadline
            && let Some(pid) = state.pid("shim.pid")
        {
            // SAFETY: a system call. It holds the lock, so the number is still its own.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        if Instant::now() > deadline + PATIENCE {
            return Err(anyhow!("the shim of the dyno {id} does not end"));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    dismantle(state, &cgroup)?;
    let cable = state.read::<Cable>("net.json").unwrap_or_default();
    // First the handle: without it there is no dyno, however far removing gets.
    let _ = fs::remove_file(state.join("handle.json"));
    remove_tree(state.path()).with_context(|| format!("remove {}", state.path().display()))?;
    if let Some(cable) = cable {
        cable.release(state.path());
    }
    Ok(())
}

/// An app can nest directories deeper than the library's way of removing can go.
fn remove_tree(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => {
            let status = Command::new("rm").arg("-rf").arg("--").arg(path).status().context("run rm")?;
            if status.success() { Ok(()) } else { Err(e.into()) }
        }
    }
}

#[async_trait]
impl Driver for ProcessDriver {
    async fn start(&self, spec: &Spec) -> Result<Handle, Error> {
        let spec = spec.clone();
        self.blocking(move |driver| driver.start_now(&spec)).await
    }

    async fn status(&self, id: Uuid) -> Result<Option<Status>, Error> {
        self.blocking(move |driver| driver.status_now(id)).await
    }

    async fn list(&self) -> Result<Vec<Status>, Error> {
        self.blocking(ProcessDriver::list_now).await
    }

    async fn signal(&self, id: Uuid, signal: i32) -> Result<(), Error> {
        if !self.state(id).join("handle.json").exists() {
            return Err(Error::Unknown(id));
        }
        self.blocking(move |_| {
            let cgroup = Cgroup::new(&id.to_string());
            let mut told = Vec::new();
            // Once more for those that were forked meanwhile.
            for _ in 0..3 {
                for pid in cgroup.pids() {
                    if !told.contains(&pid) {
                        // SAFETY: a system call.
                        unsafe { libc::kill(pid, signal) };
                        told.push(pid);
                    }
                }
            }
            Ok(())
        })
        .await
    }

    async fn remove(&self, id: Uuid) -> Result<(), Error> {
        self.blocking(move |driver| clear(&driver.state(id))).await
    }

    async fn stats(&self, id: Uuid) -> Result<Option<Stats>, Error> {
        self.blocking(move |_| Ok(Cgroup::new(&id.to_string()).stats())).await
    }

    async fn wait(&self, id: Uuid) -> Result<Exit, Error> {
        let mut pause = Duration::from_millis(5);
        loop {
            match self.status(id).await? {
                Some(Status { phase: Phase::Exited(exit), .. }) => return Ok(exit),
                None => return Err(Error::Unknown(id)),
                Some(_) => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}
