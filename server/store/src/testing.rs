//! Databases for tests: one Postgres per test run, with a fresh database for each test.
//!
//! The Postgres is watched by a shell that waits for the end of its stdin. However the test run ends, stdin is
//! closed; then the shell kills Postgres and removes its directory.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};

/// Arguments: the directory of Postgres's programs, a data directory.
const KEEPER: &str = r#"
trap '' INT TERM HUP
bin=$1 dir=$2 as=
if [ "$(id -u)" = 0 ]; then chown postgres "$dir" && as='setpriv --reuid=postgres --regid=postgres --init-groups'; fi
cd "$dir" || exit 1
$as "$bin/initdb" -D data -U postgres -A trust -N -E UTF8 --locale=C.UTF-8 >log 2>&1 || exit 1
$as "$bin/postgres" -D data -k "$dir" -c listen_addresses= -c fsync=off -c full_page_writes=off \
    -c synchronous_commit=off -c max_connections=400 -c shared_buffers=64MB -c autovacuum=off >>log 2>&1 &
pg=$!
read -r _
kill -QUIT $pg
wait $pg
cd / && rm -rf "$dir"
"#;
/// Creating a cluster takes a second or two on an idle machine.
const START: Duration = Duration::from_secs(120);
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
    fn start() -> Self {
        // Process ids come again within one run of the tests, while the directory of a killed run may still be there.
        let dir = PathBuf::from(format!("/tmp/wharf-pg-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir(&dir).expect("create the directory of Postgres");
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(programs())
            .arg(&dir)
            .stdin(Stdio::piped())
            .spawn()
            .expect("run sh");
        let mut cluster = Self { dir, keeper };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("create a runtime");
        runtime.block_on(cluster.prepare());
        cluster
    }

    async fn prepare(&mut self) {
        let deadline = Instant::now() + START;
        while let Err(err) = PgConnection::connect(&self.url("postgres")).await {
            let gone = self.keeper.try_wait().expect("check the watchdog").is_some();
            let log = || std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(!gone && Instant::now() < deadline, "Postgres does not start: {err}\n{}", log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.create(TEMPLATE, "template1").await;
        let pool = PgPool::connect(&self.url(TEMPLATE)).await.expect("connect to the template");
        crate::migrate(&pool).await.expect("migrate the template");
        pool.close().await;
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

/// The programs of the newest Postgres on this machine.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u32>().ok());
    let newest =
        versions.map(|entry| entry.path()).filter(|path| number(path).is_some()).max_by_key(|path| number(path));
    newest.expect("Postgres is needed: install the Debian package postgresql").join("bin")
}
