//! The platform's own Postgres: created on first use, started, adopted, stopped.
//!
//! It listens only on a Unix socket in RUN; root and `postgres` log in by peer authentication,
//! nobody else can. It is a separate process that survives us.

use std::{
    fs,
    io::Write,
    os::unix::{fs::fchown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
pub use recovery::postgres::installed;

use crate::{
    data, machine,
    process::{Process, wait_until},
};

const DATABASE: &str = "wharf";
/// Recovery after a crash can take minutes.
const START: Duration = Duration::from_secs(600);
const LOG_BYTES: u64 = 10 << 20;

/// Small: the platform stores little, and memory is for the apps.
const SETTINGS: &str = "\
# Written by Wharf at every start. Put changes into postgresql.auto.conf (ALTER SYSTEM).
listen_addresses = ''
max_connections = 80
shared_buffers = 64MB
work_mem = 4MB
maintenance_work_mem = 32MB
effective_cache_size = 256MB
max_wal_size = 256MB
min_wal_size = 64MB
wal_compression = on
checkpoint_timeout = 10min
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
log_checkpoints = off
log_line_prefix = '%m [%p] '
idle_in_transaction_session_timeout = 60s
recovery_init_sync_method = syncfs
";

/// The platform's cluster.
pub struct Postgres {
    /// Programs of its major version.
    bin: PathBuf,
    /// DIR/postgres
    cluster: PathBuf,
    /// RUN/pg
    sockets: PathBuf,
}

impl Postgres {
    /// Finds the programs, and creates the cluster if there is none yet.
    pub fn prepare(data: &Path, run: &Path) -> Result<Postgres> {
        let cluster = data.join("postgres");
        let bin = programs(&cluster)?;
        let postgres = Postgres { bin, cluster, sockets: run.join("pg") };
        data::make_for_postgres(&postgres.sockets)?;
        if !postgres.cluster.join("PG_VERSION").exists() {
            tracing::info!("creating the platform's database in {}", postgres.cluster.display());
            postgres.init(&data.join("postgres.new")).context("create the platform's database")?;
        }
        write_settings(&postgres.cluster)?;
        Ok(postgres)
    }

    /// Where the database is.
    pub fn url(&self) -> String {
        url(&self.sockets)
    }

    /// Adopts the running server or starts it, and waits until it is ready.
    pub async fn run(&self) -> Result<Process> {
        let mut process = match self.running() {
            Some(pid) if self.sockets_of_running().as_deref() == Some(&self.sockets) => {
                tracing::info!("reusing the running Postgres, process {pid}");
                Process::take_up(pid)?
            }
            Some(pid) => {
                // It was started for another run directory, where it cannot be reached.
                let mut old = Process::take_up(pid)?;
                Self::stop(&mut old, false).await?;
                self.start()?
            }
            None => self.start()?,
        };
        let pid = process.pid();
        tokio::select! {
            ready = wait_until(START, || self.is_ready(pid)) => match ready {
                true => Ok(process),
                false => bail!("Postgres is not responding. Its last log lines:\n{}", self.last_log_lines()),
            },
            _ = process.wait() => bail!("Postgres did not start. Its last log lines:\n{}", self.last_log_lines()),
        }
    }

    /// Stops the server of the cluster in `data`, if one is running, for which nobody is responsible any more.
    pub async fn stop_leftover(data: &Path, run: &Path) -> Result<()> {
        let left = Postgres { bin: PathBuf::new(), cluster: data.join("postgres"), sockets: run.join("pg") };
        match left.running() {
            Some(pid) => Self::stop(&mut Process::take_up(pid)?, true).await,
            None => Ok(()),
        }
    }

    /// Stops it: immediately with `hurry`, otherwise after aborting the running statements.
    pub async fn stop(process: &mut Process, hurry: bool) -> Result<()> {
        let (signal, grace) = match hurry {
            true => (Signal::SIGQUIT, Duration::from_secs(5)),
            false => (Signal::SIGINT, Duration::from_secs(60)),
        };
        process.stop(signal, grace, Signal::SIGQUIT).await.context("stop Postgres")
    }

    fn start(&self) -> Result<Process> {
        let log = self.cluster.join("wharf.log");
        if fs::metadata(&log).is_ok_and(|m| m.len() > LOG_BYTES) {
            fs::rename(&log, self.cluster.join("wharf.log.old")).context("rotate the log of Postgres")?;
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(&log).context("open the log of Postgres")?;
        let mut command = self.program("postgres")?;
        command.arg("-D").arg(&self.cluster);
        command.arg("-c").arg(format!("unix_socket_directories={}", self.sockets.display()));
        command.stdout(log.try_clone().context("open the log of Postgres")?).stderr(log);
        Process::spawn(command.into())
    }

    /// A program of Postgres, run as the user `postgres`, with an empty environment.
    fn program(&self, name: &str) -> Result<Command> {
        let user = machine::postgres_user()?;
        let mut command = Command::new(self.bin.join(name));
        command.env_clear().env("PATH", machine::search_path()).env("LC_ALL", "C.UTF-8").env("HOME", &user.dir);
        command.current_dir("/").stdin(Stdio::null());
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        Ok(command)
    }

    /// Creates the cluster in `aside` and moves it into place, so that an incomplete one is never used.
    fn init(&self, aside: &Path) -> Result<()> {
        trees::remove(aside).context("remove an incomplete one")?;
        data::make_for_postgres(aside)?;
        let mut initdb = self.program("initdb")?;
        initdb.args(["-U", "postgres", "-A", "peer", "-k", "-E", "UTF8", "--locale=C.UTF-8", "-D"]).arg(aside);
        run(initdb, b"")?;
        fs::write(aside.join("pg_hba.conf"), "local all all peer map=wharf\n").context("write pg_hba.conf")?;
        fs::write(aside.join("pg_ident.conf"), "wharf root postgres\nwharf postgres postgres\n")
            .context("write pg_ident.conf")?;
        write_settings(aside)?;
        let mut settings =
            fs::OpenOptions::new().append(true).open(aside.join("postgresql.conf")).context("open the settings")?;
        settings
            .write_all(b"\ninclude 'wharf.conf'\n")
            .and_then(|()| settings.sync_all())
            .context("write the settings")?;
        let mut single = self.program("postgres")?;
        single.args(["--single", "-j", "-D"]).arg(aside).arg("postgres").stdin(Stdio::piped());
        run(single, format!("create database {DATABASE};\n\n").as_bytes())?;
        // Empty; otherwise this code is not reached.
        let _ = fs::remove_dir(&self.cluster);
        fs::rename(aside, &self.cluster).context("move the new cluster into place")?;
        let parent = self.cluster.parent().unwrap_or(Path::new("/"));
        fs::File::open(parent).and_then(|dir| dir.sync_all()).context("sync the data directory")
    }

    /// The process that serves the cluster, if there is one.
    fn running(&self) -> Option<i32> {
        let pid: i32 = self.pid_file()?.first()?.trim().parse().ok()?;
        let at = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        (at == self.cluster).then_some(pid)
    }

    fn sockets_of_running(&self) -> Option<PathBuf> {
        self.pid_file()?.get(4).map(|line| PathBuf::from(line.trim()))
    }

    fn is_ready(&self, pid: i32) -> bool {
        let lines = self.pid_file().unwrap_or_default();
        let line = |n: usize| lines.get(n).map(|l| l.trim()).unwrap_or_default().to_owned();
        line(0) == pid.to_string() && line(7) == "ready"
    }

    fn pid_file(&self) -> Option<Vec<String>> {
        let text = fs::read_to_string(self.cluster.join("postmaster.pid")).ok()?;
        Some(text.lines().map(String::from).collect())
    }

    fn last_log_lines(&self) -> String {
        let text = fs::read(self.cluster.join("wharf.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

/// Where the database is that was started for the run directory `run`.
pub fn url_of_running(run: &Path) -> String {
    url(&run.join("pg"))
}

fn url(sockets: &Path) -> String {
    format!("postgres:///{DATABASE}?host={}&user=postgres", sockets.display())
}

/// The programs for the cluster: of its own major version, or the newest for a new one.
fn programs(cluster: &Path) -> Result<PathBuf> {
    let installed = installed();
    let made_by = fs::read_to_string(cluster.join("PG_VERSION")).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let found = match made_by {
        Some(major) => installed.iter().find(|(m, _)| *m == major),
        None => installed.first(),
    };
    match (found, made_by) {
        (Some((_, bin)), _) => Ok(bin.clone()),
        (None, Some(major)) => bail!(
            "The platform's database in {} was created by PostgreSQL {major}, which is not installed. Install it: \
             apt-get install postgresql-{major}",
            cluster.display()
        ),
        (None, None) => bail!(
            "PostgreSQL is missing. Install it with: apt-get install postgresql (or use an external database with WHARF_DATABASE_URL)"
        ),
    }
}

/// Our part of the settings, readable by the user `postgres`. An existing file is replaced, never
/// followed: the directory belongs to that user.
fn write_settings(cluster: &Path) -> Result<()> {
    let (aside, user) = (cluster.join("wharf.conf.new"), machine::postgres_user()?);
    let _ = fs::remove_file(&aside);
    let written = fs::OpenOptions::new().write(true).create_new(true).open(&aside).and_then(|mut file| {
        file.write_all(SETTINGS.as_bytes())?;
        fchown(&file, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
    });
    written.and_then(|()| fs::rename(&aside, cluster.join("wharf.conf"))).context("write the settings of Postgres")
}

/// Runs a program to completion; its standard error is the error.
fn run(mut command: Command, input: &[u8]) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().with_context(|| format!("start {name}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).with_context(|| format!("write to {name}"))?;
    }
    let done = child.wait_with_output().with_context(|| format!("wait for {name}"))?;
    if !done.status.success() {
        bail!("{name} ended with {}:\n{}", done.status, String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}
