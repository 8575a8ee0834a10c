//! Attempts to exceed the scope of a token.

use base::routes::RequiredScope;
use serde_json::{Value, json};

use crate::{
    permissions::filled,
    world::{Actor, Answer, World},
};

/// A token of the owner's, as requested.
async fn token(t: &World, by: &Actor, asked: Value) -> Actor {
    let made = by.post("/oauth/authorizations", asked).await;
    assert_eq!(made.status, 201, "{made:?}");
    t.actor(made.json()["access_token"]["token"].as_str().unwrap())
}

async fn scoped(t: &World, scope: &str) -> Actor {
    token(t, &t.owner, json!({ "scope": [scope] })).await
}

/// The token of a program that the owner has authorized with full access.
async fn program(t: &World) -> Actor {
    let client = json!({ "name": "Dash", "redirect_uri": "https://dash.example/back" });
    let client = t.owner.post("/oauth/clients", client).await.json();
    let made = t.owner.post("/oauth/authorizations", json!({ "expires_in": 28800 })).await.json();
    sqlx::query("update oauth_authorizations set client_id = $1::uuid where id = $2::uuid")
        .bind(client["id"].as_str())
        .bind(made["id"].as_str())
        .execute(&t.db)
        .await
        .unwrap();
    t.actor(made["access_token"]["token"].as_str().unwrap())
}

fn is_out_of_scope(answer: &Answer) -> bool {
    answer.status == 403 && answer.text().contains("The scope of this token")
}

/// The operations of each scope, specified independently.
fn reaches(scope: &str, needs: RequiredScope) -> bool {
    let reads = matches!(needs, RequiredScope::Identity | RequiredScope::ReadDeploy | RequiredScope::Read);
    let deploys = needs == RequiredScope::Deploy;
    match scope {
        "global" => true,
        "write-protected" => {
            reads
                || deploys
                || matches!(needs, RequiredScope::Write | RequiredScope::ReadProtected | RequiredScope::WriteProtected)
        }
        "write" => reads || deploys || needs == RequiredScope::Write,
        "deploy" => deploys || matches!(needs, RequiredScope::Identity | RequiredScope::ReadDeploy),
        "read-protected" => reads || needs == RequiredScope::ReadProtected,
        "read" => reads,
        _ => needs == RequiredScope::Identity,
    }
}

#[tokio::test]
async fn no_token_goes_beyond_its_scope_on_any_route() {
    let t = World::start().await;
    for scope in ["global", "write-protected", "write", "deploy", "read-protected", "read", "identity"] {
        let bearer = scoped(&t, scope).await;
        for route in areas::route_list().iter().filter(|route| route.needs != RequiredScope::Nothing) {
            let path = filled(&route.path, "nope");
            let answer = bearer.ask(route.method, &path).body("{}").await;
            let expected = !reaches(scope, route.needs);
            assert_eq!(is_out_of_scope(&answer), expected, "{scope}: {} {path}: {answer:?}", route.method);
        }
        let nothing = bearer.get("/apps/nope/no-such-thing").await;
        assert_eq!(is_out_of_scope(&nothing), !reaches(scope, RequiredScope::Read), "{scope}: {nothing:?}");
    }
}

#[test]
fn what_a_route_needs_fits_what_it_is_about() {
    // These use POST because the query is long or the response is a URL; they change nothing.
    let reads_by_post = ["/filters/apps", "/apps/{app}/log-sessions"];
    for route in areas::route_list() {
        let (path, needs) = (route.path.as_str(), route.needs);
        let named = format!("{} {path} needs {}", route.method, needs.name());
        if path.contains("config-vars") {
            assert!(matches!(needs, RequiredScope::ReadProtected | RequiredScope::WriteProtected), "{named}");
        }
        if route.method != "GET" && !reads_by_post.contains(&path) {
            assert!(
                !matches!(
                    needs,
                    RequiredScope::Identity
                        | RequiredScope::Read
                        | RequiredScope::ReadDeploy
                        | RequiredScope::ReadProtected
                ),
                "{named}"
            );
        }
        let is_closed =
            ["/account", "/events", "/identity-providers", "/oauth/", "/password-policy", "/platform", "/users"];
        let is_open = ["/account", "/account/rate-limits", "/oauth/token", "/oauth/tokens", "/oauth/revoke"];
        if is_closed.iter().any(|closed| path.starts_with(closed)) && !is_open.contains(&path) {
            assert!(
                matches!(needs, RequiredScope::Global | RequiredScope::Credential | RequiredScope::LastingCredential),
                "{named}"
            );
        }
        if path.starts_with("/teams") && !path.starts_with("/teams/apps") && route.method != "GET" {
            assert!(
                matches!(needs, RequiredScope::Global | RequiredScope::Credential | RequiredScope::LastingCredential),
                "{named}"
            );
        }
        if path.starts_with("/apps") {
            assert_ne!(needs, RequiredScope::Nothing, "{named}");
        }
    }
}

