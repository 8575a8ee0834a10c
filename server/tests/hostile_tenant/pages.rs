//! Links to the console that contain HTML.

use serde_json::json;

use crate::world::World;

/// Pages whose address contains what others may have written.
const PAGES: [&str; 13] = [
    "/x",
    "/login/x",
    "/apps/x",
    "/apps/x/activity",
    "/apps/x/resources",
    "/apps/x/logs",
    "/apps/x/metrics",
    "/apps/x/settings",
    "/apps/x/builds/1",
    "/apps/dusk/builds/x",
    "/teams/x",
    "/users/x",
    "/apps?x",
];

#[test]
fn what_a_link_says_is_text_in_the_head_of_a_page() {
    let world = World::new();
    let mut up = world.up(&[]);
    world.api("POST", "/apps", json!({ "name": "dusk" }));
    let link = world.api("POST", "/account/sign-in-links", json!({}));
    let origin = format!("http://localhost:{}", world.port);
    let path = link["url"].as_str().unwrap().strip_prefix(&origin).unwrap().to_owned();
    let html = ("Accept", "text/html");
    let signed_in = world.ask("POST", &path, &[html, ("Origin", &origin)], b"").unwrap();
    let cookie = signed_in.headers["set-cookie"].split(';').next().unwrap();
    let mut titles = 0;
    for page in PAGES {
        let path = page.replace('x', "%3C%2Ftitle%3E%3Ci%3E");
        let shown = world.ask("GET", &path, &[html, ("Cookie", cookie)], b"").unwrap();
        let head = shown.body.split("</head>").next().unwrap();
        assert!(!head.contains("</title><i>"), "{page}: {head}");
        titles += usize::from(head.contains("<title>"));
    }
    assert!(titles > PAGES.len() / 2, "{titles} pages have a title");
    assert!(up.stop().success());
}
