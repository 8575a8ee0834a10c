//! Attempts to fill the disk through uploads: beyond quotas, concurrently, with orphaned archives.

use std::{
    convert::Infallible,
    fs::{self, File, FileTimes},
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use axum::body::{Body, Bytes};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    teams::somebody,
    world::{Actor, World, archive, path, slug_archive, until},
};

/// The URL for an upload of source code.
async fn place(who: &Actor) -> String {
    let made = who.post("/sources", Value::Null).await;
    assert_eq!(made.status, 201, "{made:?}");
    path(made.json()["source_blob"]["put_url"].as_str().unwrap())
}

/// A slug of the stranger's app, and the URL for its archive.
async fn slug(who: &Actor) -> (String, String) {
    let made = who.post("/apps/dawn/slugs", json!({ "process_types": { "web": "./server" } })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    (made["id"].as_str().unwrap().to_owned(), path(made["blob"]["url"].as_str().unwrap()))
}

/// A body of undeclared length, which lasts as long as its sender.
fn open_body() -> (mpsc::Sender<Result<Bytes, Infallible>>, Body) {
    let (feed, body) = mpsc::channel(1);
    (feed, Body::from_stream(ReceiverStream::new(body)))
}

/// The same, complete.
fn unannounced(bytes: Vec<u8>) -> Body {
    Body::from_stream(futures::stream::iter([Ok::<_, Infallible>(Bytes::from(bytes))]))
}

/// Slow uploads to these URLs. Returns their senders and their responses.
async fn begin(t: &World, address: &str) -> (mpsc::Sender<Result<Bytes, Infallible>>, tokio::task::JoinHandle<u16>) {
    let (feed, body) = open_body();
    let ask = t.anonymous.ask("PUT", address).body(body);
    let upload = tokio::spawn(async move { ask.await.status });
    feed.send(Ok(Bytes::from_static(b"begun"))).await.unwrap();
    // The channel holds one chunk: when it accepts another, the first one was read.
    feed.send(Ok(Bytes::from_static(b"begun"))).await.unwrap();
    (feed, upload)
}

fn archives(t: &World) -> Vec<String> {
    let mut found = Vec::new();
    for folder in fs::read_dir(t.data().join("slugs")).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            found.push(file.unwrap().file_name().into_string().unwrap());
        }
    }
    found.sort();
    found
}

async fn allow(t: &World, bytes: u64) {
    let set = t.owner.patch("/users/stranger@example.com/quotas", json!({ "upload_bytes": bytes })).await;
    assert_eq!(set.status, 200, "{set:?}");
}

#[tokio::test]
async fn an_address_has_one_writer_at_a_time() {
    let t = World::start().await;
    t.stranger.post("/apps", json!({ "name": "dawn" })).await;
    let (_, slug_address) = slug(&t.stranger).await;
    for (address, archive) in
        [(place(&t.stranger).await, archive("Procfile", "web: ./server\n")), (slug_address, slug_archive())]
    {
        let (feed, first) = begin(&t, &address).await;
        let (status, id, message) = t.anonymous.ask("PUT", &address).body(archive.clone()).await.error();
        assert_eq!((status, id.as_str()), (409, "conflict"));
        assert!(message.contains("Another upload to this URL is in progress"), "{message}");
        // The first client disconnects.
        first.abort();
        drop(feed);
        until("the address is free", async || {
            match t.anonymous.ask("PUT", &address).body(archive.clone()).await.status {
                200 => Ok(()),
                other => Err(other.to_string()),
            }
        })
        .await;
    }
    let left: i64 = sqlx::query_scalar("select count(*) from uploads").fetch_one(&t.db).await.unwrap();
    assert_eq!((left, archives(&t).len()), (0, 1));
    assert!(t.leftovers().is_empty(), "{:?}", t.leftovers());
    assert_eq!(fs::read_dir(t.data().join("sources")).unwrap().count(), 1);
}

#[tokio::test]
async fn uploads_of_a_killed_server_expire_soon() {
    let t = World::start().await;
    let address = place(&t.stranger).await;
    let claim = async |since: &str| {
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "insert into uploads (id, writer, server_id, created_at, updated_at)
             select id, id, $1, now(), now() - interval '{since}'
             from sources on conflict (id) do update set updated_at = excluded.updated_at"
        )))
        .bind(t.platform.server_id())
        .execute(&t.db)
        .await
        .unwrap();
    };
    claim("10 seconds").await;
    assert_eq!(t.anonymous.ask("PUT", &address).body("x").await.status, 409);
    claim("2 minutes").await;
    assert_eq!(t.anonymous.ask("PUT", &address).body("x").await.status, 200);
    // The next server knows that the upload has ended.
    let address = place(&t.stranger).await;
    claim("0 seconds").await;
    assert_eq!(t.anonymous.ask("PUT", &address).body("x").await.status, 409);
    let t = t.again().await;
    assert_eq!(t.anonymous.ask("PUT", &address).body("x").await.status, 200);
}

