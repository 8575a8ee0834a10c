//! Attacks with teams: to continue after a suspension, to exceed the limits of one person, and to make others
//! responsible without their consent.

use api::{
    app_transfers::AppTransferCreate,
    ids::{BuildId, TeamId},
    team_members::{Role, TeamMemberSave},
};
use chrono::Utc;
use serde_json::{Value, json};

use crate::{
    teams::somebody,
    world::{Actor, World, token},
};

async fn member(by: &Actor, team: &str, who: &str, role: &str) -> u16 {
    let save = TeamMemberSave { email: format!("{who}@example.com"), role: role.into() };
    by.ask("PUT", &format!("/teams/{team}/members")).body(serde_json::to_string(&save).unwrap()).await.status
}

/// A service account of the team `acme`, with an app of it.
async fn bot(t: &World, by: &Actor, name: &str) -> Actor {
    let all = "/teams/acme/service-accounts";
    assert_eq!(by.post(all, json!({ "name": name })).await.status, 201);
    let made = by.post(&format!("{all}/{name}/authorizations"), json!({})).await.json();
    t.actor(made["access_token"]["token"].as_str().unwrap())
}

async fn suspend(t: &World, who: &str, suspended: bool) {
    let done = t.owner.patch(&format!("/users/{who}@example.com"), json!({ "suspended": suspended })).await;
    assert_eq!(done.status, 200, "{done:?}");
}

async fn accept(who: &Actor, app: &str) -> (u16, String) {
    let answer = who.patch(&format!("/account/app-transfers/{app}"), json!({ "state": "accepted" })).await;
    (answer.status, answer.text())
}

fn offer(app: &str, to: &str) -> AppTransferCreate {
    AppTransferCreate { app: Some(app.into()), recipient: Some(format!("{to}@example.com")) }
}

#[tokio::test]
async fn a_suspended_user_cannot_continue_as_a_service_account() {
    let t = World::start().await;
    let (eve, bob) = (somebody(&t, "eve").await, somebody(&t, "bob").await);
    eve.post("/teams", json!({ "name": "acme" })).await;
    eve.post("/teams/apps", json!({ "name": "dusk", "team": "acme" })).await;
    assert_eq!(member(&eve, "acme", "bob", "admin").await, 200);
    let (hers, his) = (bot(&t, &eve, "one").await, bot(&t, &bob, "two").await);
    let seen = async || (hers.get("/apps/dusk").await.status, his.get("/apps/dusk").await.status);
    assert_eq!(seen().await, (200, 200));
    suspend(&t, "eve", true).await;
    assert_eq!(seen().await, (401, 200));
    assert_eq!(hers.post("/apps/dusk/slugs", json!({ "process_types": { "web": "x" } })).await.status, 401);
    // The service accounts of a team without a responsible admin cannot authenticate.
    suspend(&t, "bob", true).await;
    assert_eq!(seen().await, (401, 401));
    suspend(&t, "bob", false).await;
    assert_eq!(seen().await, (401, 200));
    // Its tokens were not revoked: the admin who removes her from the team becomes responsible for what she created.
    let id =
        sqlx::query_scalar("select id from accounts where email = 'bob@example.com'").fetch_one(&t.db).await.unwrap();
    let bob = t.actor(&token(&t.db, id, "bob@example.com").await);
    assert_eq!(bob.delete("/teams/acme/members/eve@example.com").await.status, 200);
    assert_eq!(seen().await, (200, 200));
}

#[tokio::test]
async fn nobody_gets_more_teams_by_taking_them_over() {
    let t = World::start().await;
    let (eve, bob) = (somebody(&t, "eve").await, somebody(&t, "bob").await);
    assert_eq!(t.owner.patch("/quotas", json!({ "teams": 1 })).await.status, 200);
    for (who, team) in [(&eve, "hers"), (&bob, "his")] {
        assert_eq!(who.post("/teams", json!({ "name": team })).await.status, 201);
    }
    assert_eq!(member(&eve, "hers", "bob", "admin").await, 200);
    let remove = async || bob.delete("/teams/hers/members/eve@example.com").await;
    assert_eq!(member(&bob, "hers", "eve", "viewer").await, 422);
    let (status, id, message) = remove().await.error();
    assert_eq!((status, id.as_str()), (422, "quota_reached"));
    assert!(message.starts_with("You may have at most 1 created teams (quota \"teams\")"), "{message}");
    assert_eq!(eve.team_info("hers").await.unwrap().role, Role::Admin);
    // Removing other members makes no difference.
    assert_eq!(member(&bob, "hers", "stranger", "admin").await, 200);
    assert_eq!(bob.delete("/teams/hers/members/stranger@example.com").await.status, 200);
    bob.delete("/teams/his").await;
    assert_eq!(remove().await.status, 200);
}

