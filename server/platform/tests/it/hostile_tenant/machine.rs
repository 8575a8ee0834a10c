//! Attempts to get a larger share through many teams, service accounts, tokens or sockets.

use api::{
    live::{ToBrowser, Topic},
    team_members::TeamMemberSave,
};
use serde_json::{Value, json};

use crate::{
    live::{bearer, open, serve},
    oauth_clients::Bot,
    sessions::sign_in,
    teams::somebody,
    world::{Actor, World, path, until},
};

/// A service account of a team.
async fn service_account(t: &World, by: &Actor, team: &str, name: &str) -> Actor {
    let of = format!("/teams/{team}/service-accounts");
    assert_eq!(by.post(&of, json!({ "name": name })).await.status, 201);
    let made = by.post(&format!("{of}/{name}/authorizations"), json!({})).await.json();
    t.actor(made["access_token"]["token"].as_str().unwrap())
}

/// Ada with five teams, each with an app and two service accounts. Returns all of them, each with an app that they may
/// deploy.
async fn crowd(t: &World) -> Vec<(Actor, String)> {
    let ada = somebody(t, "ada").await;
    assert_eq!(ada.post("/apps", json!({ "name": "app-ada" })).await.status, 201);
    let mut all = Vec::new();
    for n in 0..5 {
        let (team, app) = (format!("team-{n}"), format!("app-{n}"));
        assert_eq!(ada.post("/teams", json!({ "name": team })).await.status, 201);
        assert_eq!(ada.post("/teams/apps", json!({ "name": app, "team": team })).await.status, 201);
        for name in ["one", "two"] {
            all.push((service_account(t, &ada, &team, name).await, app.clone()));
        }
    }
    all.push((ada, "app-ada".into()));
    all
}

/// The number of this many requests, sent by `all` in turn, that stay open; those without a slot are rejected.
async fn taken(
    all: &[(Actor, String)],
    times: usize,
    ask: &impl AsyncFn(&Actor, &str) -> http::Response<axum::body::Body>,
) -> Vec<http::Response<axum::body::Body>> {
    let mut held = Vec::new();
    for (who, app) in all.iter().cycle().take(times) {
        let answer = ask(who, app).await;
        match answer.status().as_u16() {
            200 => held.push(answer),
            status => assert_eq!(status, 429),
        }
    }
    held
}

/// Another user, with an app.
async fn other(t: &World) -> (Actor, String) {
    let bob = somebody(t, "bob").await;
    assert_eq!(bob.post("/apps", json!({ "name": "app-bob" })).await.status, 201);
    (bob, "app-bob".into())
}

async fn quota(who: &Actor, path: &str, name: &str) -> Option<(i64, Option<i64>)> {
    let all = who.get(path).await.json();
    let found = all.as_array().unwrap().iter().find(|quota| quota["name"] == name)?.clone();
    Some((found["used"].as_i64().unwrap(), found["most"].as_i64()))
}

#[tokio::test]
async fn teams_are_limited() {
    let t = World::start().await;
    let (ada, bob) = (somebody(&t, "ada").await, somebody(&t, "bob").await);
    let make = async |n: usize| ada.post("/teams", json!({ "name": format!("team-{n}") })).await;
    let made = futures::future::join_all((0..8).map(make)).await;
    assert_eq!(made.iter().filter(|answer| answer.status == 201).count(), 5, "{made:?}");
    assert_eq!(quota(&ada, "/users/~/quotas", "teams").await, Some((5, Some(5))));
    assert_eq!(quota(&ada, "/users/~/quotas", "service_accounts").await, None);
    let (status, id, message) = make(9).await.error();
    assert_eq!((status, id.as_str()), (422, "quota_reached"));
    assert!(message.starts_with("You may have at most 5 created teams (quota \"teams\")"), "{message}");
    // Leaving a team to somebody else does not reduce the number of teams that one has created.
    let team = made.iter().find(|answer| answer.status == 201).unwrap().json()["name"].as_str().unwrap().to_owned();
    let admin = TeamMemberSave { email: "bob@example.com".into(), role: "admin".into() };
    ada.team_member_save(&team, &admin).await.unwrap();
    ada.team_member_delete(&team, "ada@example.com").await.unwrap();
    assert_eq!(make(9).await.status, 422);
    assert_eq!(quota(&bob, "/users/~/quotas", "teams").await, Some((0, Some(5))));
    bob.delete(&format!("/teams/{team}")).await;
    assert_eq!(make(9).await.status, 201);
    // The operator sets the limit.
    let raised = t.owner.patch("/users/ada@example.com/quotas", json!({ "teams": 6 })).await;
    assert_eq!(raised.status, 200, "{raised:?}");
    assert_eq!((make(10).await.status, make(11).await.status), (201, 422));
    let odd = t.owner.patch("/users/ada@example.com/quotas", json!({ "service_accounts": 6 })).await.error();
    assert!(odd.0 == 422 && odd.2.contains("no quota \"service_accounts\" for ada@example.com"), "{odd:?}");
}