#[tokio::test]
async fn who_may_deploy_an_app_does_not_take_its_owners_slots() {
    let t = World::start().await;
    t.stranger.post("/apps", json!({ "name": "dawn" })).await;
    let eve = somebody(&t, "eve").await;
    let let_in = json!({ "user": "eve@example.com", "permissions": ["view", "deploy"] });
    assert_eq!(t.stranger.post("/apps/dawn/collaborators", let_in).await.status, 201);
    let mut begun = Vec::new();
    for _ in 0..4 {
        begun.push(begin(&t, &slug(&eve).await.1).await);
    }
    let (_, fifth) = slug(&eve).await;
    assert_eq!(t.anonymous.ask("PUT", &fifth).body(slug_archive()).await.status, 429);
    let (_, own) = slug(&t.stranger).await;
    assert_eq!(t.anonymous.ask("PUT", &own).body(slug_archive()).await.status, 200);
    drop(begun);
}

#[tokio::test]
async fn slugs_of_releases_count_as_long_as_they_are_kept() {
    let t = World::start().await;
    t.stranger.post("/apps", json!({ "name": "dawn" })).await;
    let most = slug_archive().len() * 2 - 1;
    let set = async |most: Value| {
        let set = t.owner.patch("/users/stranger@example.com/quotas", json!({ "disk_bytes": most })).await;
        assert_eq!(set.status, 200, "{set:?}");
    };
    set(json!(most)).await;
    let (id, address) = slug(&t.stranger).await;
    assert_eq!(t.anonymous.ask("PUT", &address).body(slug_archive()).await.status, 200);
    assert_eq!(t.stranger.post("/apps/dawn/releases", json!({ "slug": id })).await.status, 201);
    let (_, address) = slug(&t.stranger).await;
    for body in [Body::from(slug_archive()), unannounced(slug_archive())] {
        let (status, id, message) = t.anonymous.ask("PUT", &address).body(body).await.error();
        assert_eq!((status, id.as_str()), (422, "quota_reached"));
        assert!(message.contains("quota \"disk_bytes\"") && message.contains("Destroy apps"), "{message}");
    }
    set(Value::Null).await;
    assert_eq!(t.anonymous.ask("PUT", &address).body(slug_archive()).await.status, 200);
}

#[tokio::test]
async fn outputs_of_old_builds_and_releases_are_removed() {
    let t = World::start().await;
    let app = t.app("dusk").await;
    let release = t.deploy("dusk", &[("web", "./server")]).await;
    let folder = t.data().join("builds").join(app.id.to_string());
    fs::create_dir_all(&folder).unwrap();
    let newest = folder.join(format!("release-{}.log", release.id));
    let old = |n: usize| {
        let kind = if n.is_multiple_of(2) { "release-" } else { "" };
        folder.join(format!("{kind}{}.log", uuid::Uuid::now_v7()))
    };
    fs::write(&newest, "x").unwrap();
    let runs = "select count(*) from jobs where kind = 'retention.run' and state = 'succeeded'";
    until("it has run at the start", async || {
        match sqlx::query_scalar::<_, i64>(runs).fetch_one(&t.db).await.unwrap() {
            1 => Ok(()),
            n => Err(n.to_string()),
        }
    })
    .await;
    (0..99).for_each(|n| fs::write(old(n), "x").unwrap());
    let left = async || fs::read_dir(&folder).unwrap().count();
    // This many are kept.
    let t = t.again().await;
    let runs = async || sqlx::query_scalar::<_, i64>(runs).fetch_one(&t.db).await.unwrap();
    until("it has run again", async || match runs().await {
        2 => Ok(()),
        n => Err(n.to_string()),
    })
    .await;
    assert_eq!(left().await, 100);
    fs::write(old(1), "x").unwrap();
    let _t = t.again().await;
    until("the old ones are gone", async || match left().await {
        1 => Ok(()),
        n => Err(n.to_string()),
    })
    .await;
    assert!(newest.exists());
}

