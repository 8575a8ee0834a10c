//! Quotas: every query.

use api::{
    dynos::DynoState,
    ids::{AppId, FormationId, QuotaId, SourceId, TeamId},
    quotas::QuotaKind,
};
use store::{dynos, formation, quotas::*, sources};
use uuid::Uuid;

use crate::world::{World, account, at, dyno_row};

#[tokio::test]
async fn what_somebody_may_have_and_has() {
    let w = World::start().await;
    let (all, ada) = (Owner::default(), Owner { account: Some(w.account.id), team: None });
    let mut db = w.db.acquire().await.unwrap();
    for (owner, most) in [(all, 5), (ada, 7), (ada, 9)] {
        quota_save(&mut db, QuotaId::now_v7(), owner, QuotaKind::Apps, Some(most), at(0)).await.unwrap();
    }
    let found = async |owner| {
        let mut rows = quota_list(&w.db, owner).await.unwrap();
        rows.sort_by_key(|row| row.is_own);
        rows.into_iter().map(|row| (row.kind, row.most, row.is_own)).collect::<Vec<_>>()
    };
    let (theirs, own) = ((QuotaKind::Apps, 5, false), (QuotaKind::Apps, 9, true));
    assert_eq!(found(ada).await, [theirs, own]);
    assert_eq!(found(Owner { account: None, team: Some(TeamId::now_v7()) }).await, std::slice::from_ref(&theirs));
    quota_save(&mut db, QuotaId::now_v7(), ada, QuotaKind::Apps, None, at(0)).await.unwrap();
    assert_eq!(found(ada).await, [theirs]);
    assert!(quota_save(&mut db, QuotaId::now_v7(), ada, QuotaKind::Unknown, Some(1), at(0)).await.is_err());

    let app = w.app("dusk").await;
    w.app("dawn").await;
    store::apps::app_repo_size(&w.db, app, 70).await.unwrap();
    w.slug(app).await;
    let released = w.slug(app).await;
    w.release(app, "succeeded", Some(released)).await;
    let source = SourceId::now_v7();
    sources::source_create(&w.db, source, w.account.id, at(0)).await.unwrap();
    sources::source_uploaded(&w.db, source, 8).await.unwrap();
    let types = [("web", "Basic"), ("release", "Basic"), ("odd", "Gone")].map(|(kind, size)| {
        sqlx::query(
            "insert into formation (id, app_id, type, command, quantity, size, created_at, updated_at)
             values ($1, $2, $3, 'x', 3, $4, now(), now())",
        )
        .bind(Uuid::now_v7())
        .bind(app)
        .bind(kind)
        .bind(size)
        .execute(&w.db)
    });
    for made in types {
        made.await.unwrap();
    }
    let (acme, bot) = (TeamId::now_v7(), account("bot@acme.invalid"));
    store::teams::team_create(&w.db, acme, "acme", w.account.id, at(0)).await.unwrap();
    store::accounts::account_create(&w.db, &bot).await.unwrap();
    let made = store::service_accounts::service_account_create(&w.db, bot.id, acme, "bot", w.account.id, at(0)).await;
    made.unwrap();
    quota_lock(&w.db, ada).await.unwrap();
    let usage = quota_usage(&w.db, ada, &[("Basic", 512)]).await.unwrap();
    let expected = Usage {
        apps: 2,
        dynos: 6,
        memory_mb: 1536,
        upload_bytes: 50,
        repository_bytes: 70,
        // Including those of releases, and their config.
        disk_bytes: 8 + 42 + 42 + 70 + b"sealed".len() as i64,
        teams: 1,
        ..Usage::default()
    };
    assert_eq!(usage, expected);
    let usage = quota_usage(&w.db, Owner { account: None, team: Some(acme) }, &[]).await.unwrap();
    assert_eq!(usage, Usage { service_accounts: 1, ..Usage::default() });
    assert_eq!(quota_usage(&w.db, Owner::default(), &[]).await.unwrap(), Usage::default());
    assert_eq!(quota_owner(&w.db, app).await.unwrap(), Some(ada));
    assert_eq!(quota_owner(&w.db, AppId::now_v7()).await.unwrap(), None);
}

