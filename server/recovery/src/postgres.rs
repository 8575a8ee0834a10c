//! Programs of Postgres: dumping a database, restoring a dump, and a temporary server that a dump is restored into.
//!
//! The temporary server listens on a socket that only its user and root can reach, and does not sync: it is thrown away.

use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, geteuid},
};
use sqlx::PgPool;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

/// Where distributions install each major version.
const PLACES: [&str; 3] = ["/usr/lib/postgresql", "/usr/pgsql", "/opt/postgresql"];
/// Time for the temporary server to start or stop.
const LONG: Duration = Duration::from_secs(120);

/// Installed major versions, newest first, and their program folders.
pub fn installed() -> Vec<(u32, PathBuf)> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for place in PLACES {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let bin = entry.path().join("bin");
            let major = entry.file_name().to_string_lossy().parse().ok();
            if let Some(major) = major.filter(|_| bin.join("postgres").exists() && bin.join("initdb").exists()) {
                found.push((major, bin));
            }
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    found
}

/// The programs of the newest version, which can dump databases of older ones, too.
fn newest() -> anyhow::Result<PathBuf> {
    let missing = || anyhow!("PostgreSQL is missing. Install it with: apt-get install postgresql");
    installed().into_iter().next().map(|(_, bin)| bin).ok_or_else(missing)
}

