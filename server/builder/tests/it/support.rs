//! A host with one app: the starting point of every build test.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::ids::{BuildId, RunId};
use async_trait::async_trait;
use builder::{Config, Error, Hold, Installed, Request, Runtime, Slug, Supply};
use dyno::{Artifact, Driver, Limits, Mounts, Phase, Spec};
use tempfile::TempDir;
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A platform's data directory, a driver, and the build request.
pub struct Host {
    pub driver: Arc<dyn Driver>,
    pub config: Config,
    pub request: Request,
    pub cancel: CancellationToken,
    data: TempDir,
}

/// The outcome of a build.
pub struct Built {
    pub result: Result<Slug, Error>,
    pub output: String,
}

impl Built {
    pub fn slug(self) -> Slug {
        let output = self.output;
        self.result.unwrap_or_else(|e| panic!("{e}\n{output}"))
    }

    /// The reason of the failure, which must be an error of the app.
    pub fn why(&self) -> &str {
        match &self.result {
            Err(Error::Failed { why }) => why,
            other => panic!("{other:?}\n{}", self.output),
        }
    }

    pub fn slug_made(&self) {
        assert!(self.result.is_ok(), "{:?}\n{}", self.result, self.output);
    }

    pub fn says(&self, text: &str) -> &Self {
        let result = &self.result;
        assert!(self.output.contains(text), "{text:?} is not in:\n{}\n{result:?}", self.output);
        self
    }
}

impl Host {
    /// A host whose app has these files. Those below `bin/` are executable.
    pub fn new(files: &[(&str, &str)]) -> Host {
        let data = tempfile::tempdir_in("/var/tmp").unwrap();
        fs::set_permissions(data.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let tmp = data.path().join("tmp");
        fs::create_dir(&tmp).unwrap();
        fs::set_permissions(&tmp, fs::Permissions::from_mode(0o700)).unwrap();
        let source = data.path().join("source");
        write_files(&source, files);
        Host {
            driver: crate::support::driver(data.path()),
            config: Config { runtimes: Some(Npm::in_folder(data.path())), ..Config::new(data.path()) },
            request: Request {
                build_id: BuildId::from_u128(u128::from(rand())),
                uid: 0x7801_0123,
                stack: "heroku-24".into(),
                source,
                unpacked: data.path().join("slugs/first"),
                cache: data.path().join("cache/first"),
                buildpacks: Vec::new(),
                may_use_host: true,
                env: BTreeMap::new(),
                source_version: "abc123".into(),
            },
            cancel: CancellationToken::new(),
            data,
        }
    }

    pub fn path(&self) -> &Path {
        self.data.path()
    }

    /// Builds what `request` says, and checks that nothing is left behind.
    pub async fn build(&mut self) -> Built {
        self.request.build_id = BuildId::from_u128(u128::from(rand()));
        self.request.unpacked = self.path().join("slugs").join(self.request.build_id.to_string());
        let built = self.build_again().await;
        let id = self.request.build_id.get().simple().to_string();
        let mut left: Vec<_> = fs::read_dir(&self.config.tmp)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().contains(&id))
            .collect();
        if let Ok(slug) = &built.result {
            left.retain(|path| *path != slug.file);
        }
        let unpacked: Vec<_> = fs::read_dir(self.path().join("slugs")).into_iter().flatten().collect();
        let unfinished =
            unpacked.iter().flatten().filter(|entry| builder::is_unfinished(&entry.file_name().to_string_lossy()));
        left.extend(unfinished.map(|entry| entry.path()));
        assert_eq!(self.request.unpacked.exists(), built.result.is_ok());
        assert!(left.is_empty(), "left behind: {left:?}");
        assert!(self.driver.status(self.request.build_id.into()).await.unwrap().is_none());
        built
    }