#[tokio::test]
async fn the_quota_is_looked_at_when_the_bytes_come() {
    let t = World::start().await;
    t.stranger.post("/apps", json!({ "name": "dawn" })).await;
    allow(&t, 5000).await;
    let mut places = Vec::new();
    for _ in 0..4 {
        places.push(place(&t.stranger).await);
    }
    // All of them begin while there is space for each; only two fit when they end.
    let uploads =
        places.iter().map(|place| t.anonymous.ask("PUT", place).body(unannounced(vec![7; 2000])).into_future());
    let mut ends: Vec<u16> = join_all(uploads).await.iter().map(|answer| answer.status).collect();
    ends.sort_unstable();
    assert_eq!(ends, [200, 200, 422, 422]);
    let kept = fs::read_dir(t.data().join("sources")).unwrap().count();
    assert_eq!(kept, 2);
    // An upload with a declared size is rejected before its body is sent.
    let (_, address) = slug(&t.stranger).await;
    let (status, id, message) = t.anonymous.ask("PUT", &address).body(vec![7; 2000]).await.error();
    assert_eq!((status, id.as_str()), (422, "quota_reached"));
    assert!(message.contains("quota \"upload_bytes\""), "{message}");
    // A slug of undeclared size leaves no archive.
    allow(&t, 4001).await;
    let refused = t.anonymous.ask("PUT", &address).body(unannounced(slug_archive())).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_eq!(archives(&t), Vec::<String>::new());
    allow(&t, 10_000).await;
    assert_eq!(t.anonymous.ask("PUT", &address).body(slug_archive()).await.status, 200);
    assert_eq!(archives(&t).len(), 1);
}

#[tokio::test]
async fn an_owner_uploads_few_things_at_once() {
    let t = World::start().await;
    let mut begun = Vec::new();
    for _ in 0..4 {
        begun.push(begin(&t, &place(&t.stranger).await).await);
    }
    let fifth = place(&t.stranger).await;
    let (status, _, message) = t.anonymous.ask("PUT", &fifth).body("x").await.error();
    assert_eq!(status, 429);
    assert!(message.contains("too many uploads"), "{message}");
    // Others are not affected.
    let other = place(&t.owner).await;
    assert_eq!(t.anonymous.ask("PUT", &other).body("x").await.status, 200);
    for (feed, upload) in begun {
        drop(feed);
        assert_eq!(upload.await.unwrap(), 200);
    }
    assert_eq!(t.anonymous.ask("PUT", &fifth).body("x").await.status, 200);
}

fn write(file: &Path, age: Duration) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, "x").unwrap();
    let times = FileTimes::new().set_modified(SystemTime::now() - age);
    File::options().write(true).open(file).unwrap().set_times(times).unwrap();
}

#[tokio::test]
async fn archives_and_sources_that_nothing_names_are_removed() {
    let t = World::start().await;
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server")]).await;
    let named = archives(&t);
    let old = Duration::from_secs(2 * 3600);
    let slugs = t.data().join("slugs");
    File::options()
        .write(true)
        .open(slugs.join(&named[0][..2]).join(&named[0]))
        .unwrap()
        .set_times(FileTimes::new().set_modified(SystemTime::now() - old))
        .unwrap();
    let [gone, young] = ["a", "b"].map(|digit| slugs.join(digit.repeat(2)).join(format!("{}.slug", digit.repeat(64))));
    let part = slugs.join("cc").join(format!("{}.slug#1", "c".repeat(64)));
    let source = t.data().join("sources").join(uuid::Uuid::now_v7().to_string());
    write(&gone, old);
    write(&young, Duration::ZERO);
    write(&part, Duration::ZERO);
    write(&source, old);
    let t = t.again().await;
    until("they are gone", async || {
        let left: Vec<_> = [&gone, &part, &source].into_iter().filter(|file| file.exists()).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    assert!(young.exists(), "it may be on its way");
    let others: Vec<_> = archives(&t).into_iter().filter(|name| !young.ends_with(name)).collect();
    assert_eq!(others, named);
}

#[tokio::test]
async fn an_upload_without_disk_space_is_rejected() {
    let t = World::start().await;
    let folder = t.data().join("sources");
    let small = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "none"]).arg(&folder).status().unwrap();
    assert!(small.success());
    let address = place(&t.owner).await;
    t.expects("No space left on device");
    let (status, id, message) = t.anonymous.ask("PUT", &address).body("x").await.error();
    assert!(Command::new("umount").arg(&folder).status().unwrap().success());
    assert_eq!((status, id.as_str()), (507, "disk_full"));
    assert!(message.contains("disk is full"), "{message}");
    assert_eq!(t.anonymous.ask("PUT", &address).body("x").await.status, 200);
}