/// Every way to create, see or end a permanent credential of the account.
async fn lasting_keys(t: &World) -> Vec<(&'static str, String, Value)> {
    let client = json!({ "name": "Mine", "redirect_uri": "https://mine.example/back" });
    let made = t.owner.post("/oauth/clients", client.clone()).await.json();
    let id = made["id"].as_str().unwrap();
    let provider = json!({
        "kind": "github", "name": "mine", "issuer": "https://mine.example", "client_id": "a", "client_secret": "b",
    });
    vec![
        ("POST", "/account/sign-in-links".into(), json!({})),
        ("POST", "/account/password".into(), json!({ "password": "a long one that nobody guesses" })),
        ("POST", "/account/password/actions/confirm".into(), json!({ "code": "123456" })),
        ("PATCH", "/account/password".into(), json!({ "password": "another long one", "code": "123456" })),
        ("POST", "/oauth/clients".into(), client.clone()),
        ("PATCH", format!("/oauth/clients/{id}"), json!({ "redirect_uri": "https://evil.example/back" })),
        ("POST", format!("/oauth/clients/{id}/actions/rotate-credentials"), json!({})),
        ("POST", "/oauth/authorize".into(), json!({})),
        ("POST", "/identity-providers".into(), provider),
        ("PATCH", "/password-policy".into(), json!({ "enabled": true })),
        ("PATCH", "/users/stranger@example.com".into(), json!({ "admin": true })),
        ("DELETE", "/users/stranger@example.com/password".into(), json!({})),
        ("GET", "/oauth/clients".into(), json!({})),
        ("GET", format!("/oauth/clients/{id}"), json!({})),
        ("DELETE", format!("/oauth/clients/{id}"), json!({})),
        ("DELETE", "/account/sessions".into(), json!({})),
        ("DELETE", "/account/sessions/018f0000-0000-7000-8000-000000000000".into(), json!({})),
        ("DELETE", "/identity-providers/mine".into(), json!({})),
        ("POST", "/teams/acme/service-accounts".into(), json!({ "name": "bot" })),
    ]
}

#[tokio::test]
async fn a_token_that_ends_makes_nothing_that_lasts() {
    let t = World::start().await;
    let short = token(&t, &t.owner, json!({ "expires_in": 600 })).await;
    for (method, path, body) in lasting_keys(&t).await {
        let refused = short.ask(method, &path).body(body.to_string()).await;
        assert_eq!(refused.status, 403, "{method} {path}: {refused:?}");
        assert!(refused.text().contains("This token expires"), "{method} {path}: {refused:?}");
    }
    let longer = short.post("/oauth/authorizations", json!({ "expires_in": 3600 })).await;
    assert!(longer.error().2.contains("cannot create a token that expires later"), "{longer:?}");
    // Without a requested expiry, it expires with the token that created it; so do the tokens that it creates.
    let child = short.post("/oauth/authorizations", json!({})).await.json();
    let left = child["access_token"]["expires_in"].as_i64().unwrap();
    assert!(left <= 600, "{child}");
    let child = t.actor(child["access_token"]["token"].as_str().unwrap());
    let grandchild = token(&t, &child, json!({ "expires_in": 5, "scope": ["read"] })).await;
    assert_eq!(grandchild.get("/apps").await.status, 200);
    assert_eq!(child.post("/account/sign-in-links", json!({})).await.status, 403);

    let bot = t.owner.post("/teams", json!({ "name": "acme" })).await;
    assert_eq!(bot.status, 201, "{bot:?}");
    t.owner.post("/teams/acme/service-accounts", json!({ "name": "bot" })).await;
    let of_bot = short.post("/teams/acme/service-accounts/bot/authorizations", json!({})).await.json();
    assert!(of_bot["access_token"]["expires_in"].as_i64().unwrap() <= 600, "{of_bot}");
    let bot = t.actor(of_bot["access_token"]["token"].as_str().unwrap());
    assert_eq!(bot.get("/apps").await.status, 200);

    // The tokens that it created are deleted with it.
    let own = short.get("/oauth/authorizations/~").await.json()["id"].as_str().unwrap().to_owned();
    t.owner.authorization_delete(&own).await.unwrap();
    for gone in [&short, &child, &grandchild, &bot] {
        assert_eq!(gone.get("/apps").await.status, 401);
    }
}

