//! A platform in a test environment, and its clients.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    future::Future,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use api::{
    apps::{App, AppCreate},
    client::{Carried, Client, Reply, Request, Transport},
    ids::{AccountId, AuthorizationId},
    releases::{Release, ReleaseCreate},
};
use areas::Areas;
use axum::body::{Body, to_bytes};
use base::settings::Settings;
use builds::{Builds, Config, GitLimits};
use chrono::Utc;
use dyno::fake::FakeDriver;
use http::StatusCode;
use platform::Platform;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use tempfile::TempDir;
use tower::ServiceExt as _;
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _, registry::LookupSpan};

/// How long a test waits for an expected event.
pub const LONG: Duration = Duration::from_secs(60);

/// A platform and everything it needs.
pub struct World {
    pub areas: Areas,
    pub platform: Platform,
    pub driver: Arc<FakeDriver>,
    /// For inspecting the database directly.
    pub db: PgPool,
    /// The first administrator.
    pub owner: Actor,
    /// Has an account, but no access to the owner's apps.
    pub stranger: Actor,
    /// Has no credentials.
    pub anonymous: Actor,
    dir: TempDir,
    told: Told,
    _logs: tracing::subscriber::DefaultGuard,
}

impl World {
    /// A newly installed platform.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Like [`Self::start`], with other settings.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let told = Told::default();
        let logs = tracing::subscriber::set_default(tracing_subscriber::registry().with(told.clone()));
        let dir = tempfile::tempdir().unwrap();
        let (data, run) = (dir.path().join("data"), dir.path().join("run"));
        std::fs::create_dir_all(&run).unwrap();
        std::fs::create_dir_all(&data).unwrap();
        let router = router::Router::bind(router::Config::new("127.0.0.1:0".parse().unwrap(), &data, &run)).unwrap();
        let listen = router.addr();
        tokio::spawn(router.run(std::future::pending()));
        let database_url = store::testing::database().await;
        let driver = Arc::new(FakeDriver::new(&data.join("dynos")));
        let settings = Settings {
            data: data.clone(),
            audit_anchor: data.join("audit-anchor"),
            listen,
            domain: "localhost".into(),
            apps_domain: "localhost".into(),
            tls: false,
            database_url: database_url.clone(),
            master_key: None,
            // Only the identity providers and sources of tests listen there.
            outbound_networks: vec!["127.0.0.1".parse().unwrap()],
        };
        let config = platform::Config {
            settings,
            // Too late for any test: changes of a queue have to be published.
            queue_interval: Duration::from_secs(24 * 3600),
            host: dyno::Host::default(),
            dyno_disk: dyno::disks::Size::default(),
            rendezvous: Some(platform::Rendezvous { listen: "127.0.0.1:0".parse().unwrap(), tls: None }),
            run,
        };
        let mut config = Config {
            platform: config,
            build_concurrency: 1,
            // The firewall of another platform on this host may have blocked 127.0.0.1 for the default user.
            downloads: worker::DOWNLOADS + 1,
            git: GitLimits::default(),
            build_disk: dyno::disks::Size::default(),
            npm_registry: "https://registry.npmjs.org".into(),
        };
        change(&mut config);
        let areas = Areas::start_with(config, driver.clone()).await.unwrap();
        let db = PgPool::connect(&database_url).await.unwrap();
        // Tests of the watch period set their own.
        sqlx::query("alter table apps alter column watch_seconds set default 0").execute(&db).await.unwrap();
        let token = std::fs::read_to_string(data.join("admin-token")).unwrap();
        let routes = areas.router();
        Self {
            owner: Actor::new(&routes, Some(token.trim().to_owned())),
            stranger: Actor::new(&routes, Some(account(&db, "stranger@example.com").await)),
            anonymous: Actor::new(&routes, None),
            platform: areas.platform().clone(),
            areas,
            driver,
            db,
            dir,
            told,
            _logs: logs,
        }
    }

    /// The number of counted statements so far.
    pub fn statements(&self) -> usize {
        self.told.statements.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// How often the value of a feed was computed.
    pub fn looks(&self) -> usize {
        self.told.looks.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The area of builds.
    pub fn builds(&self) -> &Builds {
        self.areas.builds()
    }

    /// The user that downloads sources.
    pub fn downloads(&self) -> u32 {
        self.builds().config().downloads
    }

    /// The same world after the platform was stopped and started again.
    pub async fn again(self) -> Self {
        let config = self.builds().config().clone();
        self.again_with(config).await
    }

    /// The same, with the npm registry at this URL.
    pub async fn with_npm_registry(self, url: String) -> Self {
        let config = Config { npm_registry: url, ..self.builds().config().clone() };
        self.again_with(config).await
    }

    async fn again_with(mut self, config: Config) -> Self {
        // Its process has ended.
        self.platform.let_go_of_server_id().await;
        self.areas = Areas::start_with(config, self.driver.clone()).await.unwrap();
        self.platform = self.areas.platform().clone();
        let routes = self.areas.router();
        self.owner = Actor::new(&routes, self.owner.token.clone());
        self.stranger = Actor::new(&routes, self.stranger.token.clone());
        self.anonymous = Actor::new(&routes, None);
        self
    }

    /// Another server on the same database, with its own files.
    pub async fn other_server(&self) -> Areas {
        self.other_server_with(&["master.key"]).await
    }

    /// Starts another server of the same database, with copies of these files of the data directory.
    pub async fn other_server_with(&self, files: &[&str]) -> Areas {
        let data = self.dir.path().join("other");
        std::fs::create_dir_all(&data).unwrap();
        for file in files {
            std::fs::copy(self.data().join(file), data.join(file)).unwrap();
        }
        let mut config = self.builds().config().clone();
        let settings = &mut config.platform.settings;
        (settings.audit_anchor, settings.data) = (data.join("audit-anchor"), data);
        Areas::start_with(config, self.driver.clone()).await.unwrap()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The contents of the folder for temporary files. Templates of disks stay there.
    pub fn leftovers(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.data().join("tmp")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| !name.starts_with(".disk-")).collect()
    }

    /// A client with this token.
    pub fn actor(&self, token: &str) -> Actor {
        Actor::new(&self.anonymous.routes, Some(token.to_owned()))
    }

    /// The warnings and errors so far.
    pub fn warnings(&self) -> Vec<String> {
        self.told.lines.lock().unwrap().clone()
    }

    /// Allows a warning that the test expects.
    pub fn expects(&self, part: &str) {
        self.told.expected.lock().unwrap().push(part.to_owned());
    }

    /// Creates an app of the owner's.
    pub async fn app(&self, name: &str) -> App {
        self.owner.app_create(&AppCreate { name: Some(name.into()), ..AppCreate::default() }).await.unwrap()
    }

    /// Uploads a slug and releases it.
    pub async fn deploy(&self, app: &str, types: &[(&str, &str)]) -> Release {
        let slug = self.slug(app, types).await;
        self.owner.release_create(app, &ReleaseCreate { slug: Some(slug), ..ReleaseCreate::default() }).await.unwrap()
    }

    /// Uploads a slug. Returns its id.
    pub async fn slug(&self, app: &str, types: &[(&str, &str)]) -> String {
        let types: BTreeMap<_, _> = types.iter().copied().collect();
        let slug = self.owner.post(&format!("/apps/{app}/slugs"), json!({ "process_types": types })).await.json();
        let put = path(slug["blob"]["url"].as_str().unwrap());
        let reply = self.anonymous.ask("PUT", &put).body(slug_archive()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        slug["id"].as_str().unwrap().to_owned()
    }

    /// Waits until the dynos of an app are these, such as `web.1 up v2`, in any order.
    pub async fn dynos(&self, app: &str, wanted: &[&str]) {
        let mut wanted: Vec<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
        wanted.sort();
        until(&format!("{app} runs {wanted:?}"), async || {
            let dynos = self.owner.dyno_list(app).await.unwrap();
            let mut found: Vec<String> =
                dynos.iter().map(|d| format!("{} {} v{}", d.name, d.state.as_str(), d.release.version)).collect();
            found.sort();
            if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }

    /// The whole log of an app, once it has a line with `part` in it.
    pub async fn log_with(&self, app: &str, part: &str) -> String {
        until(&format!("the log of {app} says {part}"), async || {
            let lines = self.owner.log_line_list(app, &api::log_lines::LogLinesQuery::default()).await.unwrap();
            let text = lines.iter().fold(String::new(), |mut text, line| {
                let _ = writeln!(text, "{line}");
                text
            });
            if text.contains(part) { Ok(text) } else { Err(text) }
        })
        .await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let expected = self.told.expected.lock().unwrap();
        let lines = self.told.lines.lock().unwrap();
        let odd: Vec<_> = lines.iter().filter(|l| !expected.iter().any(|e| l.contains(e))).collect();
        assert!(odd.is_empty(), "the platform warned of what the test did not name: {odd:#?}");
    }
}

/// Creates an account and a token for it.
pub async fn account(db: &PgPool, email: &str) -> String {
    let now = Utc::now();
    let account = store::accounts::Row {
        id: AccountId::now_v7(),
        email: email.into(),
        name: None,
        admin: false,
        last_login: None,
        created_at: now,
        updated_at: now,
    };
    store::accounts::account_create(db, &account).await.unwrap();
    token(db, account.id, email).await
}

/// Creates a token for an account.
pub async fn token(db: &PgPool, account: AccountId, email: &str) -> String {
    let now = Utc::now();
    let token = format!("token-of-{email}");
    let authorization = store::authorizations::Row {
        id: AuthorizationId::now_v7(),
        account_id: account,
        description: "test".into(),
        scope: vec!["global".into()],
        token_hash: Sha256::digest(token.as_bytes()).to_vec(),
        hint: "hint".into(),
        expires_at: None,
        last_used_at: None,
        client_id: None,
        parent_id: None,
        apps: None,
        created_at: now,
        updated_at: now,
    };
    store::authorizations::authorization_create(db, &authorization).await.unwrap();
    token
}

/// A client: an `api::Client`, and plain requests.
pub struct Actor {
    pub token: Option<String>,
    client: Client,
    routes: axum::Router,
}

impl Deref for Actor {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Actor {
    fn new(routes: &axum::Router, token: Option<String>) -> Self {
        let client = Client::new(InProcess { routes: routes.clone(), token: token.clone() });
        Self { token, client, routes: routes.clone() }
    }

    /// A copy of this client.
    pub fn again(&self) -> Self {
        Self::new(&self.routes, self.token.clone())
    }

    /// The same client, for another server.
    pub fn at(&self, server: &Areas) -> Self {
        Self::new(&server.router(), self.token.clone())
    }

    /// Builds a request; await it.
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        let mut request = http::Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        if let Some(token) = &self.token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        request.headers_mut().insert("host", "localhost".parse().unwrap());
        Ask { routes: self.routes.clone(), request }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path).body(body.to_string()).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask("PATCH", path).body(body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path).await
    }
}

/// A request being built.
pub struct Ask {
    routes: axum::Router,
    request: http::Request<Body>,
}

impl Ask {
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().insert(name, value.parse().unwrap());
        self
    }

    pub fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// The response as it arrives, for those that never end.
    pub async fn open(self) -> http::Response<Body> {
        self.routes.oneshot(self.request).await.unwrap()
    }
}

impl IntoFuture for Ask {
    type Output = Answer;
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (parts, body) = self.open().await.into_parts();
            let body = tokio::time::timeout(LONG, to_bytes(body, usize::MAX)).await.expect("the answer ends").unwrap();
            Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.to_vec() }
        })
    }
}

