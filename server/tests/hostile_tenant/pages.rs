//! Attempts to put markup into the console's pages by their URLs, and to send its forms from elsewhere or broken.

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

/// The paths of all forms, as declared by the console, with markup as their parameters.
fn forms() -> Vec<String> {
    let declared = include_str!("../../src/console/forms.rs").split(".route(\"").skip(1);
    let paths = declared.filter_map(|rest| rest.split('"').next()).filter(|path| path.starts_with("/forms/"));
    let part = |part: &str| if part.starts_with('{') { ENCODED.to_owned() } else { part.to_owned() };
    paths.map(|path| path.split('/').map(part).collect::<Vec<_>>().join("/")).collect()
}

/// Bodies that no form sends.
const BODIES: [&str; 6] = [
    "",
    "name=%3C%2Ftitle%3E%3Ci%3E&key=%3C%2Ftitle%3E%3Ci%3E&email=%3C%2Ftitle%3E%3Ci%3E&next=%2F%2Fevil.example",
    "name=%00%FF&key=%00%FF&value=%0D%0Aset-cookie%3A%20a%3Db&email=%FF&password=%00&code=%00",
    "name=..%2F..&sample=..%2F..%2F..%2Fetc&team=..%2Fx&key=A&key=B&name=twice",
    "{\"name\": 1}",
    "%%%&&&===",
];

/// Sends every form with every body from `origin`; the status of none is an error of the platform.
fn send_forms(world: &World, cookie: &str, origin: Option<&str>) {
    let forms = forms();
    assert!(forms.len() >= 5, "{forms:?}");
    for (path, body) in forms.iter().flat_map(|path| BODIES.iter().map(move |body| (path, *body))) {
        let mut headers = vec![("Accept", "text/html"), ("Content-Type", "application/x-www-form-urlencoded")];
        headers.extend(Some(cookie).filter(|cookie| !cookie.is_empty()).map(|cookie| ("Cookie", cookie)));
        headers.extend(origin.map(|origin| ("Origin", origin)));
        let answer = world.ask("POST", path, &headers, body.as_bytes()).unwrap();
        let says = format!("{path} {body:?} from {origin:?}: {} {}", answer.status, answer.body);
        assert!(answer.status == 303 || (400..500).contains(&answer.status), "{says}");
        let is_planted = answer.headers.get("set-cookie").is_some_and(|cookie| cookie.contains("a=b"));
        assert!(!answer.body.contains(MARKUP) && !is_planted, "{says}");
        let to = answer.headers.get("location").map_or("/", String::as_str);
        assert!(to.starts_with('/') && !to.starts_with("//") && !to.contains(MARKUP), "{says}: {to}");
    }
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
    // Forms: nothing happens for a visitor whom another site, or an app, has sent.
    let apps = || world.api("GET", "/apps", serde_json::Value::Null).as_array().unwrap().len();
    let (before, own) = (apps(), format!("http://localhost:{}", world.port));
    for origin in [None, Some("null"), Some("http://evil.example"), Some("http://dawn.localhost")] {
        send_forms(&world, &cookie, origin);
        send_forms(&world, "", origin);
    }
    assert_eq!(apps(), before);
    send_forms(&world, "", Some(&own));
    assert_eq!(apps(), before);
    send_forms(&world, &cookie, Some(&own));
    assert!(up.stop().success());
}