/// Kinds of credentials, as callers and as targets.
const KINDS: [&str; 6] = ["session", "lasting", "scoped", "ending", "its child", "program"];

/// Whether a credential of kind `by` may rename, replace or revoke the token `of`, specified independently: permanent
/// credentials have access to all tokens, expiring ones to themselves and those that they created, and a program to its
/// own token, which it cannot replace.
fn may_touch(by: &str, what: &str, of: &str) -> bool {
    match by {
        "session" | "lasting" => true,
        "ending" => of == "ending" || of == "its child",
        "its child" => of == "its child",
        "program" => of == "program" && what != "replace",
        _ => false,
    }
}

/// The requests of a client, with a token or a cookie.
async fn touch(t: &World, by: &(Option<Actor>, String), what: &str, of: &str) -> Answer {
    let path = format!("/oauth/authorizations/{of}");
    let (method, path, body) = match what {
        "rename" => ("PATCH", path, json!({ "description": "mine" })),
        "replace" => ("POST", format!("{path}/actions/regenerate-tokens"), json!({})),
        _ => ("DELETE", path, json!({})),
    };
    match by {
        (Some(token), _) => token.ask(method, &path).body(body.to_string()).await,
        (None, cookie) => {
            let ask = t.anonymous.ask(method, &path).header("cookie", cookie).header("origin", "http://localhost");
            ask.header("content-type", "application/json").body(body.to_string()).await
        }
    }
}

#[tokio::test]
async fn no_token_touches_more_than_it_is() {
    let t = World::start().await;
    let cookie = crate::sessions::sign_in(&t).await;
    for by in KINDS {
        for of in KINDS.into_iter().filter(|of| *of != "session") {
            for what in ["rename", "replace", "revoke"] {
                let made = Tokens::make(&t).await;
                let originator = (made.actor(by), cookie.clone());
                let answer = touch(&t, &originator, what, made.id(of)).await;
                let expected = if may_touch(by, what, of) { 200 } else { 403 };
                assert_eq!(answer.status, expected, "{by} to {what} {of}: {answer:?}");
                made.revoke(&t.owner).await;
            }
        }
    }
}