#[tokio::test]
async fn a_release_adds_its_config_and_a_slug_that_was_not_released_before() {
    let w = World::start().await;
    let ada = Owner { account: Some(w.account.id), team: None };
    let (dusk, dawn) = (w.app("dusk").await, w.app("dawn").await);
    let (first, second, of_dawn) = (w.slug(dusk).await, w.slug(dusk).await, w.slug(dawn).await);
    let used = async || {
        let usage = quota_usage(&w.db, ada, &[]).await.unwrap();
        (usage.upload_bytes, usage.disk_bytes)
    };
    assert_eq!(used().await, (3 * 42, 3 * 42));
    let config = b"sealed".len() as i64;
    let releases =
        [(dusk, None), (dusk, Some(first)), (dawn, Some(of_dawn)), (dusk, Some(first)), (dusk, Some(second))];
    for (n, (app, slug)) in releases.into_iter().enumerate() {
        w.release(app, if n == 3 { "failed" } else { "succeeded" }, slug).await;
        let unused = [3, 2, 1, 1, 0][n] * 42;
        assert_eq!(used().await, (unused, 3 * 42 + config * (n as i64 + 1)), "{n}");
    }
    // The schema before totals, when each release had its own config.
    w.before_configs().await;
    w.after_configs().await;
    assert_eq!(used().await, (0, 3 * 42 + config * 5));
    // Many in one statement, with a shared config and slug.
    let many = "insert into releases (id, app_id, version, status, description, account_id, slug_id, config_id,
                                      created_at, updated_at)
        select gen_random_uuid(), app_id, n, 'succeeded', '', account_id, slug_id, config_id, now(), now()
        from releases, generate_series(6, 1000) n where app_id = $1 and version = 4";
    sqlx::query(many).bind(dusk).execute(&w.db).await.unwrap();
    assert_eq!(used().await, (0, 3 * 42 + config * 5));
    // And with an unshared one, which counts once.
    let new = w.config(dusk, b"new").await;
    let many = many.replace("slug_id, config_id, now", "slug_id, $2, now").replace("(6, 1000)", "(1001, 1010)");
    sqlx::query(sqlx::AssertSqlSafe(many)).bind(dusk).bind(new).execute(&w.db).await.unwrap();
    assert_eq!(used().await, (0, 3 * 42 + config * 5 + b"new".len() as i64));
    store::apps::app_delete(&mut w.db.acquire().await.unwrap(), dusk).await.unwrap();
    assert_eq!(used().await, (0, 42 + config));
}

#[tokio::test]
async fn dynos_that_a_rollout_replaces_count_beside_those_of_the_formation() {
    let w = World::start().await;
    let ada = Owner { account: Some(w.account.id), team: None };
    let app = w.app("dusk").await;
    let slug = w.slug(app).await;
    let old = w.release(app, "succeeded", Some(slug)).await;
    let rows = [("web", 1), ("web", 2), ("worker", 1)].map(|(kind, ordinal)| dyno_row(app, old, kind, ordinal));
    for row in &rows {
        dynos::dyno_save(&w.db, row).await.unwrap();
    }
    let memory = async || quota_usage(&w.db, ada, &[("Basic", 512)]).await.unwrap().memory_mb;
    assert_eq!(memory().await, 0, "there is no formation, and no rollout");
    // The worker is that of the formation until the release has passed.
    w.release(app, "succeeded", Some(slug)).await;
    assert_eq!(memory().await, 1024);
    dynos::dyno_save(&w.db, &dynos::Row { state: DynoState::Crashed, ..rows[0].clone() }).await.unwrap();
    assert_eq!(memory().await, 512);
    dynos::dyno_save(&w.db, &dynos::Row { stopping_at: Some(at(9)), ..rows[1].clone() }).await.unwrap();
    assert_eq!(memory().await, 0);
}

#[tokio::test]
async fn larger_dynos_count_until_those_of_the_new_size_replace_them() {
    let w = World::start().await;
    let ada = Owner { account: Some(w.account.id), team: None };
    let app = w.app("dusk").await;
    let slug = w.slug(app).await;
    let release = w.release(app, "succeeded", Some(slug)).await;
    let types = [("web".to_owned(), "run".to_owned())].into();
    let mut db = w.db.acquire().await.unwrap();
    formation::formation_replace(&mut db, app, &types, FormationId::now_v7, at(1)).await.unwrap();
    let web = formation::formation_list(&w.db, app).await.unwrap().remove(0);
    formation::formation_scale(&w.db, web.id, 1, "Basic", at(2)).await.unwrap();
    let sizes = [("Basic", 512), ("Performance-L", 14336)];
    let memory = async || quota_usage(&w.db, ada, &sizes).await.unwrap().memory_mb;
    assert_eq!(memory().await, 512);
    let current = dyno_row(app, release, "web", 1);
    dynos::dyno_save(&w.db, &current).await.unwrap();
    assert_eq!(memory().await, 512, "it is that of the formation");
    // A restart takes as much again, and is not refused.
    let restarted = dynos::Row { retiring_at: Some(at(3)), ..current };
    dynos::dyno_save(&w.db, &restarted).await.unwrap();
    assert_eq!(memory().await, 512);
    let larger = dynos::Row { size: "Performance-L".into(), ..dyno_row(app, release, "web", 1) };
    dynos::dyno_save(&w.db, &larger).await.unwrap();
    assert_eq!(memory().await, 512 + 14336);
}
