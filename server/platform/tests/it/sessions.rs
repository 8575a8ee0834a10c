//! Console sessions: one-time links, cookies, and protection against cross-site requests.

use serde_json::json;

use crate::world::{Answer, World, path};

/// Creates a one-time link. Returns its path.
async fn link(t: &World) -> String {
    let link = t.owner.post("/account/sign-in-links", json!({})).await;
    assert_eq!(link.status, 201);
    path(link.json()["url"].as_str().unwrap())
}

/// Submits the form on a link's page in a browser that has `cookie`.
async fn press(t: &World, link: &str, cookie: &str) -> Answer {
    let ask = t.anonymous.ask("POST", link).header("origin", "http://localhost").header("user-agent", "Lynx");
    ask.header("cookie", cookie).await
}

/// Signs a browser in. Returns its cookie.
pub async fn sign_in(t: &World) -> String {
    let answer = press(t, &link(t).await, "").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/apps"), "{answer:?}");
    cookie(&answer)
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_link_signs_one_browser_in_once() {
    let t = World::start().await;
    let link = link(&t).await;
    let first = press(&t, &link, "").await;
    let set = first.header("set-cookie").to_owned();
    for part in ["wharf=", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
        assert!(set.contains(part), "{part}: {set}");
    }
    assert!(!set.contains("Domain") && !set.contains("Secure"), "{set}");
    assert_eq!(first.header("cache-control"), "no-store");
    let account = t.anonymous.ask("GET", "/account").header("cookie", &cookie(&first)).await;
    assert_eq!(account.json()["admin"], true);
    assert!(t.owner.account_info().await.unwrap().last_login.is_some());

    let second = press(&t, &link, "").await;
    assert_eq!((second.status, second.header("location"), second.header("set-cookie")), (303, "/login?error=link", ""));
    let late = self::link(&t).await;
    sqlx::query("update sign_in_links set expires_at = now()").execute(&t.db).await.unwrap();
    assert_eq!(press(&t, &late, "").await.header("location"), "/login?error=link");
    let value = cookie(&first).trim_start_matches("wharf=").to_owned();
    let rows: Vec<String> =
        sqlx::query_scalar("select row_to_json(s)::text from sessions s").fetch_all(&t.db).await.unwrap();
    assert!(rows.len() == 1 && !rows[0].contains(&value), "{rows:?}");
    let events = t.owner.event_list_all().await.unwrap();
    assert_eq!(events.iter().filter(|e| e.action == "session.create").count(), 1);
}

#[tokio::test]
async fn sessions_beyond_the_limit_end_at_a_sign_in_and_so_do_their_streams() {
    let t = World::start().await;
    let first = sign_in(&t).await;
    let owner = t.owner.account_info().await.unwrap().id;
    let all = "select id from sessions where account_id = $1";
    let ended: uuid::Uuid = sqlx::query_scalar(all).bind(owner).fetch_one(&t.db).await.unwrap();
    let used = "insert into sessions (id, key_hash, account_id, data, created_at, last_seen_at, expires_at)
        select gen_random_uuid(), sha256(n::text::bytea), $1, '{}', now(), now() + interval '1 hour',
               now() + interval '1 day' from generate_series(1, 99) n";
    sqlx::query(used).bind(owner).execute(&t.db).await.unwrap();
    let account = async || t.anonymous.ask("GET", "/account").header("cookie", &first).await.status;
    assert_eq!(account().await, 200);
    let mut changes = t.platform.changes();
    sign_in(&t).await;
    assert_eq!(account().await, 401);
    // Whoever has something open with that session is told to check it.
    let told = std::iter::from_fn(|| changes.try_recv().ok());
    let told: Vec<_> = told.filter(|change| change.kind == base::Kind::Session).collect();
    assert_eq!(told, [base::bus::Changed::of_account(base::Kind::Session, owner)]);
    let events = t.owner.event_list_all().await.unwrap();
    let event = events.iter().find(|event| event.action == "session.delete").expect("it is in the audit log");
    assert_eq!(event.data["sessions"], json!([ended]));
}

/// A picture in a page of an app, a preview in a message, a form on another site.
#[tokio::test]
async fn a_link_does_nothing_until_its_own_page_sends_it() {
    let t = World::start().await;
    let (link, before) = (link(&t).await, sign_in(&t).await);
    for method in ["GET", "HEAD", "OPTIONS"] {
        let looked = t.anonymous.ask(method, &link).header("cookie", &before).await;
        assert_eq!((looked.status, looked.header("set-cookie")), (405, ""), "{method}");
    }
    for origin in ["http://evil.localhost", "https://evil.test", "null", ""] {
        let sent = t.anonymous.ask("POST", &link).header("origin", origin).header("cookie", &before).await;
        assert_eq!((sent.error().0, sent.header("set-cookie")), (403, ""), "{origin}");
    }
    assert_eq!(t.anonymous.ask("POST", &link).await.error().0, 403);
    assert_eq!(t.anonymous.ask("GET", "/account").header("cookie", &before).await.status, 200);
    assert_eq!(press(&t, &link, &before).await.header("location"), "/apps");
}

#[tokio::test]
async fn a_link_shows_its_account_and_the_signed_in_one() {
    let t = World::start().await;
    let link = link(&t).await;
    let info = link.replace("/login/", "/sign-in-links/");
    let owner = t.owner.account_info().await.unwrap().email;
    let asked = t.anonymous.get(&info).await;
    assert_eq!((asked.status, asked.header("cache-control"), asked.header("set-cookie")), (200, "no-store", ""));
    assert_eq!((asked.json()["email"].as_str(), &asked.json()["signed_in_as"]), (Some(&*owner), &json!(null)));
    let here = sign_in(&t).await;
    let asked = t.anonymous.ask("GET", &info).header("cookie", &here).await;
    assert_eq!(asked.json()["signed_in_as"], json!(owner));
    press(&t, &link, "").await;
    for gone in [&*info, "/sign-in-links/x"] {
        assert_eq!(t.anonymous.get(gone).await.error().0, 404, "{gone}");
    }
}

#[tokio::test]
async fn a_planted_cookie_is_worth_nothing() {
    let t = World::start().await;
    let planted = sign_in(&t).await;
    let answer = press(&t, &link(&t).await, &planted).await;
    assert_ne!(cookie(&answer), planted);
    assert_eq!(t.anonymous.ask("GET", "/account").header("cookie", &planted).await.status, 401);
}

#[tokio::test]
async fn a_cookie_that_an_app_set_for_the_domain_is_not_taken() {
    let t = World::start().await;
    t.expects("a browser sent two session cookies");
    let (own, planted) = (sign_in(&t).await, sign_in(&t).await);
    for cookies in [format!("{own}; {planted}"), format!("{planted}; a=b; {own}")] {
        let answer = t.anonymous.ask("GET", "/account").header("cookie", &cookies).await;
        assert_eq!(answer.error().0, 403, "{cookies}");
        assert!(answer.text().contains("two session cookies"), "{answer:?}");
        assert!(answer.header("set-cookie").starts_with("wharf=; Domain=localhost;"), "{answer:?}");
    }
    assert_eq!(t.anonymous.ask("GET", "/account").header("cookie", &format!("{own}; other=1")).await.status, 200);
}

#[tokio::test]
async fn a_session_writes_from_the_console_only() {
    let t = World::start().await;
    t.app("dusk").await;
    let cookie = sign_in(&t).await;
    let write = async |origin: &str| {
        let mut ask = t.anonymous.ask("PATCH", "/apps/dusk").header("cookie", &cookie).body(r#"{"maintenance": true}"#);
        if !origin.is_empty() {
            ask = ask.header("origin", origin);
        }
        ask.await.status
    };
    for origin in [
        "",
        "http://dusk.localhost",
        "http://evil.example.com",
        "null",
        "http://localhost.evil.com",
        "http://localhost:81",
    ] {
        assert_eq!(write(origin).await, 403, "{origin}");
    }
    assert!(!t.owner.app_info("dusk").await.unwrap().maintenance);
    assert_eq!(write("http://localhost").await, 200);
    assert!(t.owner.app_info("dusk").await.unwrap().maintenance);
    // The live socket only reads, but a page of an app could open it.
    let live = t
        .anonymous
        .ask("GET", "/live")
        .header("cookie", &cookie)
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    assert_eq!(live.header("origin", "http://dusk.localhost").await.status, 403);
    // Logged once: repeated attempts do not fill the log.
    let told = t.owner.event_list_all().await.unwrap().into_iter().filter(|e| e.action == "session.refuse");
    let told: Vec<_> = told.map(|e| (e.data["reason"].clone(), e.data["path"].clone())).collect();
    assert_eq!(told, [(json!("origin"), json!("/apps/dusk"))]);
    // A request with a token needs no origin.
    assert_eq!(t.owner.patch("/apps/dusk", json!({ "maintenance": false })).await.status, 200);
}

#[tokio::test]
async fn a_session_that_is_used_lasts() {
    let t = World::start().await;
    let cookie = sign_in(&t).await;
    let ask = async || t.anonymous.ask("GET", "/account").header("cookie", &cookie).await;
    let days = async || {
        let query = "select round(extract(epoch from expires_at - now()) / 86400)::int from sessions";
        sqlx::query_scalar::<_, i32>(query).fetch_one(&t.db).await.unwrap()
    };
    ask().await;
    assert_eq!((ask().await.header("set-cookie"), days().await), ("", 14));
    let aged =
        "update sessions set expires_at = now() + interval '1 day', data = jsonb_set(data, '{day}', '\"2026-01-01\"')";
    sqlx::query(aged).execute(&t.db).await.unwrap();
    let again = ask().await;
    assert!(again.header("set-cookie").starts_with(&format!("{cookie};")), "{again:?}");
    assert_eq!(days().await, 14);
    sqlx::query("update sessions set expires_at = now()").execute(&t.db).await.unwrap();
    assert_eq!(ask().await.status, 401);
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let t = World::start().await;
    let (here, there) = (sign_in(&t).await, sign_in(&t).await);
    let as_browser = |cookie: &str, method: &str, path: &str| {
        t.anonymous.ask(method, path).header("cookie", cookie).header("origin", "http://localhost")
    };
    let list = as_browser(&here, "GET", "/account/sessions").await.json();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list.iter().filter(|s| s["current"] == true).count(), 1);
    assert_eq!(list[0]["user_agent"], "Lynx");
    let other = list.iter().find(|s| s["current"] == false).unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(t.stranger.delete(&format!("/account/sessions/{other}")).await.error().0, 404);
    assert_eq!(as_browser(&here, "DELETE", &format!("/account/sessions/{other}")).await.status, 200);
    assert_eq!(as_browser(&there, "GET", "/account").await.status, 401);

    let refused = t.anonymous.ask("POST", "/logout").header("cookie", &here).await;
    assert_eq!(refused.status, 403);
    let out = as_browser(&here, "POST", "/logout").await;
    assert_eq!((out.status, out.header("location")), (303, "/login"));
    assert_eq!(as_browser(&here, "GET", "/account").await.status, 401);
    assert_eq!(t.owner.session_list().await.unwrap(), []);
}
