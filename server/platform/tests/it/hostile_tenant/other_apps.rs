//! Attempts to delay other tenants' apps.

use serde_json::json;

use crate::world::{World, until};

#[tokio::test]
async fn a_slug_that_cannot_be_unpacked_holds_up_its_own_app_only() {
    let t = World::start().await;
    t.app("poison").await;
    let slug = t.slug("poison", &[("web", "./server")]).await;
    // Bypasses the check at the upload: on disk, the archive is replaced by another one.
    let checksum = t.owner.slug_info("poison", &slug).await.unwrap().checksum.unwrap();
    let hex = checksum.trim_start_matches("SHA256:");
    let link = super::files::entry(tar::EntryType::Symlink, "app", "/etc", 0);
    let hostile = super::files::packed(&[link], 1024);
    std::fs::write(t.data().join(format!("slugs/{}/{hex}.slug", &hex[..2])), hostile).unwrap();
    t.owner.post("/apps/poison/releases", json!({ "slug": slug })).await;

    t.app("dusk").await;
    let other = super::super::world::archive("./app/server", "#!/bin/sh\nexec sleep 2000\n");
    let wish = json!({ "process_types": { "web": "./server" } });
    let whole = t.owner.post("/apps/dusk/slugs", wish).await.json();
    let put = crate::world::path(whole["blob"]["url"].as_str().unwrap());
    assert_eq!(t.anonymous.ask("PUT", &put).body(other).await.status, 200);
    t.owner.post("/apps/dusk/releases", json!({ "slug": whole["id"] })).await;
    t.dynos("dusk", &["web.1 up v2"]).await;

    let why = "`app` is not under ./app";
    t.log_with("poison", &format!("app[api]: The slug cannot be unpacked: {why}")).await;
    let status = until("the status says why", async || {
        let status = t.owner.get("/apps/poison/status").await.json();
        if status["detail"].as_str().unwrap().contains(why) { Ok(status) } else { Err(status.to_string()) }
    })
    .await;
    assert_eq!(status["condition"], "crashed");
    let again = t.owner.post("/apps/poison/releases", json!({ "slug": slug })).await;
    assert_eq!(again.error().2, format!("The slug cannot be unpacked: {why}. Create another one."));
    // There was only one attempt.
    let tries: i64 = sqlx::query_scalar(
        "select coalesce(sum(attempt), 0) from jobs where kind = 'slugs.unpack'
        and subject in (select id from releases where slug_id = $1)",
    )
    .bind(slug.parse::<uuid::Uuid>().unwrap())
    .fetch_one(&t.db)
    .await
    .unwrap();
    assert_eq!(tries, 1);
    // A release with another slug is not affected.
    t.deploy("poison", &[("web", "./server")]).await;
}

#[tokio::test]
async fn slugs_that_are_gone_from_disk_are_unpacked_again() {
    let t = World::start().await;
    let app = t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    let folder = t.data().join("unpacked");
    std::fs::rename(&folder, t.data().join("lost")).unwrap();
    std::fs::create_dir(&folder).unwrap();
    t.owner.delete("/apps/dusk/dynos").await;
    until("the slug is there again", async || {
        let slugs = std::fs::read_dir(folder.join(app.id.to_string())).into_iter().flatten().count();
        if slugs == 1 { Ok(()) } else { Err(format!("{slugs} slugs")) }
    })
    .await;
    t.dynos("dusk", &["web.1 up v2"]).await;
}

#[tokio::test]
async fn unneeded_files_of_an_app_are_removed() {
    let t = World::start().await;
    let app = t.app("dusk").await;
    let folder = t.data().join("unpacked").join(app.id.to_string());
    let stray = folder.join(uuid::Uuid::now_v7().to_string());
    std::fs::create_dir_all(stray.join("deep")).unwrap();
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    let t = t.again().await;
    until("the stray slug is gone", async || {
        let names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        if names.len() == 1 && !stray.exists() { Ok(()) } else { Err(format!("{names:?}")) }
    })
    .await;
    t.dynos("dusk", &["web.1 up v2"]).await;
}