/// A complete response.
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, self.text())
    }
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|err| panic!("{err}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// An error as clients see it: status, id and message.
    #[track_caller]
    pub fn error(&self) -> (u16, String, String) {
        let body = self.json();
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        (self.status, text("id"), text("message"))
    }
}

struct InProcess {
    routes: axum::Router,
    token: Option<String>,
}

impl Transport for InProcess {
    fn send(&self, request: Request) -> Carried {
        let actor = Actor { token: self.token.clone(), client: Client::new(Nothing), routes: self.routes.clone() };
        Box::pin(async move {
            let mut ask = actor.ask(request.method, &request.path).body(request.body);
            for (name, value) in request.headers {
                ask = ask.header(name, &value);
            }
            let answer = ask.await;
            let text = |v: &http::HeaderValue| v.to_str().unwrap_or_default().to_owned();
            let headers = answer.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
            Ok(Reply { status: answer.status, headers, body: answer.body })
        })
    }
}

struct Nothing;

impl Transport for Nothing {
    fn send(&self, _: Request) -> Carried {
        Box::pin(async { Err(api::Error::unreachable("nobody is there")) })
    }
}

/// Polls until a condition holds; panics with the last result.
pub async fn until<T>(what: &str, mut is_so: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        match is_so().await {
            Ok(found) => return found,
            Err(found) => assert!(Instant::now() < deadline, "waited in vain until {what}; found {found}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Path and query of a URL.
pub fn path(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    format!("/{}", rest.split_once('/').map_or("", |(_, path)| path))
}

/// A tar.zst with a small app below `./app`.
pub fn slug_archive() -> Vec<u8> {
    archive("./app/server", "#!/bin/sh\nexec sleep 1000\n")
}

/// A tar.zst with one file.
pub fn archive(name: &str, content: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o755);
    tar.append_data(&mut header, Path::new(name), content.as_bytes()).unwrap();
    zstd::encode_all(&tar.into_inner().unwrap()[..], 1).unwrap()
}

/// Records warnings and errors of our own crates.
#[derive(Clone, Default)]
struct Told {
    lines: Arc<Mutex<Vec<String>>>,
    expected: Arc<Mutex<Vec<String>>>,
    /// Counts database statements within spans that are marked for it.
    statements: Arc<std::sync::atomic::AtomicUsize>,
    /// Counts the computations of feeds.
    looks: Arc<std::sync::atomic::AtomicUsize>,
}

const OURS: [&str; 14] = [
    "areas",
    "background",
    "builder",
    "builds",
    "dyno",
    "logs",
    "monitor",
    "observe",
    "oneoffs",
    "platform",
    "repositories",
    "router",
    "spool",
    "store",
];

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Told {
    fn on_new_span(&self, span: &tracing::span::Attributes<'_>, _: &tracing::span::Id, _: Context<'_, S>) {
        if span.metadata().name() == "look" {
            self.looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let is_counted =
            || context.lookup_current().is_some_and(|now| now.scope().any(|span| span.name() == "counted"));
        if event.metadata().target() == "sqlx::query" && is_counted() {
            self.statements.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        let target = event.metadata().target().split("::").next().unwrap_or_default();
        if *event.metadata().level() > tracing::Level::WARN || !OURS.contains(&target) {
            return;
        }
        let mut line = Line(format!("{} {target}", event.metadata().level()));
        event.record(&mut line);
        self.lines.lock().unwrap().push(line.0);
    }
}

struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

/// The status of a rejected request of the client.
#[track_caller]
pub fn refusal<T: std::fmt::Debug>(outcome: Result<T, api::Error>) -> (StatusCode, String) {
    let err = outcome.expect_err("it should have been refused");
    (StatusCode::from_u16(err.status).unwrap(), err.message)
}
