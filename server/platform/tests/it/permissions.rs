//! Responses per caller: generated from the list of routes, so that a new route cannot be forgotten.

use base::routes::{RequiredScope, Route};
use serde_json::json;

use crate::world::World;

/// The stranger's responses from routes that are not about an app. A route that is missing here fails.
const OF_ONES_OWN: &[(&str, u16)] = &[
    ("GET /account", 200),
    ("PATCH /account", 200),
    ("GET /account/app-transfers", 200),
    ("POST /account/app-transfers", 422),
    ("PUT /account/app-transfers", 422),
    ("GET /account/app-transfers/x", 404),
    ("PATCH /account/app-transfers/x", 404),
    ("DELETE /account/app-transfers/x", 404),
    ("GET /account/app-transfers/x/next-step", 404),
    ("GET /account/features", 200),
    ("GET /account/features/x", 404),
    ("GET /account/identities", 200),
    ("DELETE /account/identities/x", 404),
    ("GET /account/identity-proposals", 200),
    ("DELETE /account/identity-proposals/x", 404),
    ("POST /account/identity-proposals/x/accept", 403),
    ("GET /account/password", 200),
    ("POST /account/password", 422),
    ("PATCH /account/password", 422),
    ("DELETE /account/password", 404),
    ("POST /account/password/actions/confirm", 422),
    ("GET /account/rate-limits", 200),
    ("GET /account/sessions", 200),
    ("DELETE /account/sessions", 200),
    ("DELETE /account/sessions/x", 404),
    ("POST /account/sign-in-links", 201),
    ("GET /account/team-invitations", 200),
    ("GET /app-statuses", 200),
    ("GET /apps", 200),
    ("POST /apps", 201),
    ("GET /backup-policy", 403),
    ("PATCH /backup-policy", 403),
    ("GET /backups", 403),
    ("GET /dyno-sizes", 200),
    ("GET /dyno-sizes/x", 404),
    ("GET /events", 403),
    ("GET /events/export", 403),
    ("GET /events/verify", 403),
    ("POST /filters/apps", 422),
    ("GET /identity-providers", 403),
    ("POST /identity-providers", 403),
    ("PATCH /identity-providers/x", 403),
    ("DELETE /identity-providers/x", 403),
    ("GET /invitation-policy", 200),
    ("PATCH /invitation-policy", 403),
    ("GET /jobs", 403),
    ("GET /jobs/x", 403),
    ("POST /jobs/x/actions/cancel", 403),
    ("GET /mail-server", 403),
    ("PATCH /mail-server", 403),
    ("DELETE /mail-server", 403),
    ("POST /mail-server/actions/test", 403),
    ("GET /oauth/authorizations", 200),
    ("POST /oauth/authorizations", 201),
    ("GET /oauth/authorizations/x", 404),
    ("PATCH /oauth/authorizations/x", 404),
    ("DELETE /oauth/authorizations/x", 404),
    ("POST /oauth/authorizations/x/actions/regenerate-tokens", 404),
    ("POST /oauth/authorize", 403),
    ("GET /oauth/clients", 200),
    ("POST /oauth/clients", 422),
    ("GET /oauth/clients/x", 404),
    ("PATCH /oauth/clients/x", 404),
    ("DELETE /oauth/clients/x", 404),
    ("POST /oauth/clients/x/actions/rotate-credentials", 404),
    ("GET /oauth/consent", 404),
    ("GET /oauth/sessions", 200),
    ("DELETE /oauth/sessions/x", 404),
    ("GET /password-policy", 403),
    ("PATCH /password-policy", 403),
    ("GET /platform", 403),
    ("GET /quotas", 403),
    ("PATCH /quotas", 403),
    ("GET /regions", 200),
    ("GET /regions/x", 404),
    ("GET /samples", 200),
    ("GET /schedules", 403),
    ("POST /schedules/x/actions/run", 403),
    ("POST /sources", 201),
    ("GET /stacks", 200),
    ("GET /stacks/x", 404),
    ("GET /terminals/x", 404),
    ("GET /users", 403),
    ("GET /users/x", 404),
    ("PATCH /users/x", 403),
    ("GET /users/x/apps", 404),
    ("GET /users/x/identities", 403),
    ("DELETE /users/x/identities/x", 403),
    ("GET /users/x/next-step", 403),
    ("DELETE /users/x/password", 403),
    ("GET /users/x/quotas", 403),
    ("PATCH /users/x/quotas", 403),
];

/// The responses without credentials from routes that are streamed or public.
const OF_ANYBODY: &[(&str, u16)] = &[
    ("GET /blobs/slugs/x", 404),
    ("PUT /blobs/slugs/x", 404),
    ("GET /blobs/sources/x", 404),
    ("PUT /blobs/sources/x", 404),
    ("GET /live", 401),
    ("GET /login/oauth/x", 303),
    ("GET /login/oauth/x/callback", 303),
    ("POST /login/x", 403),
    ("POST /login/password", 422),
    ("POST /logout", 403),
    ("POST /oauth/revoke", 401),
    ("POST /oauth/token", 401),
    ("POST /oauth/tokens", 401),
    ("GET /sign-in-links/x", 404),
    ("GET /sign-in-options", 200),
    ("GET /streams/builds/x", 404),
    ("GET /streams/logs/x", 404),
    ("GET /streams/releases/x", 404),
    ("GET /dusk.git/info/refs?service=git-upload-pack", 401),
    ("POST /dusk.git/git-upload-pack", 401),
    ("POST /dusk.git/git-receive-pack", 401),
];

