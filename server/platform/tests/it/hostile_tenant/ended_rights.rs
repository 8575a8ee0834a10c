//! Attempts to make changes with rights that end while the change is waiting.

use std::future::IntoFuture as _;

use serde_json::{Value, json};

use crate::{
    hostile_tenant::database::as_many_wait,
    world::{Answer, World, until},
};

/// The responses to these requests of the stranger, each sent several times, which wait until `end` has completed.
async fn answers_after(t: &World, asked: &[(&str, &str, Value)], end: impl AsyncFnOnce()) -> Vec<Answer> {
    let mut held = t.db.begin().await.unwrap();
    sqlx::query("select 1 from apps where name = 'dawn' for update").execute(&mut *held).await.unwrap();
    let ask =
        |(method, path, body): &(&str, &str, Value)| t.stranger.ask(method, path).body(body.to_string()).into_future();
    let busy = ("PATCH", "/apps/dawn/config-vars", json!({ "A": "b" }));
    let busy = tokio::spawn(futures::future::join_all((0..6).map(|_| ask(&busy)).collect::<Vec<_>>()));
    as_many_wait(t, 6).await;
    let left = async || t.stranger.get("/account/rate-limits").await.json()["remaining"].as_i64().unwrap();
    let before = left().await;
    let waiting: Vec<_> = asked.iter().cycle().take(20 * asked.len()).map(ask).collect();
    let count = i64::try_from(waiting.len()).unwrap();
    let waiting = tokio::spawn(futures::future::join_all(waiting));
    until("all of them have been let in", async || match left().await {
        left if left < before - count => Ok(()),
        left => Err(format!("{left} of {before} are left")),
    })
    .await;
    end().await;
    held.rollback().await.unwrap();
    assert_eq!(busy.await.unwrap().len(), 6);
    waiting.await.unwrap()
}

fn all_are(answers: &[Answer], status: u16) {
    assert!(answers.iter().all(|answer| answer.status == status), "{answers:?}");
}

async fn world() -> World {
    let t = World::start().await;
    t.app("dusk").await;
    let create = json!({ "name": "dawn" });
    assert_eq!(t.stranger.post("/apps", create).await.status, 201);
    t
}

#[tokio::test]
async fn a_former_collaborator_changes_nothing() {
    let t = world().await;
    let joins = json!({ "user": "stranger@example.com", "permissions": ["deploy", "operate", "access"] });
    assert_eq!(t.owner.post("/apps/dusk/collaborators", joins).await.status, 201);
    let asked = [
        ("PATCH", "/apps/dusk/config-vars", json!({ "EVIL": "1" })),
        ("DELETE", "/apps/dusk/dynos", Value::Null),
        ("PATCH", "/apps/dusk/collaborators/stranger@example.com", json!({ "permissions": ["view"] })),
    ];
    let answers = answers_after(&t, &asked, async || {
        let removed = t.owner.delete("/apps/dusk/collaborators/stranger@example.com").await;
        assert_eq!(removed.status, 200, "{removed:?}");
    });
    all_are(&answers.await, 404);
    assert_eq!(t.owner.get("/apps/dusk/config-vars").await.json(), json!({}));
}

/// The answers to these requests of the stranger, which wait for this row until `end` has been done.
async fn answers_after_lock(t: &World, row: &str, asked: &[(&str, &str, Value)], end: &str) -> Vec<Answer> {
    let mut held = t.db.begin().await.unwrap();
    let lock = format!("select 1 from {row} for update");
    sqlx::query(sqlx::AssertSqlSafe(lock)).execute(&mut *held).await.unwrap();
    let ask =
        |(method, path, body): &(&str, &str, Value)| t.stranger.ask(method, path).body(body.to_string()).into_future();
    let waiting = tokio::spawn(futures::future::join_all(asked.iter().map(ask).collect::<Vec<_>>()));
    as_many_wait(t, asked.len().try_into().unwrap()).await;
    let done = sqlx::query(sqlx::AssertSqlSafe(end.to_owned())).execute(&t.db).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
    held.rollback().await.unwrap();
    waiting.await.unwrap()
}

