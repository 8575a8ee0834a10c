//! Lists: each row is returned once, in either order, with the same number of queries for any number of rows.

use std::collections::HashSet;

use api::{
    collaborators::CollaboratorCreate,
    ids::{AccountId, AppId, TeamId},
};
use serde_json::{Value, json};
use tracing::Instrument as _;

use crate::{
    permissions::filled,
    world::{Actor, Answer, World},
};

/// A list, the orders that it has besides its own, and what adds the rows from `{from}` to `{to}`. Dynos are not
/// among them: the supervisor would end those that nobody wants. Their pages are tested with their queries.
const LISTS: [(&str, &[&str], &str); 28] = [
    (
        "/apps",
        &["id", "name", "created_at"],
        "insert into apps (id, name, owner_id, stack, build_stack, created_at, updated_at)
         select gen_random_uuid(), 'app-' || n, '{me}', 'host', 'host', to_timestamp(n / 7), now()",
    ),
    ("/users/~/apps", &["id"], ""),
    ("/app-statuses", &["id", "name"], ""),
    (
        "/teams/acme/apps",
        &["name", "updated_at"],
        "insert into apps (id, name, team_id, stack, build_stack, created_at, updated_at)
         select gen_random_uuid(), 'team-' || n, '{team}', 'host', 'host', now(), to_timestamp(0)",
    ),
    ("/teams/acme/access", &["app"], ""),
    (
        "/apps/dusk/builds",
        &["number", "id", "created_at"],
        "insert into builds (id, app_id, number, status, account_id, stack, buildpacks, source_description, created_at,
                             updated_at)
         select gen_random_uuid(), '{app}', 1000 + n, 'failed', '{me}', 'host', '{}', repeat('x', 50000),
                to_timestamp(n / 9), now()",
    ),
    (
        "/apps/dusk/releases",
        &["version", "id", "created_at"],
        "insert into releases (id, app_id, version, status, description, account_id, config_id, created_at, updated_at)
         select gen_random_uuid(), '{app}', 1000 + n, 'failed', 'x', '{me}',
                (select config_id from apps where id = '{app}'), to_timestamp(n / 9), now()",
    ),
    (
        "/apps/dusk/formation",
        &["type", "id"],
        "insert into formation (id, app_id, type, command, quantity, size, created_at, updated_at)
         select gen_random_uuid(), '{app}', 't' || n, 'x', 0, 'Basic', now(), now()",
    ),
    (
        "/apps/dusk/log-drains",
        &["created_at", "id"],
        "insert into log_drains (id, app_id, url, token, created_at, updated_at)
         select gen_random_uuid(), '{app}', 'https://example.com/' || n, 'd.' || n, now(), now()",
    ),
    (
        "/users",
        &["email", "id"],
        "insert into accounts (id, email, created_at, updated_at)
         select gen_random_uuid(), 'a' || n || '@example.com', now(), now()",
    ),
    (
        "/apps/dusk/collaborators",
        &["user", "id", "created_at"],
        "insert into collaborators (id, app_id, account_id, permissions, created_at, updated_at)
         select gen_random_uuid(), '{app}', (select id from accounts where email = 'a' || n || '@example.com'), '{view}',
                now(), now()",
    ),
    ("/teams/apps/dusk/collaborators", &["user", "id", "created_at"], ""),
    (
        "/teams/acme/members",
        &["email", "id", "created_at"],
        "insert into team_members (id, team_id, account_id, role, created_at, updated_at)
         select gen_random_uuid(), '{small}', (select id from accounts where email = 'a' || n || '@example.com'), 'viewer',
                now(), now()",
    ),
    (
        "/teams/acme/invitations",
        &["created_at", "id"],
        "insert into team_invitations (id, team_id, account_id, role, invited_by, expires_at, created_at, updated_at)
         select gen_random_uuid(), '{team}', (select id from accounts where email = 'a' || n || '@example.com'), 'viewer',
                '{me}', now() + interval '1 day', now(), now()",
    ),
    (
        "/teams/acme/service-accounts",
        &["name", "id"],
        "insert into service_accounts (id, team_id, name, created_at, updated_at)
         select a.id, '{team}', 's' || n, now(), now() from generate_series({from}, {to}) n
         join accounts a on a.email = 'a' || n || '@example.com'",
    ),
    (
        "/teams/acme/service-accounts/s1/authorizations",
        &["created_at", "id"],
        "insert into oauth_authorizations (id, account_id, description, scope, token_hash, hint, created_at, updated_at)
         select gen_random_uuid(), (select id from accounts where email = 'a1@example.com'), 'x', '{read}',
                ('s' || n)::bytea, 'x', now(), now()",
    ),
    (
        "/account/app-transfers",
        &["created_at", "id"],
        "insert into app_transfers (id, app_id, owner_id, recipient_id, state, created_at, updated_at)
         select gen_random_uuid(), '{app}', '{me}', '{me}', 'declined', to_timestamp(n / 9), now()",
    ),
    (
        "/teams",
        &["name", "id"],
        "with made as (insert into teams (id, name, created_at, updated_at)
             select gen_random_uuid(), 'crew-' || n, now(), now() from generate_series({from}, {to}) n returning id)
         insert into team_invitations (id, team_id, account_id, role, expires_at, created_at, updated_at)
         select gen_random_uuid(), id, '{me}', 'viewer', now() + interval '1 day', now(), now() from made
         where {from} > 0",
    ),
    ("/account/team-invitations", &["created_at", "id"], ""),
    (
        "/oauth/authorizations",
        &["created_at", "id"],
        "insert into oauth_authorizations (id, account_id, description, scope, token_hash, hint, created_at, updated_at)
         select gen_random_uuid(), '{me}', 'x', '{read}', n::text::bytea, 'x', now(), now()",
    ),
    (
        "/oauth/clients",
        &["created_at", "id"],
        "insert into oauth_clients (id, account_id, name, redirect_uri, secret, secret_hash, created_at, updated_at)
         select gen_random_uuid(), '{me}', 'x', 'https://example.com', (select secret from oauth_clients limit 1),
                n::text::bytea, now(), now()",
    ),
    (
        "/account/sessions",
        &["last_seen_at", "id"],
        "insert into sessions (id, key_hash, account_id, data, created_at, last_seen_at, expires_at)
         select gen_random_uuid(), n::text::bytea, '{me}', '{}', now(), now(), now() + interval '1 day'",
    ),
    (
        "/identity-providers",
        &["name", "id"],
        "insert into identity_providers (id, name, title, kind, issuer, client_id, secret, domains, groups_claim,
                                         created_at, updated_at)
         select gen_random_uuid(), 'p' || n, 'P', 'openid', 'https://example.com', 'x', '', '{}', 'groups', now(), now()",
    ),
    (
        "/jobs",
        &["id", "created_at", "updated_at"],
        "insert into jobs (id, kind, subject, params, progress, note, waits_for, created_at, updated_at)
         select gen_random_uuid(), 'x', gen_random_uuid(), '{}', 0.5, 'x', 'x', to_timestamp(n / 9), to_timestamp(0)",
    ),
    ("/jobs?state=unfinished&kind=x", &["id"], ""),
    (
        "/backups",
        &["id"],
        "insert into backups (id, name, target, state, with_logs, started_at)
         select gen_random_uuid(), 'b' || n, '/backups', 'failed', true, to_timestamp(n / 9)",
    ),
    (
        "/schedules",
        &["name", "id"],
        "insert into schedules (id, name, about, cron, zone, kind, subject, params)
         select gen_random_uuid(), 's' || n, 'x', '0 0 * * *', 'UTC', 'x', gen_random_uuid(), '{}'",
    ),
    (
        "/account/identities",
        &["created_at", "id"],
        "insert into identities (id, account_id, provider_id, subject, given, created_at, updated_at)
         select gen_random_uuid(), '{me}', (select id from identity_providers limit 1), n::text, '{}', now(), now()",
    ),
];

