//! Attempts to fill the database with cheap rows: each kind has a limit, or the oldest rows are deleted.

use std::{fmt::Debug, str::FromStr};

use api::ids::{AccountId, AppId, TeamId};
use serde_json::{Value, json};

use crate::{
    sessions::sign_in,
    teams::somebody,
    world::{Actor, Answer, World},
};

/// The owners of the rows.
struct Ids {
    me: AccountId,
    app: AppId,
    team: TeamId,
}

impl Ids {
    async fn of(t: &World) -> Self {
        fn id<Id: FromStr<Err: Debug>>(answer: &Answer) -> Id {
            answer.json()["id"].as_str().unwrap().parse().unwrap()
        }
        let app = id(&t.stranger.post("/apps", json!({ "name": "dawn" })).await);
        let team = id(&t.stranger.post("/teams", json!({ "name": "acme" })).await);
        let me = id(&t.stranger.get("/account").await);
        Self { me, app, team }
    }

    async fn run(&self, t: &World, sql: &str) {
        let sql = sql.replace("{me}", &self.me.to_string());
        let sql = sql.replace("{app}", &self.app.to_string()).replace("{team}", &self.team.to_string());
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&t.db).await.unwrap();
    }
}

/// A request that adds a row: its method, path, and body for Eve, which is also adapted for Bob; the number of rows
/// before, the statement that adds them, and the error message.
const LIMITS: [(&str, &str, &str, i64, &str, &str); 6] = [
    (
        "POST",
        "/oauth/clients",
        r#"{ "name": "eve", "redirect_uri": "https://example.com" }"#,
        99,
        "insert into oauth_clients (id, account_id, name, redirect_uri, secret, secret_hash, created_at, updated_at)
         select gen_random_uuid(), '{me}', 'x', 'https://example.com', '', n::text::bytea, now(), now()",
        "Your account has 100 OAuth clients; the maximum is 100.",
    ),
    (
        "POST",
        "/sources",
        "null",
        999,
        "insert into sources (id, account_id, created_at) select gen_random_uuid(), '{me}', now()",
        "Your account has 1000 upload URLs for source code; the maximum is 1000.",
    ),
    (
        "POST",
        "/apps/dawn/slugs",
        r#"{ "process_types": { "web": "./server" } }"#,
        99,
        "insert into slugs (id, app_id, process_types, stack, created_at, updated_at)
         select gen_random_uuid(), '{app}', '{}', 'heroku-24', now(), now()",
        "This app has 100 unreleased slugs; the maximum is 100.",
    ),
    (
        "PUT",
        "/teams/acme/invitations",
        r#"{ "email": "eve@example.com", "role": "viewer" }"#,
        999,
        "insert into team_invitations (id, team_id, account_id, role, invited_by, expires_at, created_at, updated_at)
         select gen_random_uuid(), '{team}', id, 'viewer', '{me}', now() + interval '1 day', now(), now()",
        "This team has 1000 invitations; the maximum is 1000.",
    ),
    (
        "PUT",
        "/teams/acme/members",
        r#"{ "email": "eve@example.com", "role": "viewer" }"#,
        // And the creator of the team.
        4998,
        "insert into team_members (id, team_id, account_id, role, created_at, updated_at)
         select gen_random_uuid(), '{team}', id, 'viewer', now(), now()",
        "This team has 5000 members; the maximum is 5000.",
    ),
    (
        "POST",
        "/apps/dawn/collaborators",
        r#"{ "user": "eve@example.com" }"#,
        999,
        "insert into collaborators (id, app_id, account_id, permissions, created_at, updated_at)
         select gen_random_uuid(), '{app}', id, '{view}', now(), now()",
        "This app has 1000 collaborators; the maximum is 1000.",
    ),
];

async fn ask(who: &Actor, (method, path): (&str, &str), body: &str) -> Answer {
    who.ask(method, path).body(body.to_owned()).await
}

#[tokio::test]
async fn rows_that_cost_nothing_are_limited() {
    let t = World::start().await;
    let ids = Ids::of(&t).await;
    for name in ["eve", "bob"] {
        somebody(&t, name).await;
    }
    let accounts = "insert into accounts (id, email, created_at, updated_at)
                    select gen_random_uuid(), 'n' || n || '@example.com', now(), now() from generate_series(1, 5000) n";
    ids.run(&t, accounts).await;
    for (method, path, body, before, add, says) in LIMITS {
        let others = "select id, row_number() over () as n from accounts where email ~ '^n[0-9]+@'";
        ids.run(&t, &format!("{add} from ({others}) others where n <= {before}")).await;
        let last = ask(&t.stranger, (method, path), body).await;
        assert!(matches!(last.status, 200 | 201), "{path}: {last:?}");
        let (status, id, message) = ask(&t.stranger, (method, path), &body.replace("eve", "bob")).await.error();
        assert_eq!((status, id.as_str()), (422, "quota_reached"), "{path}: {message}");
        assert!(message.starts_with(says), "{message}");
        // The role of an existing member can still be changed.
        if method == "PUT" {
            assert_eq!(ask(&t.stranger, (method, path), body).await.status, 200, "{path}");
        }
    }
    // A user who was invited before cannot join beyond the limit.
    let carol = somebody(&t, "carol").await;
    let invite = "insert into team_invitations
                      (id, team_id, account_id, role, invited_by, expires_at, created_at, updated_at)
                  select gen_random_uuid(), '{team}', id, 'viewer', '{me}', now() + interval '1 day', now(), now()
                  from accounts where email = 'carol@example.com'";
    ids.run(&t, invite).await;
    let invitation = carol.get("/account/team-invitations").await.json()[0]["id"].as_str().unwrap().to_owned();
    let accept = format!("/teams/invitations/{invitation}/accept");
    let (status, _, message) = carol.post(&accept, Value::Null).await.error();
    assert!(status == 422 && message.starts_with("This team has 5000 members"), "{message}");
}