    /// The possible locations of the cache while a build runs.
    pub fn caches(&self) -> impl Fn() -> Vec<PathBuf> + 'static {
        let (tmp, cache) = (self.config.tmp.clone(), self.request.cache.clone());
        move || {
            fs::read_dir(&tmp)
                .unwrap()
                .map(|entry| entry.unwrap().path().join("cache"))
                .chain([cache.clone()])
                .collect()
        }
    }

    /// The same build, as after a crash of the platform.
    pub async fn build_again(&self) -> Built {
        let (sender, mut receiver) = unbounded_channel();
        let cancel = self.cancel.clone();
        let driver = self.driver.as_ref();
        let result = builder::build(driver, &self.config, &self.request, &sender, cancel).await;
        drop(sender);
        let mut output = String::new();
        while let Some(line) = receiver.recv().await {
            output.push_str(&line);
            output.push('\n');
        }
        Built { result, output }
    }

    /// Unpacks a slug, as for dynos.
    pub async fn unpack(&self, slug: &Slug) -> PathBuf {
        let into = self.path().join("unpacked").join(Uuid::from_u128(u128::from(rand())).to_string());
        let workers = worker::Workers::new().unwrap();
        builder::unpack(&workers, &slug.file, &into, self.request.uid).await.unwrap();
        into
    }

    /// Starts the web process of an unpacked slug and returns what it answers at `/`.
    pub async fn visit(&self, slug: &Slug) -> String {
        self.visit_in(slug, self.unpack(slug).await).await
    }

    /// The same, with the tree that the build has made.
    pub async fn visit_built(&self, slug: &Slug) -> String {
        self.visit_in(slug, self.request.unpacked.clone()).await
    }

    async fn visit_in(&self, slug: &Slug, folder: PathBuf) -> String {
        let spec = Spec {
            id: RunId::from_u128(u128::from(rand())),
            name: "web.1".into(),
            uid: self.request.uid,
            command: slug.process_types["web"].clone(),
            env: BTreeMap::from([("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())]),
            root: Mounts { artifact: Artifact::Slug(folder), binds: Vec::new() },
            limits: Limits {
                memory_bytes: 512 << 20,
                memory_max_bytes: 1 << 30,
                cpu_shares: 1024,
                cpu_quota_us: 0,
                pids: 256,
                disk: dyno::disks::Size::default(),
            },
            port: Some(5000 + (rand() % 20_000) as u16),
            raw: false,
            time: None,
            terminal: None,
        };
        let handle = self.driver.start(&spec).await.unwrap();
        let address = handle.addr.expect("a web process has an address");
        let deadline = Instant::now() + Duration::from_secs(60);
        let answer = loop {
            if let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
                stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).unwrap();
                break String::from_utf8_lossy(&bytes).into_owned();
            }
            let status = self.driver.status(spec.id).await.unwrap().unwrap();
            let ended = matches!(status.phase, Phase::Exited(_)) || Instant::now() > deadline;
            assert!(!ended, "it does not listen: {status:?}\n{}", said(&*self.driver, spec.id));
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        self.driver.remove(spec.id).await.unwrap();
        answer
    }
}

fn said(driver: &dyn Driver, dyno: RunId) -> String {
    let batch = driver.output(dyno, spool::Cursor::default()).read_batch(1000).unwrap();
    batch.entries.iter().map(|entry| String::from_utf8_lossy(&entry.text).into_owned() + "\n").collect()
}

/// Writes files below `root`; those in a `bin` directory are executable.
pub fn write_files(root: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(root).unwrap();
    for (name, content) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let mode = if name.starts_with("bin/") { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn rand() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(Instant::now())
}

/// Runtimes from the npm registry, by the npm of this machine.
#[derive(Debug)]
struct Npm(Installed);

impl Npm {
    fn in_folder(data: &Path) -> Arc<dyn Supply> {
        Arc::new(Npm(Installed::open(&data.join("runtimes")).unwrap()))
    }
}

fn npm(words: &[&str]) -> Result<Vec<u8>, Error> {
    let output = Command::new("npm").args(words).output().unwrap();
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(output.stdout) } else { Err(Error::Failed { why }) }
}

#[async_trait]
impl Supply for Npm {
    fn installed(&self) -> &Installed {
        &self.0
    }

    async fn versions(&self, runtime: Runtime) -> Result<bool, Error> {
        fs::write(self.0.versions(runtime), npm(&["view", runtime.package(), "versions", "--json"])?).unwrap();
        Ok(true)
    }

    async fn provide(&self, runtime: Runtime, version: &str) -> Result<Hold, Error> {
        if self.0.touch(runtime, version).is_err() {
            let dir = tempfile::tempdir_in("/var/tmp").unwrap();
            let package = format!("{}@{version}", runtime.package());
            npm(&["pack", "--silent", "--pack-destination", dir.path().to_str().unwrap(), &package])?;
            let file = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
            let unpacked = dir.path().join("unpacked");
            builder::unpack_package(&worker::Workers::new().unwrap(), &file, &unpacked).await?;
            self.0.install(runtime, version, &unpacked).unwrap();
        }
        Ok(Box::new(()))
    }
}

fn driver(data: &Path) -> Arc<dyn Driver> {
    // In test environments, registries may be mirrored in a network for documentation.
    let open = vec!["203.0.113.0/24".parse().unwrap()];
    Arc::new(dyno::ProcessDriver::new(data, &dyno::Host { open, ..dyno::Host::default() }).unwrap())
}

/// A host whose app has a custom buildpack with this `bin/compile`.
pub fn host_with(compile: &str) -> (tempfile::TempDir, Host) {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let script = format!("#!/bin/bash\n{compile}\n");
    write_files(dir.path(), &[("bin/detect", "#!/bin/sh\necho Odd\n"), ("bin/compile", &script)]);
    let mut host = Host::new(&[("index.html", "x")]);
    host.request.buildpacks = vec![format!("file://{}", dir.path().display())];
    (dir, host)
}