/// The part of the list of routes that a route is in.
fn part(route: &Route) -> &'static str {
    match route.path.as_str() {
        path if path.starts_with("/apps/{app}") => "app_routes",
        path if path.starts_with("/teams") => "team_routes",
        path if path == "/live" || path.starts_with("/{repository}") => "stream_routes",
        _ if route.needs == RequiredScope::Nothing => "open_routes",
        _ => "api_routes",
    }
}

/// `GET /account` for each method of each route in a part of the list; routes of apps without the prefix up to the app.
pub fn routes(name: &str) -> Vec<String> {
    let of_part = areas::route_list().into_iter().filter(|route| part(route) == name);
    let below = |path: &str| match path.trim_start_matches("/apps/{app}") {
        "" => "/".to_owned(),
        path => path.to_owned(),
    };
    of_part.map(|route| format!("{} {}", route.method, below(&route.path))).collect()
}

/// The route with values in place of its `{…}`; existing names for an app and a team.
pub fn filled(route: &str, app: &str) -> String {
    let route = route.replace("{repository}", &format!("{app}.git")).replace("{app}", app).replace("{team}", "acme");
    let mut out = String::new();
    for (n, part) in route.split('{').enumerate() {
        out.push_str(if n == 0 { part } else { "x" });
        out.push_str(if n == 0 { "" } else { part.split_once('}').expect("it is closed").1 });
    }
    out.replace("/info/refs", "/info/refs?service=git-upload-pack")
}

/// The routes of an app called dusk.
pub fn app_routes() -> Vec<String> {
    let routes = routes("app_routes").into_iter().map(|route| {
        let (method, path) = route.split_once(' ').unwrap();
        format!("{method} /apps/dusk{}", filled(path, "dusk").trim_end_matches('/'))
    });
    routes.collect()
}

/// A body that every route can parse.
fn body() -> String {
    json!({ "url": "https://example.com", "updates": [], "source_blob": {} }).to_string()
}

#[test]
fn the_list_of_routes_is_understood() {
    assert!(app_routes().len() > 45, "{:#?}", app_routes());
    assert!(app_routes().contains(&"DELETE /apps/dusk".to_owned()));
    let listed = |table: &[(&str, u16)]| table.iter().map(|(route, _)| (*route).to_owned()).collect::<Vec<_>>();
    let sorted = |mut routes: Vec<String>| {
        routes.sort();
        routes
    };
    let found = routes("api_routes").iter().map(|r| filled(r, "dusk")).collect();
    assert_eq!(sorted(found), sorted(listed(OF_ONES_OWN)));
    let open = [routes("open_routes"), routes("stream_routes")].concat();
    let found = open.iter().map(|r| filled(r, "dusk")).collect();
    assert_eq!(sorted(found), sorted(listed(OF_ANYBODY)));
}

#[tokio::test]
async fn nobody_gets_anything_without_credentials() {
    let t = World::start().await;
    t.app("dusk").await;
    let own = OF_ONES_OWN.iter().map(|(route, _)| (*route).to_owned());
    let team = routes("team_routes").into_iter().map(|route| filled(&route, "dusk"));
    for route in own.chain(team).chain(app_routes()) {
        let (method, path) = route.split_once(' ').unwrap();
        let answer = t.anonymous.ask(method, path).body(body()).await;
        assert_eq!(answer.error().0, 401, "{route}");
    }
    for (route, status) in OF_ANYBODY {
        let (method, path) = route.split_once(' ').unwrap();
        let answer = t.anonymous.ask(method, path).body("{}").await;
        assert_eq!(answer.status, *status, "{route}: {answer:?}");
        let challenge = answer.header("www-authenticate");
        assert_eq!(!challenge.is_empty(), path.contains(".git"), "{route}: {challenge}");
    }
}

#[tokio::test]
async fn a_stranger_does_not_learn_that_an_app_exists() {
    let t = World::start().await;
    t.app("dusk").await;
    let expected = json!({ "id": "not_found", "resource": "app", "message": "Couldn't find that app." });
    for route in app_routes() {
        let (method, path) = route.split_once(' ').unwrap();
        for path in [path.to_owned(), path.replace("dusk", "nope")] {
            let answer = t.stranger.ask(method, &path).body(body()).await;
            assert_eq!((answer.status, answer.json()), (404, expected.clone()), "{method} {path}");
        }
    }
    for path in ["/dusk.git/info/refs?service=git-receive-pack", "/nope.git/info/refs?service=git-receive-pack"] {
        let answer = t.stranger.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (404, "text/plain"), "{path}");
    }
    assert_eq!(t.owner.app_list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_stranger_gets_only_public_responses() {
    let t = World::start().await;
    // No name that the platform generates contains this one.
    t.app("hidden").await;
    for (route, status) in OF_ONES_OWN {
        let (method, path) = route.split_once(' ').unwrap();
        let answer = t.stranger.ask(method, path).body("{}").await;
        assert_eq!(answer.status, *status, "{route}: {answer:?}");
        assert!(!answer.text().contains("hidden"), "{route}: {answer:?}");
    }
}

#[tokio::test]
async fn the_owner_finds_every_route() {
    let t = World::start().await;
    t.app("dusk").await;
    for route in app_routes().iter().filter(|r| *r != "DELETE /apps/dusk") {
        let (method, path) = route.split_once(' ').unwrap();
        let answer =
            t.owner.ask(method, path).body(if path.ends_with("config-vars") { "{}".into() } else { body() }).await;
        let says = answer.text();
        assert!(![401, 403, 405, 500].contains(&answer.status), "{route}: {answer:?}");
        assert!(!says.contains("API endpoint was not found") && !says.contains("find that app"), "{route}: {answer:?}");
    }
}