#[tokio::test]
async fn service_accounts_are_limited() {
    let t = World::start().await;
    let ada = somebody(&t, "ada").await;
    ada.post("/teams", json!({ "name": "acme" })).await;
    let make = async |n: usize| ada.post("/teams/acme/service-accounts", json!({ "name": format!("bot-{n}") })).await;
    let made = futures::future::join_all((0..13).map(make)).await;
    assert_eq!(made.iter().filter(|answer| answer.status == 201).count(), 10, "{made:?}");
    assert_eq!(quota(&ada, "/teams/acme/quotas", "service_accounts").await, Some((10, Some(10))));
    assert_eq!(quota(&ada, "/teams/acme/quotas", "teams").await, None);
    let (status, id, message) = make(20).await.error();
    assert_eq!((status, id.as_str()), (422, "quota_reached"));
    assert!(message.contains("may have at most 10 service accounts (quota \"service_accounts\")"), "{message}");
    let set = t.owner.patch("/quotas", json!({ "service_accounts": 11, "teams": 1 })).await;
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!((make(20).await.status, make(21).await.status), (201, 422));
    assert_eq!(ada.post("/teams", json!({ "name": "base" })).await.status, 422);
    // Administrators could raise their own quotas.
    assert_eq!(t.owner.post("/teams", json!({ "name": "ours-1" })).await.status, 201);
    assert_eq!(t.owner.post("/teams", json!({ "name": "ours-2" })).await.status, 201);
}

#[tokio::test]
async fn one_person_leaves_streams_to_others() {
    let t = World::start().await;
    let (all, (bob, his)) = (crowd(&t).await, other(&t).await);
    let tail = async |who: &Actor, app: &str| {
        let made = who.post(&format!("/apps/{app}/log-sessions"), json!({ "tail": true })).await.json();
        t.anonymous.ask("GET", &path(made["logplex_url"].as_str().unwrap())).open().await
    };
    let held = taken(&all, 70, &tail).await;
    assert_eq!(held.len(), 50, "as many as one account alone");
    assert_eq!(tail(&bob, &his).await.status(), 200);
    // A socket counts, too.
    let host = serve(&t).await;
    for (who, _) in &all {
        assert_eq!(open(&host, &bearer(who.token.as_ref().unwrap())).await.err(), Some(429));
    }
    assert!(open(&host, &bearer(bob.token.as_ref().unwrap())).await.is_ok());
}

#[tokio::test]
async fn one_person_leaves_clones_to_others() {
    let t = World::start().await;
    let (all, (bob, his)) = (crowd(&t).await, other(&t).await);
    let look = async |who: &Actor, app: &str| {
        who.ask("GET", &format!("/{app}.git/info/refs?service=git-upload-pack")).open().await
    };
    // Responses that are not read.
    let held = taken(&all, 25, &look).await;
    assert_eq!(held.len(), 10, "as many as one account alone");
    assert_eq!(look(&bob, &his).await.status(), 200);
}