#[tokio::test]
async fn nobody_gets_an_app_without_their_consent() {
    let t = World::start().await;
    let (eve, bob) = (somebody(&t, "eve").await, somebody(&t, "bob").await);
    eve.post("/teams", json!({ "name": "acme" })).await;
    eve.post("/teams/apps", json!({ "name": "bait", "team": "acme" })).await;
    for role in ["member", "admin"] {
        assert_eq!(member(&eve, "acme", "bob", role).await, 200);
        let given = eve.patch("/teams/apps/bait", json!({ "owner": "bob@example.com" })).await;
        assert_eq!(given.error().0, 422);
    }
    eve.app_transfer_create(&offer("bait", "bob")).await.unwrap();
    assert_eq!(eve.get("/apps/bait").await.json()["team"]["name"], "acme");
    assert_eq!(accept(&eve, "bait").await.0, 403);
    // A former admin cannot offer an app.
    assert_eq!(member(&bob, "acme", "eve", "member").await, 200);
    assert_eq!(accept(&bob, "bait").await.0, 409);
    // A member cannot offer an app.
    let refused = eve.post("/account/app-transfers", json!({ "app": "bait", "recipient": "eve@example.com" })).await;
    assert_eq!(refused.error().0, 403);
    bob.app_transfer_create(&offer("bait", "eve")).await.unwrap();
    assert_eq!(accept(&eve, "bait").await.0, 200);
    assert_eq!(eve.get("/apps/bait").await.json()["owner"]["email"], "eve@example.com");
    assert_eq!(bob.get("/apps/bait").await.status, 404);
}

#[tokio::test]
async fn nobody_gets_uploads_and_builds_beyond_the_quotas_with_an_app() {
    let t = World::start().await;
    let (eve, bob) = (somebody(&t, "eve").await, somebody(&t, "bob").await);
    let made = eve.post("/apps", json!({ "name": "bait" })).await.json();
    let slug = eve.post("/apps/bait/slugs", json!({ "process_types": { "web": "x" } })).await.json();
    let size = "update slugs set size = 3000, checksum = 'SHA256:0' where id = $1::uuid";
    sqlx::query(size).bind(slug["id"].as_str().unwrap()).execute(&t.db).await.unwrap();
    eve.app_transfer_create(&offer("bait", "bob")).await.unwrap();
    for quota in ["upload_bytes", "disk_bytes"] {
        let set = async |most: Value| {
            let set = t.owner.patch("/users/bob@example.com/quotas", json!({ quota: most })).await;
            assert_eq!(set.status, 200, "{set:?}");
        };
        set(json!(2999)).await;
        let (status, text) = accept(&bob, "bait").await;
        assert!(status == 422 && text.contains(quota), "{text}");
        set(Value::Null).await;
    }
    t.owner.patch("/users/bob@example.com/quotas", json!({ "pending_builds": 1 })).await;
    let account = eve.account_info().await.unwrap().id;
    let app = made["id"].as_str().unwrap().parse().unwrap();
    for _ in 0..2 {
        let new = store::builds::New { id: BuildId::now_v7(), app, account, now: Utc::now(), ..Default::default() };
        store::builds::build_create(&mut t.db.acquire().await.unwrap(), &new).await.unwrap();
    }
    let (status, text) = accept(&bob, "bait").await;
    assert!(status == 422 && text.contains("pending_builds"), "{text}");
    t.owner.patch("/users/bob@example.com/quotas", json!({ "pending_builds": 2 })).await;
    assert_eq!(accept(&bob, "bait").await.0, 200);
}

/// Adds invited people who never signed in to a team, half of them as members, and service accounts.
async fn fill(t: &World, team: TeamId, people: i32) {
    for sql in [
        "with made as (
             insert into accounts (id, email, admin, invited, created_at, updated_at)
             select gen_random_uuid(), n || '@example.com', false, true, now(), now() from generate_series(1, $2, 2) n
             returning id)
         insert into team_members (id, team_id, account_id, role, created_at, updated_at)
         select gen_random_uuid(), $1, id, 'viewer', now(), now() from made",
        "with made as (
             insert into accounts (id, email, admin, invited, created_at, updated_at)
             select gen_random_uuid(), n || '@example.com', false, true, now(), now() from generate_series(2, $2, 2) n
             returning id)
         insert into team_invitations (id, team_id, account_id, role, expires_at, created_at, updated_at)
         select gen_random_uuid(), $1, id, 'viewer', now() + interval '1 day', now(), now() from made",
        "with made as (
             insert into accounts (id, email, admin, created_at, updated_at)
             select gen_random_uuid(), 'bot-' || n || '@acme.invalid', false, now(), now() from generate_series(1, $2) n
             returning id, email)
         insert into service_accounts (id, team_id, name, created_at, updated_at)
         select id, $1, split_part(email, '@', 1), now(), now() from made",
    ] {
        sqlx::query(sql).bind(team.get()).bind(people).execute(&t.db).await.unwrap();
    }
}

#[tokio::test]
async fn the_end_of_a_team_takes_as_many_statements_with_many_people_as_with_a_few() {
    let t = World::start().await;
    let count = async |query: &'static str| sqlx::query_scalar::<_, i64>(query).fetch_one(&t.db).await.unwrap();
    let mut asked = Vec::new();
    for (people, removed) in [(3, 3), (201, 204)] {
        let made = t.owner.post("/teams", json!({ "name": "acme" })).await;
        assert_eq!(made.status, 201, "{made:?}");
        fill(&t, made.json()["id"].as_str().unwrap().parse().unwrap(), people).await;
        let (done, statements) = t.counted(t.owner.delete("/teams/acme")).await;
        assert_eq!(done.status, 200, "{done:?}");
        asked.push(statements);
        // Each of them is in the audit log.
        assert_eq!(count("select count(*) from accounts where invited").await, 0);
        assert_eq!(count("select count(*) from events where action = 'account.delete'").await, removed);
        assert_eq!(count("select count(*) from accounts where retired_at is not null").await, removed);
    }
    assert!(asked[0] > 0 && asked[0] == asked[1], "{asked:?}");
    let verdict = t.owner.get("/events/verify").await.json();
    assert!(verdict["broken_at"].is_null() && verdict["events"].as_i64() > Some(204), "{verdict}");
}
