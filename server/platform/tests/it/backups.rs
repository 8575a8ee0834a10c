//! Backups: made of a running platform, verified, restored into another one; damaged, interrupted, refused.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use api::backups::{Backup, BackupPolicyUpdate, BackupState};
use areas::Areas;
use background::testing::survives_a_crash_anywhere;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use recovery::{BackUp, Key, Plan, Source, Target, back_up};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

use crate::world::{World, until};

const PASSPHRASE: &str = "correct horse battery staple";

/// A platform with an app that has a slug and a repository. The system user `postgres` can traverse its folders.
async fn world() -> World {
    let t = World::start().await;
    for folder in [t.data().parent().unwrap(), &t.data()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
    }
    until("what is begun at the start is done", async || {
        let left: Vec<api::jobs::Job> = t.owner.list("/jobs?state=unfinished".into(), None).await.unwrap();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    t.platform.leave_jobs();
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "serve")]).await;
    let build = t.owner.post("/apps/dusk/samples/node", json!({})).await.json();
    // Its build, which would move the branch, is not run.
    let repository = t.data().join("git").join(format!("{}.git", build["app"]["id"].as_str().unwrap()));
    git(&repository, &["update-ref", "refs/heads/main", build["source_blob"]["version"].as_str().unwrap()]);
    t
}

fn plan(t: &World, folder: &Path) -> Plan {
    let base = t.platform.base().clone();
    Plan {
        run: t.platform.config().run.clone(),
        target: Target::of_operator(&folder.display().to_string(), Vec::new(), true).unwrap(),
        wrapped_key: Some(base.secrets().wrap(PASSPHRASE).unwrap()),
        with_logs: true,
        keep: 3,
        progress: Arc::new(|_, _| {}),
        base,
    }
}

async fn open(folder: &Path) -> anyhow::Result<Source> {
    let target = Target::of_operator(&folder.display().to_string(), Vec::new(), false)?;
    Source::open(&target, Key::Passphrase(PASSPHRASE.into()), None).await
}

async fn listed(t: &World) -> Vec<Backup> {
    t.owner.backup_page(None).await.unwrap().items
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    found.sort();
    found
}

/// The commit of the main branch.
fn tip(repository: &Path) -> String {
    git(repository, &["rev-parse", "--verify", "main^{commit}"])
}

