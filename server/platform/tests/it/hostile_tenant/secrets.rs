//! Attempts to read passwords in URLs, uploads of others, and folders of the machine.

use serde_json::{Value, json};

use crate::{
    builds::source,
    jobs::idle,
    world::{World, account, path, until},
};

const SECRET: &str = "hush-hush-hush";

/// Grants the stranger only the permission to view an app.
async fn viewer(t: &World, app: &str) {
    let body = json!({ "user": "stranger@example.com", "permissions": ["view"] });
    assert_eq!(t.owner.post(&format!("/apps/{app}/collaborators"), body).await.status, 201);
}

async fn set(t: &World, urls: &[&str]) -> Value {
    let updates: Vec<_> = urls.iter().map(|url| json!({ "buildpack": url })).collect();
    let answer =
        t.owner.ask("PUT", "/apps/dusk/buildpack-installations").body(json!({ "updates": updates }).to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn kept(t: &World) -> Vec<String> {
    sqlx::query_scalar("select buildpacks from apps where name = 'dusk'").fetch_one(&t.db).await.unwrap()
}

#[tokio::test]
async fn passwords_of_buildpacks_are_shown_nowhere() {
    let t = World::start().await;
    t.app("dusk").await;
    viewer(&t, "dusk").await;
    let url = format!("https://me:{SECRET}@packs.example/a.git?key={SECRET}#main");
    let shown = set(&t, &[&url]).await;
    assert_eq!(shown[0]["buildpack"]["url"], "https://***@packs.example/a.git?***#main");
    // Sending the list back with one more entry preserves the password.
    set(&t, &["https://***@packs.example/a.git?***#main", "heroku/nodejs"]).await;
    assert_eq!(kept(&t).await, ["https://***@packs.example/a.git?***#main", "heroku/nodejs"]);
    set(&t, &[&url]).await;

    t.driver.react(|_| dyno::fake::Reaction::Exit(1));
    let body = json!({ "source_blob": { "url": source(&t).await } });
    let build = t.owner.post("/apps/dusk/builds", body).await.json();
    let number = build["id"].as_str().unwrap().to_owned();
    until("the build has ended", async || {
        let now = t.owner.get(&format!("/apps/dusk/builds/{number}")).await.json();
        if now["status"] == "pending" { Err(now.to_string()) } else { Ok(()) }
    })
    .await;
    for route in [
        "/apps/dusk/buildpack-installations",
        "/apps/dusk/builds",
        "/apps/dusk/builds/1",
        "/apps/dusk/builds/1/result",
        "/apps/dusk/events",
        "/apps/dusk/log-lines",
        "/apps/dusk/status",
    ] {
        for who in [&t.owner, &t.stranger] {
            let answer = who.get(route).await;
            assert_eq!(answer.status, 200, "{route}: {answer:?}");
            assert!(!answer.text().contains(SECRET), "{route}: {answer:?}");
        }
    }
    for route in ["/events", "/platform"] {
        assert!(!t.owner.get(route).await.text().contains(SECRET), "{route}");
    }
}

/// Everything in the database, as text, except for encrypted values.
async fn all_rows(t: &World) -> String {
    let tables: Vec<String> = sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'public'")
        .fetch_all(&t.db)
        .await
        .unwrap();
    let mut all = String::new();
    for table in tables {
        let rows = sqlx::AssertSqlSafe(format!("select row_to_json(r)::text from \"{table}\" r"));
        all += &sqlx::query_scalar::<_, String>(rows).fetch_all(&t.db).await.unwrap().join("\n");
    }
    all
}

#[tokio::test]
async fn passwords_of_addresses_are_nowhere_in_the_database() {
    let t = World::start().await;
    t.app("dusk").await;
    let pack = format!("https://me:{SECRET}@packs.example/a.git?key={SECRET}#main");
    set(&t, &["heroku/nodejs", &pack]).await;
    let outside = format!("https://user:{SECRET}@127.0.0.1/a.tgz?X-Amz-Signature={SECRET}&token={SECRET}#{SECRET}");
    let upload = source(&t).await;
    t.driver.react(|_| dyno::fake::Reaction::Exit(1));
    for (number, url) in [&outside, &upload].into_iter().enumerate() {
        let made = t.owner.post("/apps/dusk/builds", json!({ "source_blob": { "url": url } })).await;
        assert_eq!(made.status, 201, "{made:?}");
        until("the build has ended", async || {
            let now = t.owner.get(&format!("/apps/dusk/builds/{}", number + 1)).await.json();
            if now["status"] == "pending" { Err(now.to_string()) } else { Ok(()) }
        })
        .await;
    }
    let all = all_rows(&t).await;
    assert!(all.contains("https://***@packs.example/a.git?***#main"), "{all}");
    let secret = upload.rsplit('/').next().unwrap();
    for secret in [SECRET, secret] {
        assert!(!all.contains(secret), "{:?}", all.lines().filter(|l| l.contains(secret)).collect::<Vec<_>>());
    }
    // They are used as entered: the archive was found, and the buildpack requested.
    let build = t.owner.get("/apps/dusk/builds/2").await.json();
    assert_eq!(build["source_blob"]["url"], upload.as_str());
}

#[tokio::test]
async fn addresses_of_before_are_sealed_and_read_all_the_time() {
    // Else the same job of the first start could still be running when its server goes.
    let t = idle().await;
    t.app("dusk").await;
    let upload = source(&t).await;
    t.owner.post("/apps/dusk/builds", json!({ "source_blob": { "url": upload } })).await;
    let pack = format!("https://me:{SECRET}@packs.example/a.git");
    // As the previous version wrote them.
    for query in [
        format!("update apps set buildpacks = '{{heroku/go,{pack}}}', buildpacks_sealed = null"),
        format!(
            "update builds set buildpacks = '{{{pack}}}', buildpacks_sealed = null, source_url = '{upload}', source_sealed = null"
        ),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(query)).execute(&t.db).await.unwrap();
    }
    let shown = async |t: &World| {
        let packs = t.owner.get("/apps/dusk/buildpack-installations").await.json();
        assert_eq!(packs[1]["buildpack"]["url"], "https://***@packs.example/a.git");
        let build = t.owner.get("/apps/dusk/builds/1").await.json();
        assert_eq!(build["source_blob"]["url"], upload.as_str());
        assert_eq!(build["buildpacks"][0]["url"], "https://***@packs.example/a.git");
    };
    shown(&t).await;
    // The job that encrypts them runs at startup.
    let t = t.again().await;
    until("they are sealed", async || {
        let all = all_rows(&t).await;
        if all.contains(SECRET) || all.contains(&upload) { Err("they are not".into()) } else { Ok(()) }
    })
    .await;
    shown(&t).await;
    // The masked URL still identifies the one with the password.
    set(&t, &["https://***@packs.example/a.git"]).await;
    let sealed: Option<Vec<u8>> =
        sqlx::query_scalar("select buildpacks_sealed from apps").fetch_one(&t.db).await.unwrap();
    assert!(sealed.is_some());
}

#[tokio::test]
async fn source_urls_are_for_deployers_and_uploads_for_their_owners() {
    let t = World::start().await;
    t.app("dusk").await;
    viewer(&t, "dusk").await;
    let upload = source(&t).await;
    let outside = format!("https://user:{SECRET}@127.0.0.1/a.tgz?X-Amz-Signature={SECRET}&token={SECRET}#{SECRET}");
    for url in [&upload, &outside] {
        let made = t.owner.post("/apps/dusk/builds", json!({ "source_blob": { "url": url } })).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    let url_of = |build: Value| build["source_blob"]["url"].clone();
    assert_eq!(url_of(t.owner.get("/apps/dusk/builds/1").await.json()), upload.as_str());
    assert_eq!(url_of(t.owner.get("/apps/dusk/builds/2").await.json()), "https://***@127.0.0.1/a.tgz?***");
    for number in ["1", "2"] {
        let seen = t.stranger.get(&format!("/apps/dusk/builds/{number}")).await;
        assert!(url_of(seen.json()).is_null() && !seen.text().contains("/blobs/sources/"), "{seen:?}");
    }
    // Not even users who can deploy have access to another user's upload: it may be for another app.
    let token = account(&t.db, "deployer@example.com").await;
    let body = json!({ "user": "deployer@example.com", "permissions": ["deploy"] });
    t.owner.post("/apps/dusk/collaborators", body).await;
    let deployer = t.actor(&token);
    assert!(url_of(deployer.get("/apps/dusk/builds/1").await.json()).is_null());

    // A URL becomes invalid with the account.
    let made = t.stranger.post("/sources", json!({})).await.json();
    let put = path(made["source_blob"]["put_url"].as_str().unwrap());
    assert_eq!(t.anonymous.ask("PUT", &put).body("x").await.status, 200);
    let get = path(made["source_blob"]["get_url"].as_str().unwrap());
    assert_eq!(t.anonymous.get(&get).await.status, 200);
    let suspended = t.owner.patch("/users/stranger@example.com", json!({ "suspended": true })).await;
    assert_eq!(suspended.status, 200, "{suspended:?}");
    assert_eq!(t.anonymous.get(&get).await.status, 404);
    assert_eq!(t.anonymous.ask("PUT", &put).body("y").await.status, 404);
}

#[tokio::test]
async fn folders_of_the_machine_are_for_administrators() {
    let t = World::start().await;
    let app = t.stranger.post("/apps", json!({ "name": "dawn" })).await;
    assert_eq!(app.status, 201, "{app:?}");
    for url in ["file:///srv/repository", "file:///var/lib/wharf/git/x.git#main", " file:///etc "] {
        let body = json!({ "updates": [{ "buildpack": url }] }).to_string();
        let refused = t.stranger.ask("PUT", "/apps/dawn/buildpack-installations").body(body).await;
        assert!(refused.error().2.contains("Only a platform administrator"), "{url}: {refused:?}");
        let body = json!({ "source_blob": { "url": "https://a.example/x.tgz" }, "buildpacks": [{ "url": url }] });
        assert_eq!(t.stranger.post("/apps/dawn/builds", body).await.error().0, 403, "{url}");
    }
    // Nor can anybody else build with a buildpack that was set before that rule, or by an administrator.
    sqlx::query("update apps set buildpacks = '{file:///srv/repository}' where name = 'dawn'")
        .execute(&t.db)
        .await
        .unwrap();
    let made = t.stranger.post("/sources", json!({})).await.json();
    let put = path(made["source_blob"]["put_url"].as_str().unwrap());
    let archive = crate::world::archive("Procfile", "web: ./server\n");
    assert_eq!(t.anonymous.ask("PUT", &put).body(archive).await.status, 200);
    let body = json!({ "source_blob": { "url": made["source_blob"]["get_url"] } });
    let build = t.stranger.post("/apps/dawn/builds", body).await;
    assert_eq!(build.status, 201, "{build:?}");
    let output = path(build.json()["output_stream_url"].as_str().unwrap());
    let said = t.anonymous.get(&output).await.text();
    assert!(said.contains("which only administrators can use"), "{said}");
    assert_eq!(t.driver.started().len(), 0);
}

#[tokio::test]
async fn drains_are_nowhere_in_the_database_as_they_are_used() {
    let t = World::start().await;
    t.app("dusk").await;
    let url = |n: u8| format!("https://me:{SECRET}@logs.example/{n}?key={SECRET}");
    let made = t.owner.post("/apps/dusk/log-drains", json!({ "url": url(1) })).await.json();
    // As the previous version wrote them; one of them was added twice, while both versions ran.
    for (n, url) in [url(2), url(1)].iter().enumerate() {
        let insert = "insert into log_drains (id, app_id, url, token, created_at, updated_at)
                      select gen_random_uuid(), id, $1, $2, now(), now() from apps";
        sqlx::query(insert).bind(url).bind(format!("d.{SECRET}-{n}")).execute(&t.db).await.unwrap();
    }
    let taken = t.owner.post("/apps/dusk/log-drains", json!({ "url": url(2) })).await;
    assert_eq!(taken.error().2, "Url has already been taken");
    let shown = async |t: &World| {
        let list = t.owner.get("/apps/dusk/log-drains").await.json();
        let mut urls: Vec<_> = list.as_array().unwrap().iter().map(|d| d["url"].as_str().unwrap().to_owned()).collect();
        urls.sort();
        urls.dedup();
        assert_eq!(urls, [url(1), url(2)]);
        list.as_array().unwrap().len()
    };
    shown(&t).await;
    let t = t.again().await;
    until("they are sealed", async || {
        let all = all_rows(&t).await;
        if all.contains(SECRET) || all.contains("logs.example") { Err("they are not".into()) } else { Ok(()) }
    })
    .await;
    assert_eq!(shown(&t).await, 2);
    let all = all_rows(&t).await;
    assert!(!all.contains(made["token"].as_str().unwrap()), "{all}");
    for which in [url(2), format!("d.{SECRET}-0"), made["token"].as_str().unwrap().to_owned()] {
        let route = format!("/apps/dusk/log-drains/{}", api::client::segment(&which));
        assert_eq!(t.owner.get(&route).await.status, 200, "{which}");
    }
    for route in ["/apps/dusk/events", "/events"] {
        assert!(!t.owner.get(route).await.text().contains(SECRET), "{route}");
    }
}
