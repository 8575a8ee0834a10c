//! Databases for tests: one Postgres per test process, with a fresh database for each test.
//!
//! Creating and migrating a cluster takes seconds of two processors, so it is done once, beside the test programs, and
//! each process starts on a copy. The Postgres is watched by a shell that waits for the end of its stdin. However the
//! test run ends, stdin is closed; then the shell kills Postgres and removes its directory.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};

/// Arguments: the directory of Postgres's programs, a directory of this cluster's own, and a cluster to copy, if any.
const KEEPER: &str = r#"
trap '' INT TERM HUP
bin=$1 dir=$2 from=$3 as=
if [ "$(id -u)" = 0 ]; then chown postgres "$dir" && as='setpriv --reuid=postgres --regid=postgres --init-groups'; fi
cd "$dir" || exit 1
if [ -n "$from" ]; then cp -a --reflink=auto "$from" data
else $as "$bin/initdb" -D data -U postgres -A trust -N -E UTF8 --locale=C.UTF-8 --wal-segsize=1
fi >log 2>&1 || exit 1
$as "$bin/postgres" -D data -k "$dir" -c listen_addresses= -c fsync=off -c full_page_writes=off -c min_wal_size=2MB \
    -c synchronous_commit=off -c max_connections=400 -c shared_buffers=64MB -c autovacuum=off >>log 2>&1 &
pg=$!
read -r order place
if [ "$order" = save ]; then
  kill -INT $pg
  # Copied, since it may be on another file system, and renamed, so that it is whole.
  wait $pg && rm -rf "$place.new" && cp -aT data "$place.new" && mv -T "$place.new" "$place"
  saved=$?
else
  kill -QUIT $pg
  wait $pg
fi
cd / && rm -rf "$dir"
exit ${saved:-0}
"#;
/// Creating a cluster takes a second or two on an idle machine.
const START: Duration = Duration::from_secs(120);
/// Bytes for the clusters of a few tests that run at once.
const ENOUGH: u64 = 2 << 30;
const TEMPLATE: &str = "migrated";

/// The address of a new, migrated database.
///
/// # Panics
/// When Postgres is not installed or does not start.
pub async fn database() -> String {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    static MADE: AtomicUsize = AtomicUsize::new(0);
    // It outlives the runtime of whichever test runs first.
    let start = || std::thread::spawn(Cluster::start).join().expect("Postgres starts");
    let cluster = tokio::task::spawn_blocking(move || CLUSTER.get_or_init(start)).await.expect("Postgres starts");
    let name = format!("test_{}", MADE.fetch_add(1, Ordering::Relaxed));
    cluster.create(&name, TEMPLATE).await;
    cluster.url(&name)
}

/// Connects to a new, migrated database.
///
/// # Panics
/// Like [`database`].
pub async fn pool() -> PgPool {
    PgPool::connect(&database().await).await.expect("connect to the new database")
}

struct Cluster {
    dir: PathBuf,
    /// Keeps the watchdog's stdin open.
    keeper: Child,
}

impl Cluster {
    /// A copy of the cluster that all tests share.
    fn start() -> Self {
        let from = Self::shared();
        let mut cluster = Self::keep(Some(&from));
        runtime().block_on(cluster.connect());
        cluster
    }

    /// The directory of a cluster that has a migrated database. It is created by the first process that needs it.
    fn shared() -> PathBuf {
        let programs = std::env::current_exe().expect("find the test program");
        let place = programs.parent().expect("the directory of test programs");
        let shared = place.join(format!("postgres-{:016x}", version()));
        let lock = File::create(place.join("postgres.lock")).expect("create the lock of the shared cluster");
        lock.lock().expect("lock the shared cluster");
        if !shared.exists() {
            let mut cluster = Self::keep(None);
            runtime().block_on(cluster.prepare());
            cluster.save(&shared);
        }
        shared
    }

    fn keep(from: Option<&Path>) -> Self {
        // Process ids come again within one run of the tests, while the directory of a killed run may still be there.
        let dir = place().join(format!("wharf-pg-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir(&dir).expect("create the directory of Postgres");
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(programs())
            .arg(&dir)
            .arg(from.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .spawn()
            .expect("run sh");
        Self { dir, keeper }
    }

    async fn connect(&mut self) {
        let deadline = Instant::now() + START;
        while let Err(err) = PgConnection::connect(&self.url("postgres")).await {
            let gone = self.keeper.try_wait().expect("check the watchdog").is_some();
            let log = || std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(!gone && Instant::now() < deadline, "Postgres does not start: {err}\n{}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn prepare(&mut self) {
        self.connect().await;
        self.create(TEMPLATE, "template1").await;
        let pool = PgPool::connect(&self.url(TEMPLATE)).await.expect("connect to the template");
        crate::migrate(&pool).await.expect("migrate the template");
        pool.close().await;
    }

    /// Stops Postgres and moves its files there.
    fn save(mut self, place: &Path) {
        let mut stdin = self.keeper.stdin.take().expect("the watchdog has a stdin");
        writeln!(stdin, "save {}", place.display()).expect("stop Postgres");
        assert!(
            self.keeper.wait().expect("wait for Postgres").success(),
            "cannot save a cluster as {}",
            place.display()
        );
    }

    async fn create(&self, name: &str, template: &str) {
        let mut db = PgConnection::connect(&self.url("postgres")).await.expect("connect to Postgres");
        let create = sqlx::AssertSqlSafe(format!("create database {name} template {template}"));
        db.execute(create).await.expect("create a database");
        db.close().await.expect("close the connection");
    }

    fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user=postgres", self.dir.display())
    }
}

/// Where clusters are: in memory if there is enough, since a cluster has 1,500 files, and tests sync theirs to the disk.
fn place() -> &'static Path {
    let memory = Path::new("/dev/shm");
    // Free blocks and their size in bytes.
    let free = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(memory).output().ok().and_then(|answer| {
        let answer = String::from_utf8(answer.stdout).ok()?;
        let (blocks, size) = answer.trim().split_once(' ')?;
        Some(blocks.parse::<u64>().ok()? * size.parse::<u64>().ok()?)
    });
    if free.is_some_and(|free| free > ENOUGH) { memory } else { Path::new("/tmp") }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("create a runtime")
}

/// What the shared cluster depends on: the version of Postgres and all migrations.
fn version() -> u64 {
    let mut hash = DefaultHasher::new();
    (KEEPER, programs()).hash(&mut hash);
    crate::MIGRATIONS.iter().for_each(|migration| migration.checksum.hash(&mut hash));
    hash.finish()
}

/// The programs of the newest Postgres on this machine.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u32>().ok());
    let newest =
        versions.map(|entry| entry.path()).filter(|path| number(path).is_some()).max_by_key(|path| number(path));
    newest.expect("Postgres is needed: install the Debian package postgresql").join("bin")
}