/// Lists that are not among them: events are a chain of hashes, dynos see above, and the identities of a user are those of
/// the account.
const OTHERS: [&str; 4] = ["/events", "/apps/{app}/events", "/apps/{app}/dynos", "/users/{user}/identities"];

struct Ids {
    me: AccountId,
    app: AppId,
    team: TeamId,
}

async fn add(t: &World, ids: &Ids, sql: &str, from: i32, to: i32) {
    let whole = if sql.contains("from generate_series") { "" } else { " from generate_series({from}, {to}) n" };
    let sql = (sql.to_owned() + whole)
        .replace("{me}", &ids.me.to_string())
        .replace("{app}", &ids.app.to_string())
        .replace("{team}", &ids.team.to_string())
        .replace("{small}", &ids.team.to_string())
        .replace("{from}", &from.to_string())
        .replace("{to}", &to.to_string());
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&t.db).await.unwrap();
}

/// The key that identifies a row.
fn key(row: &Value) -> String {
    row.get("id").and_then(Value::as_str).map_or_else(|| row.to_string(), str::to_owned)
}

async fn page(asks: &Actor, path: &str, range: &str) -> Answer {
    let answer = asks.ask("GET", path).header("range", range).await;
    assert!(matches!(answer.status, 200 | 206), "{path} {range}: {}", answer.text());
    assert_eq!(answer.status == 206, answer.headers.contains_key("next-range"), "{path} {range}");
    answer
}