#[tokio::test]
async fn the_oldest_is_removed_instead_of_rejecting_new_ones() {
    let t = World::start().await;
    // Rows that have not expired, since retention removes those at any time.
    let ids = Ids::of(&t).await;
    let log = json!({ "lines": 1 });
    assert_eq!(t.stranger.post("/apps/dawn/log-sessions", log.clone()).await.status, 201);
    ids.run(
        &t,
        "insert into log_sessions (id, app_id, params, expires_at, created_at, account_id)
         select gen_random_uuid(), '{app}', '{}', now() + interval '1 day', now() - interval '1 hour', '{me}'
         from generate_series(1, 200)",
    )
    .await;
    assert_eq!(t.stranger.post("/apps/dawn/log-sessions", log).await.status, 201);
    let owner = t.owner.account_info().await.unwrap().id;
    let of_owner = Ids { me: owner, ..ids };
    of_owner
        .run(
            &t,
            "insert into sessions (id, key_hash, account_id, data, created_at, last_seen_at, expires_at)
             select gen_random_uuid(), n::text::bytea, '{me}', '{}', now(), now() - interval '1 hour',
                    now() + interval '1 day' from generate_series(1, 200) n",
        )
        .await;
    of_owner
        .run(
            &t,
            "insert into sign_in_links (id, account_id, secret_hash, expires_at, created_at)
             select gen_random_uuid(), '{me}', n::text::bytea, now() + interval '1 day', now() - interval '1 hour'
             from generate_series(1, 200) n",
        )
        .await;
    let cookie = sign_in(&t).await;
    assert_eq!(t.anonymous.ask("GET", "/account").header("cookie", &cookie).await.status, 200);
    for rows in ["log_sessions", "sessions", "sign_in_links"] {
        let count = sqlx::AssertSqlSafe(format!("select count(*) from {rows}"));
        let count: i64 = sqlx::query_scalar(count).fetch_one(&t.db).await.unwrap();
        assert_eq!(count, 100, "{rows}");
    }
}

#[tokio::test]
async fn the_process_types_of_a_slug_have_a_size() {
    let t = World::start().await;
    Ids::of(&t).await;
    let types = |bytes: usize| {
        let command = |n: usize| if n == 0 { "x".repeat(bytes - 8 * 4001 - 1) } else { "x".repeat(4000) };
        let types = (0..9).map(|n| (n.to_string(), Value::from(command(n))));
        json!({ "process_types": types.collect::<serde_json::Map<_, _>>() })
    };
    assert_eq!(t.stranger.post("/apps/dawn/slugs", types(32 << 10)).await.status, 201);
    let (status, _, message) = t.stranger.post("/apps/dawn/slugs", types((32 << 10) + 1)).await.error();
    assert!(status == 422 && message.contains("at most 32768 bytes in total; these have 32769"), "{message}");
}

#[tokio::test]
async fn rolling_back_again_and_again_takes_no_space() {
    let t = World::start().await;
    Ids::of(&t).await;
    let large = json!({ "A": "x".repeat(30_000) });
    assert_eq!(t.stranger.patch("/apps/dawn/config-vars", large).await.status, 200);
    assert_eq!(t.stranger.patch("/apps/dawn/config-vars", json!({ "A": "small" })).await.status, 200);
    let most = json!({ "disk_bytes": 1 });
    assert_eq!(t.owner.patch("/users/stranger@example.com/quotas", most).await.status, 200);
    let used = async || {
        let quotas = t.stranger.get("/users/~/quotas").await.json();
        let disk = quotas.as_array().unwrap().iter().find(|quota| quota["name"] == "disk_bytes").cloned();
        let sets: i64 = sqlx::query_scalar("select count(*) from configs").fetch_one(&t.db).await.unwrap();
        (disk.unwrap()["used"].as_i64().unwrap(), sets)
    };
    let before = used().await;
    assert!(before.0 > 30_000);
    assert_eq!(t.stranger.patch("/apps/dawn/config-vars", json!({ "A": "new" })).await.status, 422);
    for n in 0..20 {
        let back = json!({ "release": if n % 2 == 0 { "2" } else { "3" } });
        assert_eq!(t.stranger.post("/apps/dawn/releases", back).await.status, 201);
    }
    assert_eq!(used().await, before);
}