#[tokio::test]
async fn whoever_waits_for_an_app_or_a_team_is_let_in_again() {
    let t = world().await;
    let joins = json!({ "user": "stranger@example.com", "permissions": ["deploy", "operate", "access"] });
    assert_eq!(t.owner.post("/apps/dusk/collaborators", joins).await.status, 201);
    let asked = [
        ("PATCH", "/apps/dusk/config-vars", json!({ "EVIL": "1" })),
        ("PATCH", "/apps/dusk", json!({ "maintenance": true })),
        ("PUT", "/apps/dusk/buildpack-installations", json!({ "updates": [{ "buildpack": "heroku/nodejs" }] })),
        ("POST", "/apps/dusk/builds", json!({ "source_blob": { "url": "https://example.com/a.tgz" } })),
        ("POST", "/apps/dusk/dynos", json!({ "command": "env" })),
    ];
    let end =
        "delete from collaborators where account_id = (select id from accounts where email = 'stranger@example.com')
                   and app_id = (select id from apps where name = 'dusk')";
    all_are(&answers_after_lock(&t, "apps where name = 'dusk'", &asked, end).await, 404);
    assert_eq!(t.owner.get("/apps/dusk/config-vars").await.json(), json!({}));
    assert_eq!(t.owner.get("/apps/dusk").await.json()["maintenance"], false);

    assert_eq!(t.owner.post("/teams", json!({ "name": "acme" })).await.status, 201);
    let admin = json!({ "email": "stranger@example.com", "role": "admin" });
    assert_eq!(t.owner.ask("PUT", "/teams/acme/members").body(admin.to_string()).await.status, 200);
    let asked = [("PUT", "/teams/acme/members", json!({ "email": "stranger@example.com", "role": "member" }))];
    let end = "update team_members set role = 'viewer'
               where account_id = (select id from accounts where email = 'stranger@example.com')";
    all_are(&answers_after_lock(&t, "teams where name = 'acme'", &asked, end).await, 403);
}

#[tokio::test]
async fn an_app_that_is_renamed_or_given_away_meanwhile_is_not_destroyed() {
    let t = world().await;
    let given = "update apps set owner_id = (select owner_id from apps where name = 'dusk') where name = 'noon'";
    for (name, change, status) in
        [("dawn", "update apps set name = 'noon' where name = 'dawn'", 409), ("noon", given, 404)]
    {
        let mut held = t.db.begin().await.unwrap();
        sqlx::query(change).execute(&mut *held).await.unwrap();
        let waiting = tokio::spawn(t.stranger.ask("DELETE", &format!("/apps/{name}")).body("null").into_future());
        as_many_wait(&t, 1).await;
        held.commit().await.unwrap();
        let answer = waiting.await.unwrap();
        assert_eq!(answer.status, status, "{name}: {answer:?}");
    }
    assert_eq!(t.owner.get("/apps/noon").await.status, 200);
}

#[tokio::test]
async fn a_reduced_permission_takes_effect_for_waiting_changes() {
    let t = world().await;
    let joins = json!({ "user": "stranger@example.com", "permissions": ["deploy"] });
    assert_eq!(t.owner.post("/apps/dusk/collaborators", joins).await.status, 201);
    let asked = [("PATCH", "/apps/dusk/config-vars", json!({ "EVIL": "1" }))];
    let answers = answers_after(&t, &asked, async || {
        let less = json!({ "permissions": ["view"] });
        assert_eq!(t.owner.patch("/apps/dusk/collaborators/stranger@example.com", less).await.status, 200);
    });
    all_are(&answers.await, 403);
}

#[tokio::test]
async fn whoever_was_an_admin_of_a_team_changes_nothing_in_it() {
    let t = world().await;
    assert_eq!(t.owner.post("/teams", json!({ "name": "acme" })).await.status, 201);
    let role = async |role: &str| {
        let member = json!({ "email": "stranger@example.com", "role": role });
        assert_eq!(t.owner.ask("PUT", "/teams/acme/members").body(member.to_string()).await.status, 200);
    };
    role("admin").await;
    let asked = [
        ("PATCH", "/teams/acme", json!({ "name": "evil" })),
        ("POST", "/teams/acme/service-accounts", json!({ "name": "bot" })),
    ];
    all_are(&answers_after(&t, &asked, async || role("viewer").await).await, 403);
    assert_eq!(t.owner.get("/teams/acme").await.status, 200);
}

/// Changes to the stranger's own account.
fn own() -> [(&'static str, &'static str, Value); 3] {
    [
        ("PATCH", "/apps/dawn/config-vars", json!({ "EVIL": "1" })),
        ("POST", "/oauth/authorizations", json!({})),
        ("POST", "/apps", json!({})),
    ]
}

#[tokio::test]
async fn a_suspended_account_changes_nothing() {
    let (t, own) = (world().await, own());
    let answers = answers_after(&t, &own, async || {
        let suspended = t.owner.patch("/users/stranger@example.com", json!({ "suspended": true })).await;
        assert_eq!(suspended.status, 200, "{suspended:?}");
    });
    all_are(&answers.await, 401);
}

#[tokio::test]
async fn a_revoked_token_changes_nothing() {
    let (t, own) = (world().await, own());
    let token = t.stranger.get("/oauth/authorizations/~").await.json()["id"].as_str().unwrap().to_owned();
    let answers = answers_after(&t, &own, async || {
        let ends = sqlx::query("delete from oauth_authorizations where id = $1::uuid").bind(&token);
        assert_eq!(ends.execute(&t.db).await.unwrap().rows_affected(), 1);
    });
    all_are(&answers.await, 401);
}