/// Follows a list to its end. Returns the keys of the rows.
async fn walk(asks: &Actor, path: &str, range: &str) -> Vec<String> {
    let (mut found, mut range) = (Vec::new(), range.to_owned());
    loop {
        let answer = page(asks, path, &range).await;
        found.extend(answer.json().as_array().unwrap().iter().map(key));
        let Some(next) = answer.headers.get("next-range") else { return found };
        let next = next.to_str().unwrap().to_owned();
        assert_ne!(next, range, "{path}");
        assert!(found.len() < 5000, "{path} does not end");
        range = next;
    }
}

#[tokio::test]
async fn every_list_has_each_row_once_and_asks_as_often_for_a_thousand_as_for_one() {
    let t = World::start().await;
    t.platform.leave_jobs();
    let app = t.app("dusk").await.id;
    let me = t.owner.get("/account").await.json()["id"].as_str().unwrap().parse().unwrap();
    t.owner.post("/teams", json!({ "name": "acme" })).await;
    let team = t.owner.get("/teams/acme").await.json()["id"].as_str().unwrap().parse().unwrap();
    let client = json!({ "name": "First", "redirect_uri": "https://example.com" });
    assert_eq!(t.owner.post("/oauth/clients", client).await.status, 201);
    let ids = Ids { me, app, team };
    for (path, orders, sql) in LISTS {
        let mut asked = Vec::new();
        let before = walk(&t.owner, path, "none ..; max=1000").await.len();
        for (from, to) in [(1, 1), (2, 201), (202, 1001)] {
            if !sql.is_empty() {
                add(&t, &ids, sql, from, to).await;
            }
            let (_, statements) = t.counted(page(&t.owner, path, "none ..; max=1000")).await;
            asked.push(statements);
        }
        assert!(asked[0] > 0 && asked.iter().all(|n| *n == asked[0]), "{path} asks {asked:?} times");
        let all = if sql.is_empty() { before } else { before + 1001 };
        assert!(all > 1000, "{path} has {all} rows");
        let mut ranges = vec!["none ..; max=200".to_owned(), "none ..; max=333, order=desc".to_owned()];
        ranges.extend(
            orders.iter().flat_map(|field| [format!("{field} ..; max=200"), format!("{field} ..; order=desc")]),
        );
        for range in ranges {
            let found = walk(&t.owner, path, &range).await;
            let once: HashSet<_> = found.iter().collect();
            assert_eq!((found.len(), once.len()), (all, all), "{path} {range}");
        }
    }
}