fn git(repository: &Path, args: &[&str]) -> String {
    let mut git = Command::new("git");
    let done = git.args(["-c", "safe.directory=*", "--git-dir"]).arg(repository).args(args).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

#[tokio::test]
async fn a_backup_is_verified_and_becomes_the_same_platform_elsewhere() {
    let t = world().await;
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let row = back_up(&plan(&t, folder.path())).await.unwrap();
    assert_eq!((row.state, row.error), (BackupState::Verified, None));
    let backups = listed(&t).await;
    let stored: u64 = files(&folder.path().join("blobs")).iter().map(|file| file.metadata().unwrap().len()).sum();
    assert_eq!((backups.len(), backups[0].state, backups[0].stored_bytes), (1, BackupState::Verified, stored));
    assert!(t.data().join(recovery::VERIFIED).exists());

    let source = open(folder.path()).await.unwrap();
    assert_eq!(source.name(), row.name);
    let data = elsewhere.path().join("data");
    fs::create_dir(&data).unwrap();
    let progress: recovery::Progress = Arc::new(|_, _| {});
    source.write_files(&data, &progress).await.unwrap();
    sqlx::query("create database restored template template0").execute(&t.db).await.unwrap();
    let url = t.platform.config().database_url.clone();
    let (head, rest) = url.split_once("/test_").unwrap();
    let url = format!("{head}/restored?{}", rest.split_once('?').unwrap().1);
    source.write_database(&url, &data).await.unwrap();
    source.write_key(&data.join("master.key")).unwrap();
    assert_eq!(fs::read(data.join("master.key")).unwrap(), fs::read(t.data().join("master.key")).unwrap());
    for slug in files(&t.data().join("slugs")) {
        let copy = data.join(slug.strip_prefix(t.data()).unwrap());
        assert_eq!(fs::read(copy).unwrap(), fs::read(&slug).unwrap());
    }
    let app = t.owner.app_info("dusk").await.unwrap();
    let repository = |data: &Path| data.join("git").join(format!("{}.git", app.id));
    assert_eq!(tip(&repository(&data)), tip(&repository(&t.data())));

    let mut config = t.builds().config().clone();
    let settings = &mut config.platform.settings;
    (settings.audit_anchor, settings.data, settings.database_url) = (data.join("audit-anchor"), data.clone(), url);
    let restored = Areas::start_with(config, t.driver.clone()).await.unwrap();
    restored.platform().leave_jobs();
    let owner = t.owner.at(&restored);
    assert_eq!(owner.app_info("dusk").await.unwrap().id, app.id);
    let releases = owner.release_page("dusk", None).await.unwrap().items.len();
    assert_eq!(releases, t.owner.release_page("dusk", None).await.unwrap().items.len());
    assert_eq!(owner.event_verify().await.unwrap().broken_at, None);
    restored.stop(false).await;
}

#[tokio::test]
async fn what_has_not_changed_is_not_stored_again_and_old_backups_expire() {
    let t = world().await;
    let folder = TempDir::new().unwrap();
    let mut plan = plan(&t, folder.path());
    let first = back_up(&plan).await.unwrap();
    let before = files(&folder.path().join("blobs")).len();
    plan.with_logs = false;
    let second = back_up(&plan).await.unwrap();
    // The database, at least, has changed.
    assert!(second.stored_bytes > 0 && second.stored_bytes < first.stored_bytes, "{first:?} {second:?}");
    // Both are of this day, so the first one is gone, with what only it had.
    let names: Vec<_> =
        files(&folder.path().join("backups")).iter().map(|f| f.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, [second.name.as_str()]);
    assert!(files(&folder.path().join("blobs")).len() <= before);
    let removed: Vec<_> = listed(&t).await.into_iter().map(|backup| backup.removed_at.is_some()).collect();
    assert_eq!(removed, [false, true]);
}

#[tokio::test]
async fn damage_is_found() {
    let t = world().await;
    let folder = TempDir::new().unwrap();
    back_up(&plan(&t, folder.path())).await.unwrap();
    let slug = files(&t.data().join("slugs")).remove(0);
    // Of all blobs, the one of the slug has its size and sixteen bytes for each chunk.
    let size = slug.metadata().unwrap().len();
    let size = size + 16 * size.div_ceil(1 << 20).max(1);
    let blobs = files(&folder.path().join("blobs"));
    let blob = blobs.iter().find(|blob| blob.metadata().unwrap().len() == size).unwrap();
    let whole = fs::read(blob).unwrap();
    let mut damaged = whole.clone();
    damaged[3] ^= 1;
    fs::write(blob, &damaged).unwrap();
    let into = TempDir::new().unwrap();
    let progress: recovery::Progress = Arc::new(|_, _| {});
    let restored = open(folder.path()).await.unwrap().write_files(into.path(), &progress).await.unwrap_err();
    assert!(format!("{restored:#}").contains("is damaged"), "{restored:#}");
    // The next backup does not trust it, either, and does not exist.
    let next = back_up(&plan(&t, folder.path())).await.unwrap_err();
    assert!(format!("{next:#}").contains("is damaged"), "{next:#}");
    assert_eq!(listed(&t).await[0].state, BackupState::Failed);
    assert_eq!((files(&folder.path().join("backups")).len(), blob.exists()), (1, false));

    fs::write(blob, &whole[..whole.len() - 1]).unwrap();
    let truncated = open(folder.path()).await.err().unwrap().to_string();
    assert!(truncated.contains("missing or truncated"), "{truncated}");
    // And the next backup replaces it.
    back_up(&plan(&t, folder.path())).await.unwrap();
    assert_eq!(fs::read(blob).unwrap(), whole);
}

#[tokio::test]
async fn an_interrupted_backup_does_not_exist_and_is_continued() {
    let t = world().await;
    let folder = TempDir::new().unwrap();
    let (reached, mut plan) = (Arc::new(Notify::new()), plan(&t, folder.path()));
    let notify = reached.clone();
    plan.progress = Arc::new(move |_, note| {
        if note.starts_with("repository") {
            notify.notify_one();
        }
    });
    tokio::select! {
        biased;
        () = reached.notified() => {}
        row = back_up(&plan) => panic!("{row:?}"),
    }
    assert_eq!(files(&folder.path().join("backups")), Vec::<PathBuf>::new());
    assert!(open(folder.path()).await.err().unwrap().to_string().contains("There are no backups"));
    assert!(!files(&folder.path().join("blobs")).is_empty());
    // A killed process leaves an incomplete file.
    let part = folder.path().join("blobs/aa/bb#1");
    fs::create_dir_all(part.parent().unwrap()).unwrap();
    fs::write(&part, "incomplete").unwrap();
    back_up(&plan).await.unwrap();
    assert!(!part.exists());
    let states: Vec<_> = listed(&t).await.into_iter().map(|backup| backup.state).collect();
    assert_eq!(states, [BackupState::Verified, BackupState::Failed]);
}

/// An S3 server on a free port of 127.0.0.1, until it is dropped. It has one bucket, acme, and checks signatures.
struct S3 {
    folder: TempDir,
    endpoint: String,
    accepting: JoinHandle<()>,
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl S3 {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("acme")).unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single("AKIA", "swordfish"));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    // A client that is gone is no fault.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { folder, endpoint, accepting }
    }

    /// The objects in the bucket.
    fn objects(&self) -> Vec<PathBuf> {
        files(&self.folder.path().join("acme"))
    }

    /// The settings that lead to it, but for `others`.
    fn policy(&self, others: Value) -> Value {
        let mut policy = json!({
            "target": "s3://acme/wharf/one", "endpoint": self.endpoint, "access_key_id": "AKIA",
            "secret_access_key": "swordfish", "passphrase": PASSPHRASE,
        });
        policy.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
        policy
    }
}

