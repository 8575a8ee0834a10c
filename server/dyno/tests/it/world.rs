//! A data directory, its driver, and dynos that are removed when the test ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use api::ids::RunId;
use dyno::{Artifact, Driver, Exit, Handle, Host, Limits, Mounts, Phase, ProcessDriver, Spec};
use spool::{Cursor, Entry};
use tempfile::TempDir;
use uuid::Uuid;

pub const UID: u32 = 0x7801_2345;

pub struct World {
    pub driver: ProcessDriver,
    pub data: TempDir,
    started: Mutex<Vec<RunId>>,
}

impl World {
    pub fn new() -> World {
        World::with(&Host::default())
    }

    pub fn with(host: &Host) -> World {
        let data = TempDir::with_prefix("dyno-test-").unwrap();
        World { driver: ProcessDriver::new(data.path(), host).unwrap(), data, started: Mutex::default() }
    }

    /// Like [`World::spec`], for a Python program.
    pub fn python(&self, program: &str) -> Spec {
        let mut spec = self.spec("exec /usr/bin/python3 -c \"$PROGRAM\"");
        spec.env.insert("PROGRAM".into(), program.into());
        spec
    }

    pub fn spec(&self, command: &str) -> Spec {
        Spec {
            id: fresh_id(),
            name: "web.1".to_owned(),
            uid: UID,
            command: command.to_owned(),
            env: BTreeMap::new(),
            root: Mounts { artifact: Artifact::Empty, binds: Vec::new() },
            limits: Limits::default(),
            port: None,
            raw: false,
            time: None,
            terminal: None,
        }
    }

    /// An unpacked slug with these files.
    pub fn slug(&self, files: &[(&str, &str)]) -> PathBuf {
        let slug = self.data.path().join(format!("slug-{}", fresh_id()));
        std::fs::create_dir(&slug).unwrap();
        for (name, text) in files {
            let path = slug.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            std::os::unix::fs::chown(&path, Some(UID), Some(UID)).unwrap();
        }
        slug
    }

    pub async fn start(&self, spec: &Spec) -> Handle {
        self.started.lock().unwrap().push(spec.id);
        self.driver.start(spec).await.unwrap()
    }

    /// Runs to the end; the exit and the lines of output.
    pub async fn run(&self, spec: &Spec) -> (Exit, Vec<String>) {
        self.start(spec).await;
        let exit = within(Duration::from_secs(60), self.driver.wait(spec.id)).await.unwrap();
        (exit, self.lines(spec.id))
    }

    /// The output of a command that is run in a dyno.
    pub async fn say(&self, command: &str) -> String {
        let (exit, lines) = self.run(&self.spec(command)).await;
        assert_eq!(exit.error, None);
        lines.join("\n")
    }

    /// Starts, and waits until a line contains `word`.
    pub async fn start_until(&self, spec: &Spec, word: &str) -> Handle {
        let handle = self.start(spec).await;
        until(|| self.lines(spec.id).iter().any(|line| line.contains(word))).await;
        handle
    }

    /// The output of a dyno so far.
    pub fn output(&self, id: RunId) -> Vec<Entry> {
        let (mut output, mut entries) = (self.driver.output(id, Cursor::default()), Vec::new());
        loop {
            let batch = output.read_batch(1000).unwrap();
            if batch.entries.is_empty() {
                return entries;
            }
            entries.extend(batch.entries);
        }
    }

    /// The same as text.
    pub fn lines(&self, id: RunId) -> Vec<String> {
        self.output(id).iter().map(|entry| String::from_utf8_lossy(&entry.text).into_owned()).collect()
    }

    pub async fn phase(&self, id: RunId) -> Option<Phase> {
        Some(self.driver.status(id).await.unwrap()?.phase)
    }

    pub fn state(&self, id: RunId) -> PathBuf {
        self.data.path().join("dynos").join(id.to_string())
    }

    pub fn shim(&self, id: RunId) -> i32 {
        let text = std::fs::read_to_string(self.state(id).join("shim.pid")).unwrap();
        text.parse().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let ids = self.started.lock().unwrap().clone();
        let driver = self.driver.clone();
        // On a separate thread, because this one is the test's runtime.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            for id in ids {
                runtime.block_on(driver.remove(id)).unwrap();
            }
        });
        removal.join().unwrap();
    }
}

/// Waits for a condition, at most a minute.
pub async fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "the condition never came true");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, work).await.expect("in time")
}

fn fresh_id() -> RunId {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    RunId(Uuid::from_u64_pair(now, u64::from(std::process::id()) << 32 | count))
}