#[tokio::test]
async fn no_list_is_forgotten() {
    let t = World::start().await;
    t.app("dusk").await;
    t.owner.post("/teams", json!({ "name": "acme" })).await;
    t.owner.post("/teams/acme/service-accounts", json!({ "name": "s1" })).await;
    let me = t.owner.get("/account").await.json()["email"].as_str().unwrap().to_owned();
    let listed: HashSet<String> = LISTS
        .iter()
        .map(|(path, ..)| {
            let path = path.split('?').next().unwrap().replace("/users/~", "/users/{user}");
            let path = path.replace("/dusk", "/{app}").replace("/acme", "/{team}");
            path.replace("/s1", "/{account}")
        })
        .collect();
    let mut found = HashSet::new();
    for route in areas::route_list().into_iter().filter(|route| route.method == "GET") {
        let path = filled(&route.path.replace("{account}", "s1").replace("{user}", &me), "dusk");
        if t.owner.get(&path).await.headers.contains_key("accept-ranges") {
            found.insert(route.path);
        }
    }
    let forgotten: Vec<_> =
        found.iter().filter(|path| !listed.contains(*path) && !OTHERS.contains(&path.as_str())).collect();
    assert!(forgotten.is_empty(), "{forgotten:?} are not tried with many rows");
    assert!(listed.iter().all(|path| found.contains(path)), "{listed:?} of {found:?}");
}

#[tokio::test]
async fn the_database_shows_the_apps_that_the_rules_show() {
    let t = World::start().await;
    t.owner.post("/teams", json!({ "name": "acme" })).await;
    let account = t.stranger.get("/account").await.json();
    let (me, email) =
        (account["id"].as_str().unwrap().parse::<AccountId>().unwrap(), account["email"].as_str().unwrap());
    for (role, locked, given) in [None, Some("viewer"), Some("member"), Some("admin")]
        .into_iter()
        .flat_map(|role| [false, true].map(|locked| (role, locked)))
        .flat_map(|(role, locked)| [None, Some("view"), Some("status")].map(|given| (role, locked, given)))
    {
        let name = format!("{}-{locked}-{}", role.unwrap_or("none"), given.unwrap_or("none"));
        let body = json!({ "name": name, "team": "acme", "locked": locked });
        assert_eq!(t.owner.post("/teams/apps", body).await.status, 201);
        if let Some(given) = given {
            let create = CollaboratorCreate { user: Some(email.into()), permissions: Some(vec![given.into()]) };
            t.owner.collaborator_create(&name, &create).await.unwrap();
        }
    }
    for role in [None, Some("viewer"), Some("member"), Some("admin")] {
        sqlx::query("delete from team_members where account_id = $1").bind(me).execute(&t.db).await.unwrap();
        if let Some(role) = role {
            let save = json!({ "email": email, "role": role });
            assert_eq!(t.owner.ask("PUT", "/teams/acme/members").body(save.to_string()).await.status, 200);
        }
        let listed: HashSet<String> =
            t.stranger.app_list().await.unwrap().into_iter().map(|app| app.name.to_string()).collect();
        for app in t.owner.app_list().await.unwrap() {
            let name = app.name.to_string();
            let one = t.stranger.get(&format!("/apps/{name}")).await.status;
            assert_eq!(listed.contains(&name), one == 200, "{role:?} {name}: {one}");
        }
    }
}

#[tokio::test]
async fn a_range_that_is_not_understood_leads_nowhere_instead_of_to_the_beginning() {
    let t = World::start().await;
    t.app("dusk").await;
    for range in ["version ]four..", "nonsense ]4..", "created_at ]now..", "id ]7.."] {
        let (status, _, message) = t.owner.ask("GET", "/apps/dusk/releases").header("range", range).await.error();
        assert_eq!(status, 416, "{range}");
        assert!(message.contains("version, id, created_at, updated_at"), "{message}");
    }
    let answer = page(&t.owner, "/apps/dusk/releases", "version ..; max=15, order=desc").await;
    assert_eq!(answer.headers["accept-ranges"], "version, id, created_at, updated_at");
    assert_eq!(answer.headers["content-range"], "version 1..1");
}

impl World {
    /// The result of `asked`, and the number of its queries.
    pub async fn counted<T>(&self, asked: impl Future<Output = T>) -> (T, usize) {
        // The first statements were those of the thread that created the database, which are not counted.
        tracing::callsite::rebuild_interest_cache();
        let before = self.statements();
        let found = asked.instrument(tracing::info_span!("counted")).await;
        (found, self.statements() - before)
    }
}