/// What the job does with these settings.
async fn planned(t: &World, policy: Value) -> Plan {
    let answer = t.owner.patch("/backup-policy", policy).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let run = &t.platform.config().run;
    recovery::planned(t.areas.recovery(), run, Arc::new(|_, _| {})).await.unwrap().expect("there is a target")
}

#[tokio::test]
async fn a_bucket_is_a_target_like_a_folder() {
    let (t, s3) = (world().await, S3::start().await);
    let plan = planned(&t, s3.policy(json!({}))).await;
    let first = back_up(&plan).await.unwrap();
    assert_eq!((first.state, first.error.as_deref()), (BackupState::Verified, None));
    let below = s3.folder.path().join("acme/wharf/one");
    assert!(s3.objects().iter().all(|object| object.starts_with(&below)), "{:?}", s3.objects());
    // Of two backups of a day, the second one is kept, and most of it is there already.
    let second = back_up(&plan).await.unwrap();
    assert!(second.stored_bytes < first.stored_bytes, "{first:?} {second:?}");
    let names: Vec<_> = files(&below.join("backups")).iter().map(|f| f.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, [second.name.as_str()]);

    let source = Source::open(&plan.target, Key::Passphrase(PASSPHRASE.into()), None).await.unwrap();
    let into = TempDir::new().unwrap();
    let progress: recovery::Progress = Arc::new(|_, _| {});
    source.write_files(into.path(), &progress).await.unwrap();
    for slug in files(&t.data().join("slugs")) {
        let copy = into.path().join(slug.strip_prefix(t.data()).unwrap());
        assert_eq!(fs::read(copy).unwrap(), fs::read(&slug).unwrap());
    }
}