fn program(name: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(newest()?.join(name));
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8").env("HOME", "/");
    command.current_dir("/").stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// Gives the program the database. The password is not in the arguments, which everybody on this machine can read.
fn with_database(command: &mut Command, url: &str) {
    let (url, password) = without_password(url);
    command.arg("--dbname").arg(url);
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
}

/// A URL without its password, and the password, which can be in two places.
fn without_password(url: &str) -> (String, Option<String>) {
    let (url, of_query) = without_parameter(url);
    let (url, of_user) = without_user_password(&url);
    // The parameter takes precedence, as everywhere.
    (url, of_query.or(of_user))
}

fn without_user_password(url: &str) -> (String, Option<String>) {
    let whole = || (url.to_owned(), None);
    let Some((scheme, rest)) = url.split_once("://") else { return whole() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let Some((who, host)) = rest[..end].rsplit_once('@') else { return whole() };
    let Some((user, password)) = who.split_once(':') else { return whole() };
    (format!("{scheme}://{user}@{host}{}", &rest[end..]), Some(decoded(password)))
}

fn without_parameter(url: &str) -> (String, Option<String>) {
    let Some((head, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let (found, others): (Vec<&str>, Vec<&str>) = query.split('&').partition(|part| part.starts_with("password="));
    let password = found.last().and_then(|part| part.strip_prefix("password=")).map(decoded);
    match others.is_empty() {
        true => (head.to_owned(), password),
        false => (format!("{head}?{}", others.join("&")), password),
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Dumps the database as the given snapshot sees it, in the custom format of `pg_dump`: compressed, and independent of
/// the version.
///
/// # Errors
/// What `pg_dump` reports.
pub async fn dump(url: &str, snapshot: &str, into: File) -> anyhow::Result<()> {
    let mut command = program("pg_dump")?;
    command.args(["--format=custom", "--no-owner", "--no-privileges", "--snapshot", snapshot]);
    with_database(&mut command, url);
    command.stdout(into);
    finish(command).await.context("dump the database")
}

/// Restores a dump into a database without tables. An error leaves it without them.
///
/// # Errors
/// What `pg_restore` reports.
pub async fn restore(url: &str, dump: File) -> anyhow::Result<()> {
    let mut command = program("pg_restore")?;
    command.args(["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]);
    with_database(&mut command, url);
    command.stdin(dump).stdout(Stdio::null());
    finish(command).await.context("restore the database")
}

/// Runs a program to its end; its standard error is the error.
async fn finish(mut command: Command) -> anyhow::Result<()> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let child = command.stderr(Stdio::piped()).spawn().with_context(|| format!("start {name}"))?;
    let done = child.wait_with_output().await.with_context(|| format!("wait for {name}"))?;
    if !done.status.success() {
        bail!("{name} ended with {}:\n{}", done.status, String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}

/// A temporary server, with an empty database.
pub struct Scratch {
    dir: PathBuf,
    sockets: PathBuf,
    child: Child,
}

impl Scratch {
    /// Creates a cluster in `dir`, and starts it with its socket in `sockets`. What an earlier process has left there is
    /// stopped and removed. The system user `postgres` has to be able to traverse the parents of both.
    ///
    /// # Errors
    /// What is missing, or what the programs report.
    pub async fn start(dir: &Path, sockets: &Path) -> anyhow::Result<Self> {
        stop_leftover(dir).await?;
        for folder in [dir, sockets] {
            remove(folder)?;
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
            if let Some(user) = user()? {
                chown(folder, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                    .with_context(|| format!("give {} to postgres", folder.display()))?;
            }
        }
        let mut init = as_user("initdb")?;
        init.args(["-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C.UTF-8", "-D"]).arg(dir);
        init.stdout(Stdio::null());
        finish(init).await.context("create a temporary database")?;
        let log = File::create(dir.join("log")).context("create the log of the temporary database")?;
        let mut server = as_user("postgres")?;
        server.arg("-D").arg(dir).arg("-k").arg(sockets);
        for setting in [
            "listen_addresses=",
            "fsync=off",
            "full_page_writes=off",
            "max_connections=10",
            "autovacuum=off",
            "jit=off",
        ] {
            server.args(["-c", setting]);
        }
        let child = server.stdout(log.try_clone()?).stderr(log).spawn().context("start a temporary database")?;
        let mut scratch = Self { dir: dir.to_owned(), sockets: sockets.to_owned(), child };
        scratch.wait().await?;
        Ok(scratch)
    }

    /// The address of its database.
    pub fn url(&self) -> String {
        format!("postgres:///postgres?host={}&user=postgres", self.sockets.display())
    }

    /// Connects to its database.
    ///
    /// # Errors
    /// If it has ended.
    pub async fn connect(&self) -> anyhow::Result<PgPool> {
        store::open_copy(&self.url()).await.context("connect to the temporary database")
    }

    /// Waits until it takes connections.
    async fn wait(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + LONG;
        loop {
            let Err(err) = store::open_copy(&self.url()).await else { return Ok(()) };
            let has_ended = self.child.try_wait().context("look at the temporary database")?.is_some();
            if has_ended || Instant::now() > deadline {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                bail!("The temporary database did not start ({err}). Its log:\n{}", log.trim());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops it and removes its files.
    ///
    /// # Errors
    /// If they cannot be removed.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        }
        if tokio::time::timeout(LONG, self.child.wait()).await.is_err() {
            self.child.kill().await.context("kill the temporary database")?;
        }
        remove(&self.sockets)?;
        remove(&self.dir)
    }
}

/// The user that servers run as: Postgres refuses to run as root.
fn user() -> anyhow::Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let found = User::from_name("postgres").context("look up the system user postgres")?;
    found
        .map(Some)
        .ok_or_else(|| anyhow!("The system user postgres is missing. Install Postgres: apt-get install postgresql"))
}

fn as_user(name: &str) -> anyhow::Result<Command> {
    let mut command = program(name)?;
    if let Some(user) = user()? {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    Ok(command)
}

/// Ends the server that a killed process has left in `dir`.
async fn stop_leftover(dir: &Path) -> anyhow::Result<()> {
    let pid = fs::read_to_string(dir.join("postmaster.pid")).unwrap_or_default();
    let Some(pid) = pid.lines().next().and_then(|line| line.trim().parse::<i32>().ok()) else { return Ok(()) };
    let runs_there = || fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir);
    let deadline = Instant::now() + LONG;
    while runs_there() {
        let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        if Instant::now() > deadline {
            bail!("The temporary database of an earlier backup, process {pid}, does not end. Kill it: kill -9 {pid}");
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match trees::remove(folder) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => {
            Err(err).with_context(|| format!("remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_arguments() {
        let of = |url: &str| without_password(url);
        let secret = ("postgres://wharf@db:5433/wharf?sslmode=require".to_owned(), Some("p@ss".to_owned()));
        assert_eq!(of("postgres://wharf:p%40ss@db:5433/wharf?sslmode=require"), secret);
        assert_eq!(of("postgres://wharf@db:5433/wharf?password=p%40ss&sslmode=require"), secret);
        let bare = ("postgres://wharf@db/wharf".to_owned(), Some("p".to_owned()));
        assert_eq!(of("postgres://wharf:q@db/wharf?password=p"), bare);
        for plain in ["postgres:///wharf?host=/run/pg&user=postgres", "postgres://wharf@db/wharf", "nonsense"] {
            assert_eq!(of(plain), (plain.to_owned(), None));
        }
    }
}
