//! Attempts to put markup into the console's pages by their URLs.

use serde_json::json;

use crate::world::{Answer, World};

const MARKUP: &str = "</title><i>";
/// The same, URL-encoded.
const ENCODED: &str = "%3C%2Ftitle%3E%3Ci%3E";

/// The paths of all pages, as declared by the console.
fn routes() -> Vec<String> {
    let (mut parents, mut found): (Vec<&str>, _) = (Vec::new(), Vec::new());
    for line in include_str!("../../../app/src/app.rs").lines().map(str::trim) {
        let path = line.split_once("path!(\"").and_then(|(_, rest)| rest.split('"').next());
        match path {
            Some(path) if line.starts_with("<ParentRoute") => parents.push(path),
            Some(path) => found.push(parents.concat() + path),
            None if line.starts_with("</ParentRoute") => parents.truncate(parents.len() - 1),
            None => {}
        }
    }
    found
}

/// The path with markup as its parameters, and with a query string that pages read.
fn attack(route: &str) -> String {
    let part = |part: &str| if part.starts_with(':') { ENCODED.to_owned() } else { part.to_owned() };
    let path = route.split('/').map(part).collect::<Vec<_>>().join("/");
    let names = ["next", "error", "team", "name", "kind", "state", "app", "dyno", "text", "client_id", "after"];
    format!("{path}?{}", names.map(|name| format!("{name}={ENCODED}")).join("&"))
}

fn page(world: &World, path: &str, cookie: &str) -> Answer {
    world.ask("GET", path, &[("Accept", "text/html"), ("Cookie", cookie)], b"").unwrap()
}

/// Signs in the administrator's browser. Returns its cookie.
fn sign_in(world: &World) -> String {
    let link = world.api("POST", "/account/sign-in-links", json!({}));
    let url = link["url"].as_str().unwrap();
    let origin = format!("http://localhost:{}", world.port);
    let answer = world.ask("POST", &url[url.find("/login").unwrap()..], &[("Origin", &*origin)], b"").unwrap();
    answer.headers["set-cookie"].split(';').next().unwrap().to_owned()
}

#[test]
fn text_in_a_url_does_not_become_markup() {
    let world = World::new();
    let mut up = world.up(&[]);
    let cookie = sign_in(&world);
    let mut routes = routes();
    assert!(routes.len() > 20 && routes.iter().any(|route| route == "/apps/:app/logs"), "{routes:?}");
    // Not a page.
    routes.push("/:nothing".into());
    let (mut shown, mut missing) = (0, 0);
    for route in &routes {
        for cookie in ["", &cookie] {
            let answer = page(&world, &attack(route), cookie);
            assert!([200, 302, 303, 307, 404].contains(&answer.status), "{route}: {} {}", answer.status, answer.body);
            assert!(!answer.body.contains(MARKUP), "{route}: {}", answer.body);
            assert!(answer.headers.values().all(|value| !value.contains(MARKUP)), "{route}: {:?}", answer.headers);
            shown += usize::from(answer.status == 200);
            if answer.status == 404 && !route.starts_with("/login") {
                assert!(answer.body.contains("<title>Not found · Wharf</title>"), "{route}: {}", answer.body);
                missing += 1;
            }
        }
    }
    assert!(shown > 10 && missing > 5, "{shown} pages, {missing} that do not exist");
    // The title of an existing resource is its name.
    world.api("POST", "/apps", json!({ "name": "dawn" }));
    let build = page(&world, &format!("/apps/dawn/builds/{ENCODED}"), &cookie);
    assert!(build.status == 404 && !build.body.contains(MARKUP), "{}", build.body);
    assert!(page(&world, "/apps/dawn/logs", &cookie).body.contains("<title>Logs of dawn · Wharf</title>"));
    assert!(up.stop().success());
}