/// A token of each kind, with its id.
struct Tokens(Vec<(&'static str, Actor, String)>);

impl Tokens {
    async fn make(t: &World) -> Self {
        let make = async |by: &Actor, asked: Value| {
            let made = by.post("/oauth/authorizations", asked).await;
            assert_eq!(made.status, 201, "{made:?}");
            let made = made.json();
            (t.actor(made["access_token"]["token"].as_str().unwrap()), made["id"].as_str().unwrap().to_owned())
        };
        let lasting = make(&t.owner, json!({})).await;
        let scoped = make(&t.owner, json!({ "scope": ["write"] })).await;
        let ending = make(&t.owner, json!({ "expires_in": 600 })).await;
        let child = make(&ending.0, json!({})).await;
        let program = program(t).await;
        let id = program.get("/oauth/authorizations/~").await.json()["id"].as_str().unwrap().to_owned();
        let of = |kind, (actor, id): (Actor, String)| (kind, actor, id);
        Self(vec![
            of("lasting", lasting),
            of("scoped", scoped),
            of("ending", ending),
            of("its child", child),
            of("program", (program, id)),
        ])
    }

    /// An account has the maximum number of tokens.
    async fn revoke(&self, owner: &Actor) {
        for (.., id) in &self.0 {
            owner.delete(&format!("/oauth/authorizations/{id}")).await;
        }
    }

    fn actor(&self, kind: &str) -> Option<Actor> {
        self.0.iter().find(|(known, ..)| *known == kind).map(|(_, actor, _)| actor.again())
    }

    fn id(&self, kind: &str) -> &str {
        &self.0.iter().find(|(known, ..)| *known == kind).unwrap().2
    }
}

#[tokio::test]
async fn a_token_that_ends_revokes_no_better_one_of_a_service_account() {
    let t = World::start().await;
    t.owner.post("/teams", json!({ "name": "acme" })).await;
    t.owner.post("/teams/acme/service-accounts", json!({ "name": "bot" })).await;
    let short = token(&t, &t.owner, json!({ "expires_in": 600 })).await;
    let all = "/teams/acme/service-accounts/bot/authorizations";
    let lasting = t.owner.post(all, json!({})).await.json();
    let lasting = format!("{all}/{}", lasting["id"].as_str().unwrap());
    let gone = short.delete("/teams/acme/service-accounts/bot").await;
    assert_eq!(gone.status, 403, "its tokens would end with it: {gone:?}");
    assert_eq!(short.delete(&lasting).await.status, 403);
    let own = short.post(all, json!({})).await.json();
    assert_eq!(short.delete(&format!("{all}/{}", own["id"].as_str().unwrap())).await.status, 200);
    assert_eq!(t.owner.delete(&lasting).await.status, 200);
}

#[tokio::test]
async fn who_may_only_read_gets_no_code() {
    let t = World::start().await;
    t.app("dusk").await;
    let slug = t.slug("dusk", &[("web", "./server")]).await;
    let url = crate::builds::source(&t).await;
    t.platform.leave_jobs();
    t.owner.post("/apps/dusk/builds", json!({ "source_blob": { "url": url } })).await;
    for (scope, reads) in [("read", false), ("read-protected", false), ("write", true)] {
        let bearer = scoped(&t, scope).await;
        let slug = bearer.get(&format!("/apps/dusk/slugs/{slug}")).await;
        assert_eq!(slug.status, if reads { 200 } else { 403 }, "{scope}: {slug:?}");
        let build = bearer.get("/apps/dusk/builds/1").await.json();
        assert_eq!(!build["source_blob"]["url"].is_null(), reads, "{scope}: {build}");
        if !reads {
            for service in ["git-upload-pack", "git-receive-pack"] {
                let refs = bearer.get(&format!("/dusk.git/info/refs?service={service}")).await;
                assert!(is_out_of_scope(&refs), "{scope}: {service}: {refs:?}");
                let answer = bearer.post(&format!("/dusk.git/{service}"), Value::Null).await;
                assert!(is_out_of_scope(&answer), "{scope}: {service}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_program_makes_no_keys_at_all() {
    let t = World::start().await;
    let program = program(&t).await;
    assert_eq!(program.get("/apps").await.status, 200);
    let own = t.owner.get("/oauth/authorizations/~").await.json()["id"].as_str().unwrap().to_owned();
    let others = format!("/oauth/authorizations/{own}");
    let mut asked = lasting_keys(&t).await;
    asked.extend([
        ("POST", "/oauth/authorizations".into(), json!({ "scope": ["read"], "expires_in": 60 })),
        ("POST", format!("{others}/actions/regenerate-tokens"), json!({})),
        ("POST", "/oauth/authorizations/~/actions/regenerate-tokens".into(), json!({})),
        ("PATCH", others.clone(), json!({ "description": "mine" })),
        ("DELETE", others.clone(), json!({})),
    ]);
    for (method, path, body) in asked {
        let refused = program.ask(method, &path).body(body.to_string()).await;
        assert_eq!(refused.status, 403, "{method} {path}: {refused:?}");
    }
    assert_eq!(t.owner.get("/account").await.status, 200);
}

#[tokio::test]
async fn a_link_goes_with_the_token_that_made_it() {
    let t = World::start().await;
    let made = t.owner.post("/oauth/authorizations", json!({})).await.json();
    let lasting = t.actor(made["access_token"]["token"].as_str().unwrap());
    let link = lasting.post("/account/sign-in-links", json!({})).await;
    assert_eq!(link.status, 201, "{link:?}");
    t.owner.authorization_delete(made["id"].as_str().unwrap()).await.unwrap();
    let left: i64 = sqlx::query_scalar("select count(*) from sign_in_links").fetch_one(&t.db).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_scope_bounds_what_may_be_given() {
    let t = World::start().await;
    t.app("dusk").await;
    t.owner.post("/teams", json!({ "name": "acme" })).await;
    t.owner.post("/teams/apps", json!({ "team": "acme", "name": "shared", "locked": true })).await;
    let writer = scoped(&t, "write").await;
    for permission in ["manage", "deploy", "config"] {
        let body = json!({ "user": "stranger@example.com", "permissions": [permission] });
        let refused = writer.post("/apps/dusk/collaborators", body.clone()).await;
        assert!(refused.error().2.contains("with this token"), "{permission}: {refused:?}");
        let refused = writer.post("/teams/apps/dusk/collaborators", body).await;
        assert_eq!(refused.status, 403, "{permission}: {refused:?}");
    }
    let body = json!({ "user": "stranger@example.com", "permissions": ["push", "scale"] });
    assert_eq!(writer.post("/apps/dusk/collaborators", body).await.status, 201);
    let more = json!({ "permissions": ["manage"] });
    let refused = writer.patch("/apps/dusk/collaborators/stranger@example.com", more.clone()).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    // Neither all at once, nor by the routes of teams.
    for (path, body) in [
        ("/teams/apps/dusk", json!({ "owner": "acme" })),
        ("/teams/apps/shared", json!({ "owner": "~" })),
        ("/teams/apps/shared", json!({ "locked": false })),
    ] {
        let refused = writer.patch(path, body).await;
        assert_eq!(refused.status, 403, "{path}: {refused:?}");
    }
    for (method, path, body) in [
        ("POST", "/account/app-transfers", json!({ "app": "dusk", "recipient": "stranger@example.com" })),
        ("PUT", "/teams/acme/members", json!({ "email": "stranger@example.com", "role": "admin" })),
        ("PUT", "/teams/acme/invitations", json!({ "email": "stranger@example.com", "role": "admin" })),
        ("POST", "/teams/acme/service-accounts", json!({ "name": "bot" })),
    ] {
        let refused = writer.ask(method, path).body(body.to_string()).await;
        assert!(is_out_of_scope(&refused), "{path}: {refused:?}");
    }
    let all = scoped(&t, "write-protected").await;
    let given = all.patch("/apps/dusk/collaborators/stranger@example.com", json!({ "permissions": ["deploy"] })).await;
    assert_eq!(given.status, 200, "{given:?}");
    let refused = all.patch("/apps/dusk/collaborators/stranger@example.com", more).await;
    assert!(refused.error().2.contains("with this token"), "{refused:?}");
}

#[tokio::test]
async fn a_token_that_writes_neither_renames_nor_destroys() {
    let t = World::start().await;
    t.app("dusk").await;
    for scope in ["write", "write-protected", "deploy"] {
        let bearer = scoped(&t, scope).await;
        assert!(is_out_of_scope(&bearer.delete("/apps/dusk").await), "{scope}");
        let renamed = bearer.patch("/apps/dusk", json!({ "name": "dawn" })).await;
        assert_eq!(renamed.status, 403, "{scope}: {renamed:?}");
    }
    assert_eq!(t.owner.app_info("dusk").await.unwrap().name, "dusk");
    let made = scoped(&t, "write").await.post("/apps", json!({ "name": "noon" })).await;
    assert_eq!(made.status, 201, "{made:?}");
}

#[tokio::test]
async fn a_deploy_token_deploys_its_apps_and_nothing_else() {
    let t = World::start().await;
    for app in ["dusk", "dawn", "noon"] {
        t.app(app).await;
    }
    t.platform.leave_jobs();
    for odd in [
        json!({ "scope": ["write"], "apps": ["dusk"] }),
        json!({ "scope": ["deploy", "read"], "apps": ["dusk"] }),
        json!({ "apps": ["dusk"] }),
        json!({ "scope": ["deploy"], "apps": vec!["dusk"; 51] }),
    ] {
        assert_eq!(t.owner.post("/oauth/authorizations", odd.clone()).await.error().0, 422, "{odd}");
    }
    let unknown = json!({ "scope": ["deploy"], "apps": ["nope"] });
    assert_eq!(t.owner.post("/oauth/authorizations", unknown).await.error().0, 404);
    let foreign = json!({ "scope": ["deploy"], "apps": ["dusk"] });
    assert_eq!(t.stranger.post("/oauth/authorizations", foreign).await.error().0, 404);

    let asked = json!({ "scope": ["deploy"], "apps": ["dusk", "dawn", "dusk"], "description": "CI" });
    let made = t.owner.post("/oauth/authorizations", asked).await.json();
    let names: Vec<_> = made["apps"].as_array().unwrap().iter().map(|app| app["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["dusk", "dawn"]);
    assert!(!made["expires_at"].is_null(), "it expires without being asked to: {made}");
    let bearer = t.actor(made["access_token"]["token"].as_str().unwrap());

    for app in ["dusk", "dawn"] {
        for path in ["", "/builds", "/releases", "/releases/1", "/dynos", "/formation", "/status"] {
            let answer = bearer.get(&format!("/apps/{app}{path}")).await;
            assert_eq!(answer.status, 200, "{app}{path}: {answer:?}");
        }
        let source = bearer.post(&format!("/apps/{app}/sources"), json!({})).await;
        assert_eq!(source.status, 201, "{source:?}");
        let url = source.json()["source_blob"]["get_url"].clone();
        let build = bearer.post(&format!("/apps/{app}/builds"), json!({ "source_blob": { "url": url } })).await;
        assert_eq!(build.status, 201, "{build:?}");
        // Whoever finds the token gets no code.
        let path = format!("/apps/{app}/builds/{}", build.json()["id"].as_str().unwrap());
        let shown = [build.json(), bearer.get(&path).await.json()].map(|build| build["source_blob"]["url"].clone());
        assert!(shown.iter().all(Value::is_null), "{shown:?}");
        assert!(t.owner.get(&path).await.json()["source_blob"]["url"].is_string(), "{app}");
        let refs = bearer.get(&format!("/{app}.git/info/refs?service=git-receive-pack")).await;
        assert_eq!(refs.status, 200, "{refs:?}");
    }
    let missing = json!({ "id": "not_found", "resource": "app", "message": "Couldn't find that app." });
    for app in ["noon", "nope"] {
        let answer = bearer.get(&format!("/apps/{app}")).await;
        assert_eq!((answer.status, answer.json()), (404, missing.clone()), "{app}");
        let refs = bearer.get(&format!("/{app}.git/info/refs?service=git-receive-pack")).await;
        assert_eq!(refs.status, 404, "{app}: {refs:?}");
    }
    for (method, path) in [
        ("GET", "/apps"),
        ("POST", "/apps"),
        ("GET", "/apps/dusk/config-vars"),
        ("PATCH", "/apps/dusk/config-vars"),
        ("PATCH", "/apps/dusk/formation"),
        ("DELETE", "/apps/dusk/dynos"),
        ("POST", "/apps/dusk/log-sessions"),
        ("GET", "/apps/dusk/log-lines"),
        ("POST", "/apps/dusk/collaborators"),
        ("DELETE", "/apps/dusk"),
        ("POST", "/dusk.git/git-upload-pack"),
        ("GET", "/oauth/authorizations"),
        ("POST", "/oauth/authorizations"),
    ] {
        let refused = bearer.ask(method, path).body("{}").await;
        assert!(is_out_of_scope(&refused), "{method} {path}: {refused:?}");
    }
    // It is an administrator's, and the machine's folders are nevertheless not part of its apps.
    let local =
        json!({ "source_blob": { "url": "https://a.example/x.tgz" }, "buildpacks": [{ "url": "file:///srv/x" }] });
    for by in [&bearer, &scoped(&t, "write").await] {
        let refused = by.post("/apps/dusk/builds", local.clone()).await.error();
        assert!(refused.0 == 403 && refused.2.contains("scope global"), "{refused:?}");
    }
    // One that is in the list stays there when something else is added.
    let (path, write) = ("/apps/dusk/buildpack-installations", scoped(&t, "write").await);
    let put = async |by: &Actor, also: &str| {
        let list = json!({ "updates": [{ "buildpack": "file:///srv/x" }, { "buildpack": also }] });
        by.ask("PUT", path).body(list.to_string()).await.status
    };
    assert_eq!(put(&write, "heroku/nodejs").await, 403);
    assert_eq!(put(&t.owner, "heroku/nodejs").await, 200);
    assert_eq!(put(&write, "heroku/python").await, 200);
    assert_eq!(put(&write, "file:///srv/y").await, 403);
    t.owner.app_delete("dusk").await.unwrap();
    t.owner.app_delete("dawn").await.unwrap();
    assert_eq!(bearer.get("/apps/noon").await.status, 404, "a token without apps is for none");
}