#[tokio::test]
async fn objects_of_a_bucket_can_have_several_parts_and_be_deleted_twice() {
    let (t, s3) = (World::start().await, S3::start().await);
    let target = planned(&t, s3.policy(json!({}))).await.target;
    let content: Vec<u8> = (0..17_u32 << 20).map(|n| (n / 7) as u8).collect();
    let mut upload = target.upload("blobs/aa/large").await.unwrap();
    for part in content.chunks(1 << 20) {
        upload.write(part.to_vec()).await.unwrap();
    }
    assert_eq!(target.size("blobs/aa/large").await.unwrap(), None, "it is not complete");
    upload.finish().await.unwrap();
    let size = content.len() as u64;
    assert_eq!(target.list("blobs").await.unwrap(), [("blobs/aa/large".to_owned(), size)]);
    // Around the end of its first part.
    let read = target.read_range("blobs/aa/large", (16 << 20) - 5, 10).await.unwrap();
    assert_eq!(read[..], content[(16 << 20) - 5..][..10]);
    let aborted = target.upload("blobs/aa/other").await.unwrap();
    aborted.abort().await;
    target.write("small", b"one".to_vec()).await.unwrap();
    target.write("small", b"two".to_vec()).await.unwrap();
    assert_eq!(target.read("small").await.unwrap().as_deref(), Some(&b"two"[..]));
    assert_eq!(target.read("none").await.unwrap(), None);
    for name in ["blobs/aa/large", "blobs/aa/large", "small"] {
        target.delete(name).await.unwrap();
    }
    assert_eq!(s3.objects(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_bucket_that_cannot_be_used_says_why() {
    let (t, s3) = (World::start().await, S3::start().await);
    for policy in [json!({ "secret_access_key": "wrong" }), json!({ "access_key_id": "AKIB" })] {
        let err = back_up(&planned(&t, s3.policy(policy)).await).await.unwrap_err();
        assert!(format!("{err:#}").contains("rejects the credentials"), "{err:#}");
        assert!(!format!("{err:#}").contains("swordfish"), "{err:#}");
    }
    let missing = planned(&t, s3.policy(json!({ "target": "s3://other/wharf" }))).await.target;
    let err = format!("{:#}", missing.list("blobs").await.unwrap_err());
    assert!(err.contains("s3://other/wharf does not exist"), "{err}");
    assert_eq!(s3.objects(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_target_belongs_to_one_platform_and_opens_with_its_key_only() {
    let t = world().await;
    let folder = TempDir::new().unwrap();
    back_up(&plan(&t, folder.path())).await.unwrap();
    let target = Target::of_operator(&folder.path().display().to_string(), Vec::new(), false).unwrap();
    let opened = async |key| Source::open(&target, key, None).await.err().unwrap().to_string();
    assert_eq!(opened(Key::Passphrase("correct horse battery".into())).await, "The passphrase is wrong.");
    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert!(opened(Key::Plain(other.into())).await.contains("made with another master key"));
    let own = fs::read_to_string(t.data().join("master.key")).unwrap();
    assert!(Source::open(&target, Key::Plain(own), None).await.is_ok());

    let stranger = world().await;
    let refused = back_up(&plan(&stranger, folder.path())).await.unwrap_err().to_string();
    assert!(refused.contains("has the backups of another platform"), "{refused}");
    let inside = back_up(&plan(&t, &t.data().join("backups"))).await.unwrap_err().to_string();
    assert!(inside.contains("is in the data directory"), "{inside}");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(t.data(), &link).unwrap();
    let inside = back_up(&plan(&t, &link.join("backups"))).await.unwrap_err().to_string();
    assert!(inside.contains("is in the data directory"), "{inside}");
}

#[tokio::test]
async fn the_policy_asks_for_the_key_and_hides_secrets() {
    let t = World::start().await;
    let folder = TempDir::new().unwrap();
    let target = folder.path().display().to_string();
    let set = async |update: serde_json::Value| t.owner.patch("/backup-policy", update).await;
    let before = t.owner.backup_policy_info().await.unwrap();
    assert_eq!((before.target, before.next_run_at, before.keep), (None, None, 14));
    for (update, why) in [
        (json!({ "target": target }), "passphrase is required"),
        (json!({ "target": target, "passphrase": "short" }), "at least 12 characters"),
        (json!({ "target": "backups" }), "neither an absolute path"),
        (json!({ "target": "/" , "passphrase": PASSPHRASE }), "a folder of its own"),
        (json!({ "target": t.data().join("x"), "passphrase": PASSPHRASE }), "is in the data directory"),
        (json!({ "target": "s3://acme", "passphrase": PASSPHRASE }), "access_key_id and secret_access_key"),
        (json!({ "endpoint": "http://169.254.169.254" }), "cannot be used"),
        (json!({ "endpoint": "https://AKIA:swordfish@s3.example.com" }), "cannot contain a user, a password"),
        (json!({ "keep": 0 }), "between 1 and"),
        (json!({ "cron": "daily" }), "does not have five fields"),
    ] {
        let (status, _, message) = set(update).await.error();
        assert!(status == 422 && message.contains(why), "{status} {message}");
    }
    let s3 = json!({
        "target": "s3://acme/wharf", "access_key_id": "AKIA", "secret_access_key": "swordfish", "passphrase": PASSPHRASE,
        "cron": "0 5 * * *", "zone": "Europe/Berlin",
    });
    let answer = set(s3).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.text().contains("swordfish") && !answer.text().contains(PASSPHRASE), "{answer:?}");
    let policy = t.owner.backup_policy_info().await.unwrap();
    assert!(policy.has_secret && policy.has_passphrase && policy.next_run_at.is_some(), "{policy:?}");
    let stored: Vec<u8> = sqlx::query_scalar("select secret from backup_policies").fetch_one(&t.db).await.unwrap();
    assert!(!stored.windows(9).any(|part| part == b"swordfish"));
    let off = BackupPolicyUpdate { target: Some(String::new()), ..BackupPolicyUpdate::default() };
    assert_eq!(t.owner.backup_policy_update(&off).await.unwrap().next_run_at, None);
    let events = t.owner.event_list_all().await.unwrap();
    let noted: Vec<_> = events.iter().filter(|event| event.action == "backup_policy.update").collect();
    assert_eq!(noted.len(), 2);
    assert!(!serde_json::to_string(&noted).unwrap().contains("swordfish"));
}

#[tokio::test]
async fn backing_up() {
    let t = world().await;
    let folder = TempDir::new().unwrap();
    let update = json!({ "target": folder.path(), "passphrase": PASSPHRASE });
    assert_eq!(t.owner.patch("/backup-policy", update).await.status, 200);
    let points = survives_a_crash_anywhere(
        &t.db,
        t.areas.recovery().clone(),
        async || BackUp {},
        async |_| {
            assert_eq!(listed(&t).await[0].state, BackupState::Verified);
            assert_eq!(files(&folder.path().join("backups")).len(), 1);
        },
    )
    .await;
    assert_eq!(points, 3);
}