#[tokio::test]
async fn silent_clients_have_no_slot() {
    let t = World::start().await;
    let (bob, app) = other(&t).await;
    let mut silent = Vec::new();
    for service in ["git-upload-pack", "git-receive-pack"] {
        for _ in 0..20 {
            let nothing = axum::body::Body::from_stream(futures::stream::pending::<Result<&[u8], std::io::Error>>());
            let ask = bob.ask("POST", &format!("/{app}.git/{service}")).body(nothing);
            silent.push(tokio::spawn(ask.open()));
        }
    }
    until("all of them have been let in", async || {
        match bob.get("/account/rate-limits").await.json()["remaining"].as_i64() {
            Some(left) if left < 4500 - 40 => Ok(()),
            left => Err(format!("{left:?}")),
        }
    })
    .await;
    for _ in 0..20 {
        let look = bob.ask("GET", &format!("/{app}.git/info/refs?service=git-upload-pack")).await;
        assert_eq!(look.status, 200, "{look:?}");
    }
    assert!(silent.iter().all(|asked| !asked.is_finished()), "they are waited for");
    silent.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn more_tokens_are_no_more_requests_and_they_are_bounded() {
    let t = World::start().await;
    let ada = somebody(&t, "ada").await;
    let left = |answer: &crate::world::Answer| answer.header("ratelimit-remaining").parse::<i64>().unwrap();
    let first = left(&ada.get("/account").await);
    let make = async |body: Value| ada.post("/oauth/authorizations", body).await;
    let token = make(json!({})).await.json()["access_token"]["token"].as_str().unwrap().to_owned();
    let after = left(&t.actor(&token).get("/account").await);
    assert!((first - 3..first).contains(&after), "{first} {after}");

    // There are two already: the one from her creation, and another.
    for n in 0..98 {
        assert_eq!(make(json!({})).await.status, 201, "{n}");
    }
    let (status, id, message) = make(json!({})).await.error();
    assert_eq!((status, id.as_str()), (422, "quota_reached"), "{message}");
    assert!(message.contains("has 100 tokens") && message.contains("Revoke"), "{message}");
    let all = ada.authorization_list().await.unwrap();
    let last = all.iter().find(|one| one.description.starts_with("Long-lived")).unwrap().id.to_string();
    ada.authorization_delete(&last).await.unwrap();
    assert_eq!(make(json!({})).await.status, 201);
    // Expired ones no longer count.
    assert_eq!(make(json!({})).await.status, 422);
    sqlx::query("update oauth_authorizations set expires_at = now() where description like 'Long-lived%'")
        .execute(&t.db)
        .await
        .unwrap();
    assert_eq!(make(json!({})).await.status, 201);
    let kept: i64 = sqlx::query_scalar("select count(*) from oauth_authorizations where expires_at < now()")
        .fetch_one(&t.db)
        .await
        .unwrap();
    assert_eq!(kept, 0, "nor is it kept");
}

#[tokio::test]
async fn programs_that_create_tokens_do_not_block_logins() {
    let t = World::start().await;
    let made = async |ask: crate::world::Ask| ask.body("{}").await.status;
    let mut all = Vec::new();
    for _ in 0..101 {
        all.push(made(t.owner.ask("POST", "/oauth/authorizations")).await);
    }
    assert_eq!(all.iter().position(|status| *status == 422), Some(99));
    let cookie = sign_in(&t).await;
    let ask = || {
        let ask = t.anonymous.ask("POST", "/oauth/authorizations").header("origin", "http://localhost");
        ask.header("cookie", &cookie)
    };
    assert_eq!(made(ask()).await, 201, "a person in a browser has some more");
}

#[tokio::test]
async fn clients_of_one_owner_share_only_its_requests() {
    let bot = Bot::start().await;
    let t = &bot.t;
    let owner = t.stranger.account_info().await.unwrap().id;
    let secret = format!("client_secret={}", api::client::segment(&bot.secret));
    for (path, more) in [("token", "&grant_type=refresh_token&refresh_token=x"), ("revoke", "&token=x")] {
        let (path, form) = (format!("/oauth/{path}"), secret.clone() + more);
        until("it has none left", async || {
            // During a slow request, the bucket may refill by one.
            while t.platform.rate_limits().take_for_client(owner).is_ok() {}
            let answer = t.anonymous.ask("POST", &path).body(form.clone()).await;
            if answer.status == 429 { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await;
    }
    assert_eq!(t.stranger.get("/account").await.status, 200, "who made it has their own");
    let body = json!({ "name": "Other", "redirect_uri": "https://other.example.com" });
    let other = t.owner.post("/oauth/clients", body).await.json();
    let form = format!("client_secret={}&token=x", api::client::segment(other["secret"].as_str().unwrap()));
    assert_eq!(t.anonymous.ask("POST", "/oauth/revoke").body(form).await.status, 200);
}

#[tokio::test]
async fn values_of_many_sockets_are_computed_once() {
    let t = World::start().await;
    let (bob, app) = other(&t).await;
    let host = serve(&t).await;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        let mut socket = open(&host, &bearer(bob.token.as_ref().unwrap())).await.unwrap();
        socket.subscribe(1, Topic::Apps).await;
        socket.value(1, |_| true).await;
        socket.subscribe(2, Topic::App { app: app.clone() }).await;
        socket.value(2, |_| true).await;
        sockets.push(socket);
    }
    let before = t.looks();
    bob.patch(&format!("/apps/{app}"), json!({ "maintenance": true })).await;
    for socket in &mut sockets {
        socket.value(1, |all| all[0]["condition"] == "maintenance").await;
    }
    for socket in &mut sockets {
        // Subscribed again, since values were skipped while waiting for the others.
        socket.subscribe(2, Topic::App { app: app.clone() }).await;
        socket.value(2, |app| app["condition"] == "maintenance").await;
    }
    let looks = t.looks() - before;
    assert!((1..15).contains(&looks), "{looks} for one change and twenty subscriptions");
}

#[tokio::test]
async fn a_socket_follows_all_apps_once() {
    let t = World::start().await;
    let (bob, _) = other(&t).await;
    let host = serve(&t).await;
    let mut socket = open(&host, &bearer(bob.token.as_ref().unwrap())).await.unwrap();
    socket.subscribe(1, Topic::Apps).await;
    socket.value(1, |_| true).await;
    socket.subscribe(2, Topic::Apps).await;
    let mut ended = false;
    loop {
        match socket.hear().await.unwrap() {
            ToBrowser::End { id: 1 } => ended = true,
            ToBrowser::Value { id: 2, .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(ended);
}
