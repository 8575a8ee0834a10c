//! Attacks on identity: invitations, providers, suspended accounts, and lockouts of others.

use serde_json::{Value, json};

use crate::{
    provider::Provider,
    sign_in::{Browser, Door, person},
    teams::somebody,
    world::{Actor, World},
};

const UNKNOWN: &str = "/login?error=unknown&provider=acme";
const IN: &str = "/apps/new";

async fn accounts_called(t: &World, email: &str) -> i64 {
    sqlx::query_scalar("select count(*) from accounts where email = $1").bind(email).fetch_one(&t.db).await.unwrap()
}

async fn invite(who: &Actor, team: &str, email: &str) -> u16 {
    let body = json!({ "email": email, "role": "viewer" }).to_string();
    who.ask("PUT", &format!("/teams/{team}/invitations")).body(body).await.status
}

/// A provider that is trusted for acme.test, which alone admits nobody.
async fn closed() -> Door {
    Door::open(json!({ "admits": false })).await
}

#[tokio::test]
async fn only_administrators_invite_new_people_by_default() {
    let door = closed().await;
    let (t, eve) = (&door.t, somebody(&door.t, "eve").await);
    eve.post("/teams", json!({ "name": "trap" })).await;
    eve.post("/apps", json!({ "name": "bait" })).await;
    assert_eq!(invite(&eve, "trap", "friend@acme.test").await, 403);
    for (method, path, body) in [
        ("PUT", "/teams/trap/members", json!({ "email": "friend@acme.test", "role": "viewer" })),
        ("POST", "/teams/trap/members", json!({ "email": "friend@acme.test", "role": "viewer" })),
        ("POST", "/apps/bait/collaborators", json!({ "user": "friend@acme.test" })),
        ("POST", "/teams/apps/bait/collaborators", json!({ "user": "friend@acme.test" })),
        ("POST", "/account/app-transfers", json!({ "app": "bait", "recipient": "friend@acme.test" })),
    ] {
        let (status, _, message) = eve.ask(method, path).body(body.to_string()).await.error();
        assert!(
            [403, 422].contains(&status)
                && ["does not have an account", "There is no account"].iter().any(|text| message.contains(text)),
            "{method} {path}: {message}"
        );
    }
    assert_eq!(accounts_called(t, "friend@acme.test").await, 0);
    assert_eq!(door.sign_in(&mut Browser::default(), person("9", "friend@acme.test")).await, UNKNOWN);
    // Existing users can be added by everybody with the right to add members.
    assert_eq!(invite(&eve, "trap", "stranger@example.com").await, 200);
    assert_eq!(
        eve.patch("/invitation-policy", json!({ "who": "domains", "domains": ["acme.test"] })).await.status,
        403
    );
    assert_eq!(eve.patch("/teams/trap", json!({ "invites": true })).await.status, 403);
}

#[tokio::test]
async fn a_revoked_invitation_admits_nobody() {
    let door = closed().await;
    let t = &door.t;
    t.owner.post("/teams", json!({ "name": "crew" })).await;
    t.app("dusk").await;
    // Revoked, removed, expired, or deleted with the team: nothing is left of users who never signed in.
    for (n, undo) in ["cancel", "member", "collaborator", "expire", "team"].into_iter().enumerate() {
        let email = format!("friend{n}@acme.test");
        let user = json!({ "email": email, "role": "viewer" }).to_string();
        let collaborator = json!({ "user": email });
        let done = match undo {
            "cancel" => {
                invite(&t.owner, "crew", &email).await;
                t.owner.delete(&format!("/teams/crew/invitations/{email}")).await.status
            }
            "member" => {
                t.owner.ask("PUT", "/teams/crew/members").body(user).await;
                t.owner.delete(&format!("/teams/crew/members/{email}")).await.status
            }
            "collaborator" => {
                t.owner.post("/apps/dusk/collaborators", collaborator).await;
                t.owner.delete(&format!("/apps/dusk/collaborators/{email}")).await.status
            }
            "expire" => {
                invite(&t.owner, "crew", &email).await;
                sqlx::query("update team_invitations set expires_at = now()").execute(&t.db).await.unwrap();
                200
            }
            _ => {
                t.owner.post("/teams", json!({ "name": "brief" })).await;
                assert_eq!(invite(&t.owner, "brief", &email).await, 200);
                t.owner.delete("/teams/brief").await.status
            }
        };
        assert_eq!(done, 200, "{undo}");
        assert_eq!(accounts_called(t, &email).await, i64::from(undo == "expire"), "{undo}");
        let end = door.sign_in(&mut Browser::default(), person(&email, &email)).await;
        assert_eq!(end, UNKNOWN, "{undo}");
    }
    // A valid invitation admits the user; from then on the account is theirs, whatever happens to the invitation.
    invite(&t.owner, "crew", "ada@acme.test").await;
    assert_eq!(door.sign_in(&mut Browser::default(), person("1", "ada@acme.test")).await, IN);
    t.owner.delete("/teams/crew/invitations/ada@acme.test").await;
    assert_eq!(door.sign_in(&mut Browser::default(), person("1", "ada@acme.test")).await, IN);
    let events: Vec<_> = t.owner.event_list_all().await.unwrap().into_iter().map(|e| e.action).collect();
    assert_eq!(events.iter().filter(|a| *a == "account.delete").count(), 4, "{events:?}");
    assert_eq!(t.owner.event_verify().await.unwrap().broken_at, None);
}

#[tokio::test]
async fn others_cannot_preserve_an_invited_account() {
    let door = closed().await;
    let (t, eve) = (&door.t, somebody(&door.t, "eve").await);
    t.owner.post("/teams", json!({ "name": "crew" })).await;
    eve.post("/teams", json!({ "name": "trap" })).await;
    eve.post("/apps", json!({ "name": "bait" })).await;
    invite(&t.owner, "crew", "friend@acme.test").await;
    let id: String = sqlx::query_scalar("select id::text from accounts where email = 'friend@acme.test'")
        .fetch_one(&t.db)
        .await
        .unwrap();
    assert_eq!(invite(&eve, "trap", "friend@acme.test").await, 403);
    assert_eq!(invite(&eve, "trap", &id).await, 403);
    assert_eq!(eve.post("/apps/bait/collaborators", json!({ "user": id })).await.status, 403);
    assert_eq!(eve.post("/account/app-transfers", json!({ "app": "bait", "recipient": id })).await.status, 422);
    t.owner.delete("/teams/crew/invitations/friend@acme.test").await;
    assert_eq!(accounts_called(t, "friend@acme.test").await, 0);
}

#[tokio::test]
async fn the_policy_says_who_else_brings_people() {
    let t = World::start().await;
    let ada = somebody(&t, "ada").await;
    ada.post("/teams", json!({ "name": "crew" })).await;
    ada.post("/apps", json!({ "name": "dusk" })).await;
    let policy = async |who: &str, domains: Value| {
        t.owner.patch("/invitation-policy", json!({ "who": who, "domains": domains })).await.status
    };
    for (who, domains) in [("everybody", json!([])), ("domains", json!([])), ("domains", json!(["*"]))] {
        assert_eq!(policy(who, domains).await, 422, "{who}");
    }
    // Admins of teams: only of teams for which an administrator has allowed it.
    assert_eq!(policy("teams", json!(["acme.test"])).await, 200);
    assert_eq!(invite(&ada, "crew", "bob@acme.test").await, 403);
    assert_eq!(t.owner.patch("/teams/crew", json!({ "invites": true })).await.json()["invites"], true);
    assert_eq!(invite(&ada, "crew", "bob@acme.test").await, 200);
    assert_eq!(invite(&ada, "crew", "bob@evil.test").await, 403);
    assert_eq!(ada.post("/apps/dusk/collaborators", json!({ "user": "cleo@acme.test" })).await.status, 403);
    // Everybody, within these domains.
    assert_eq!(policy("domains", json!(["@Acme.test"])).await, 200);
    assert_eq!(ada.post("/apps/dusk/collaborators", json!({ "user": "cleo@acme.test" })).await.status, 201);
    for odd in ["cleo@evil.test", "cleo@sub.acme.test", "cleo@acme.test.evil.test"] {
        assert_eq!(ada.post("/apps/dusk/collaborators", json!({ "user": odd })).await.status, 403, "{odd}");
    }
    let shown = ada.invitation_policy_info().await.unwrap();
    assert_eq!((shown.who.as_str(), shown.domains), ("domains", vec!["acme.test".to_owned()]));
    let changes = t.owner.get("/events?action=invitation_policy.update").await.json();
    assert_eq!(changes.as_array().unwrap().len(), 2);
}

/// A platform with two providers: `acme`, and `partner`, which is limited to partner.test.
async fn two() -> (Door, Provider) {
    let (door, partner) = (Door::open(json!({})).await, Provider::start().await);
    let create = json!({
        "kind": "openid", "name": "partner", "issuer": partner.url, "client_id": "wharf", "client_secret": "hush",
        "domains": ["partner.test"],
    });
    assert_eq!(door.t.owner.post("/identity-providers", create).await.status, 201);
    (door, partner)
}

/// A complete sign-in with a provider. Returns the final URL.
async fn through(door: &Door, provider: &Provider, name: &str, browser: &mut Browser, claims: Value) -> String {
    let to = browser.get(&door.t, &format!("/login/oauth/{name}?next=/apps/new")).await.header("location").to_owned();
    browser.get(&door.t, &provider.agree(&to, claims)).await.header("location").to_owned()
}

#[tokio::test]
async fn a_provider_speaks_for_its_domains_alone() {
    let (door, partner) = two().await;
    let domain = "/login?error=domain&provider=partner";
    door.sign_in(&mut Browser::default(), person("1", "root@acme.test")).await;
    door.t.owner.patch("/users/root@acme.test", json!({ "admin": true })).await;
    invite_new(&door.t, "new@acme.test").await;
    // An administrator, an invited user, somebody without an account; in other spellings.
    for address in ["root@acme.test", "ROOT@ACME.TEST", "new@acme.test", "nobody@acme.test", "x@sub.partner.test"] {
        let end = through(&door, &partner, "partner", &mut Browser::default(), person("7", address)).await;
        assert_eq!(end, domain, "{address}");
    }
    // Addresses that only look like those of the domain, or that differ for the database.
    for address in ["root@acme.test\u{0}@partner.test", "\u{212a}ate@partner.test", "a b@partner.test", "@partner.test"]
    {
        let end = through(&door, &partner, "partner", &mut Browser::default(), person("7", address)).await;
        assert_eq!(end, "/login?error=address&provider=partner", "{address:?}");
    }
    // A user of its own is admitted, but no longer once it reports a different address for them.
    let mut bob = Browser::default();
    assert_eq!(through(&door, &partner, "partner", &mut bob, person("8", "bob@partner.test")).await, IN);
    assert_eq!(through(&door, &partner, "partner", &mut bob, person("8", "root@acme.test")).await, domain);
    assert_eq!(through(&door, &partner, "partner", &mut bob, person("8", "bob@partner.test")).await, IN);
    // Nor once its domains have changed. Users who signed in with it are signed out.
    let narrowed = door.t.owner.patch("/identity-providers/partner", json!({ "domains": ["else.test"] })).await;
    assert_eq!(narrowed.status, 200, "{narrowed:?}");
    assert_eq!(door.account(&mut bob).await, None);
    for claims in [person("8", "bob@partner.test"), person("8", "bob@else.test"), json!({ "sub": "8" })] {
        assert_eq!(through(&door, &partner, "partner", &mut bob, claims.clone()).await, domain, "{claims}");
    }
}

async fn invite_new(t: &World, email: &str) {
    t.owner.post("/teams", json!({ "name": "crew" })).await;
    assert_eq!(invite(&t.owner, "crew", email).await, 200);
}

#[tokio::test]
async fn an_address_alone_opens_no_account_that_has_a_way_in() {
    let (door, _) = two().await;
    let linked = "/login?error=linked&provider=acme";
    let mut ada = Browser::default();
    door.sign_in(&mut ada, person("1", "ada@acme.test")).await;
    // Another subject with the address: a new user at the provider who got the address after her, or claims it.
    for address in ["ada@acme.test", "Ada@Acme.Test"] {
        assert_eq!(door.sign_in(&mut Browser::default(), person("2", address)).await, linked);
    }
    // A plus makes it a different address, which belongs to somebody else.
    let mut plus = Browser::default();
    assert_eq!(door.sign_in(&mut plus, person("3", "ada+x@acme.test")).await, IN);
    assert_eq!(door.account(&mut plus).await.unwrap()["email"], "ada+x@acme.test");
    // An administrator unlinks the first identity: then the other is linked, and the owner of the first one loses
    // access.
    let list = door.t.owner.user_identity_list("ada@acme.test").await.unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(door.t.stranger.get("/users/ada@acme.test/identities").await.status, 403);
    door.t.owner.user_identity_delete("ada@acme.test", &list[0].id.to_string()).await.unwrap();
    assert_eq!(door.account(&mut ada).await, None);
    assert_eq!(door.sign_in(&mut Browser::default(), person("2", "ada@acme.test")).await, IN);
    assert_eq!(door.sign_in(&mut ada, person("1", "ada@acme.test")).await, linked);
}

#[tokio::test]
async fn another_identity_is_linked_by_the_owner_in_a_browser() {
    let door = Door::open(json!({})).await;
    let (t, second) = (&door.t, Provider::start().await);
    let create = json!({
        "kind": "openid", "name": "other", "issuer": second.url, "client_id": "wharf", "client_secret": "hush",
        "domains": ["acme.test"],
    });
    assert_eq!(t.owner.post("/identity-providers", create).await.status, 201);
    let (mut ada, mut there) = (Browser::default(), Browser::default());
    for browser in [&mut ada, &mut there] {
        door.sign_in(browser, person("1", "ada@acme.test")).await;
    }
    // Two providers that are trusted for one domain: the second one takes nothing over.
    let mut eve = Browser::default();
    let end = through(&door, &second, "other", &mut eve, person("x", "ada@acme.test")).await;
    assert_eq!(end, "/login?error=linked&provider=other");
    // An identity cannot be linked without an account, and nothing is linked before the owner accepts it.
    let to = eve.get(t, "/login/oauth/other?link=true").await.header("location").to_owned();
    assert_eq!(to, "/login?next=/account");
    let to = ada.get(t, "/login/oauth/other?link=true").await.header("location").to_owned();
    let back = second.agree(&to, person("y", "ada@acme.test"));
    assert_eq!(eve.get(t, &back).await.header("location"), "/login?error=state&provider=other");
    assert_eq!(ada.get(t, &back).await.header("location"), "/account");
    let proposals = ada.get(t, "/account/identity-proposals").await.json();
    let id = proposals[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (proposals[0]["title"].as_str(), proposals[0]["email"].as_str()),
        (Some("other"), Some("ada@acme.test"))
    );
    let end = through(&door, &second, "other", &mut eve, person("y", "ada@acme.test")).await;
    assert_eq!(end, "/login?error=linked&provider=other");
    let accept = format!("/account/identity-proposals/{id}/accept");
    assert_eq!(t.owner.post(&accept, json!({})).await.status, 403);
    let from = async |cookie: &str, origin: &'static str| {
        t.anonymous.ask("POST", &accept).header("cookie", cookie).header("origin", origin).await.status
    };
    assert_eq!(from(&ada.cookie, "http://evil.localhost").await, 403);
    assert_eq!(from(&ada.cookie, "http://localhost").await, 200);
    assert_eq!(from(&ada.cookie, "http://localhost").await, 404);
    // From then on it signs in; linking it has ended the other sessions, but not this one.
    assert_eq!((door.account(&mut ada).await.is_some(), door.account(&mut there).await), (true, None));
    assert_eq!(through(&door, &second, "other", &mut there, person("y", "ada@acme.test")).await, IN);
    assert_eq!(door.account(&mut there).await.unwrap()["id"], door.account(&mut ada).await.unwrap()["id"]);
    // An identity that is already linked is not linked to another account; the page of the request shows that.
    let mut bob = Browser::default();
    door.sign_in(&mut bob, person("2", "bob@acme.test")).await;
    let to = bob.get(t, "/login/oauth/other?link=true").await.header("location").to_owned();
    let back = second.agree(&to, person("y", "ada@acme.test"));
    assert_eq!(bob.get(t, &back).await.header("location"), "/account?error=taken&provider=other");
    assert_eq!(bob.get(t, "/account/identity-proposals").await.json(), json!([]));
}

#[tokio::test]
async fn subjects_are_of_one_provider_and_one_issuer() {
    let door = Door::open(json!({})).await;
    let t = &door.t;
    let mut ada = Browser::default();
    door.sign_in(&mut ada, person("1", "ada@acme.test")).await;
    // Created again under the same name: the old subject is not linked, so the address counts.
    assert_eq!(t.owner.delete("/identity-providers/acme").await.status, 200);
    assert_eq!(door.account(&mut ada).await, None);
    let create = json!({
        "kind": "openid", "name": "acme", "title": "Acme ID", "issuer": door.provider.url, "client_id": "wharf",
        "client_secret": "hush", "domains": ["acme.test"],
    });
    assert_eq!(t.owner.post("/identity-providers", create).await.status, 201);
    let mut bob = Browser::default();
    assert_eq!(door.sign_in(&mut bob, person("1", "bob@acme.test")).await, IN);
    assert_eq!(door.account(&mut bob).await.unwrap()["email"], "bob@acme.test");
    // Another issuer: the same subject is a different person there.
    let other = Provider::start().await;
    let moved = t.owner.patch("/identity-providers/acme", json!({ "issuer": other.url })).await;
    assert_eq!(moved.status, 200, "{moved:?}");
    assert_eq!(door.account(&mut bob).await, None);
    let mut cleo = Browser::default();
    assert_eq!(through(&door, &other, "acme", &mut cleo, person("1", "cleo@acme.test")).await, IN);
    assert_eq!(door.account(&mut cleo).await.unwrap()["email"], "cleo@acme.test");
    assert!(t.owner.user_identity_list("bob@acme.test").await.unwrap().is_empty());
}

#[tokio::test]
async fn nothing_comes_back_with_a_suspended_account() {
    let door = Door::open(json!({})).await;
    let t = &door.t;
    let mut ada = Browser::default();
    door.sign_in(&mut ada, person("1", "ada@acme.test")).await;
    let made = async |path: &str| {
        t.anonymous.ask("POST", path).header("cookie", &ada.cookie).header("origin", "http://localhost").await.json()
    };
    let token = made("/oauth/authorizations").await["access_token"]["token"].as_str().unwrap().to_owned();
    let link = made("/account/sign-in-links").await["url"].as_str().unwrap().to_owned();
    let asks = t.actor(&token);
    assert_eq!(asks.get("/account").await.status, 200);
    for suspended in [true, false] {
        let done = t.owner.patch("/users/ada@acme.test", json!({ "suspended": suspended })).await;
        assert_eq!(done.status, 200, "{done:?}");
        assert_eq!(asks.get("/account").await.status, 401);
        assert_eq!(door.account(&mut Browser { cookie: ada.cookie.clone() }).await, None);
        let link = t.anonymous.get(&crate::world::path(&link)).await;
        assert!(link.header("set-cookie").is_empty(), "{link:?}");
    }
    assert_eq!(door.sign_in(&mut Browser::default(), person("1", "ada@acme.test")).await, IN);
    // Nor does it restore a removed service account.
    t.owner.post("/teams", json!({ "name": "crew" })).await;
    let bot = t.owner.post("/teams/crew/service-accounts", json!({ "name": "bot" })).await.json();
    t.owner.delete("/teams/crew/service-accounts/bot").await;
    let bot = bot["id"].as_str().unwrap();
    let of = t.owner.user_list().await.unwrap().into_iter().find(|a| a.id.to_string() == bot).unwrap();
    assert!(of.retired_at.is_some());
    for update in [json!({ "suspended": false }), json!({ "admin": true })] {
        assert_eq!(t.owner.patch(&format!("/users/{bot}"), update).await.status, 422);
    }
}

#[tokio::test]
async fn rules_do_not_override_decisions_of_people() {
    let door = Door::open(json!({})).await;
    let t = &door.t;
    t.owner.post("/teams", json!({ "name": "crew" })).await;
    let rules = json!([{ "domain": "acme.test", "team": "crew", "role": "member" },
                       { "domain": "acme.test", "admin": true }]);
    assert_eq!(t.owner.patch("/identity-providers/acme", json!({ "rules": rules })).await.status, 200);
    let of = async |email: &str| {
        door.sign_in(&mut Browser::default(), person(email, email)).await;
        let members = t.owner.team_member_list("crew").await.unwrap();
        let member = members.iter().find(|m| m.email == email).map(|m| format!("{} by {}", m.role, m.given_by));
        let account = t.owner.user_list().await.unwrap().into_iter().find(|a| a.email == email).unwrap();
        (member.unwrap_or_default(), account.admin, account.admin_by.map(|by| by.to_string()).unwrap_or_default())
    };
    let (ada, bob) = ("ada@acme.test", "bob@acme.test");
    assert_eq!(of(ada).await, ("member by rule".into(), true, "rule".into()));
    assert_eq!(of(bob).await, ("member by rule".into(), true, "rule".into()));
    let save = |role: &str| api::team_members::TeamMemberSave { email: ada.into(), role: role.into() };
    t.owner.team_member_save("crew", &save("viewer")).await.unwrap();
    t.owner.patch(&format!("/users/{ada}"), json!({ "admin": false })).await;
    t.owner.team_member_delete("crew", bob).await.unwrap();
    for _ in 0..2 {
        assert_eq!(of(ada).await, ("viewer by person".into(), false, "person".into()));
        assert_eq!(of(bob).await, (String::new(), true, "rule".into()));
    }
    // Nor when the identity is linked again, which forgets its grants.
    let identity = t.owner.user_identity_list(bob).await.unwrap()[0].id.to_string();
    t.owner.user_identity_delete(bob, &identity).await.unwrap();
    assert_eq!(of(bob).await, (String::new(), true, "rule".into()));
    // A person's decision is only changed by a person.
    t.owner
        .team_member_save("crew", &api::team_members::TeamMemberSave { email: bob.into(), role: "viewer".into() })
        .await
        .unwrap();
    assert_eq!(of(bob).await.0, "viewer by person");
    t.owner.patch("/identity-providers/acme", json!({ "rules": [] })).await;
    assert_eq!(of(ada).await.0, "viewer by person");
}

#[tokio::test]
async fn images_on_other_sites_cannot_lock_users_out() {
    let door = Door::open(json!({})).await;
    let t = &door.t;
    t.expects("sign-in attempts from 192.0.2.7");
    let mut ada = Browser::default();
    // A page on another site makes a visitor's browser send these requests repeatedly.
    for _ in 0..310 {
        let picture = async |path: &str| {
            let ask = t.anonymous.ask("GET", path).header("cookie", &ada.cookie).header("x-forwarded-for", "192.0.2.7");
            ask.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate").await
        };
        picture("/login/oauth/acme/callback?state=x").await;
        picture("/login/oauth/acme/callback?error=access_denied&state=y").await;
        picture("/login/oauth/acme?here=true").await;
    }
    let image = t.anonymous.ask("GET", "/login/oauth/acme?here=true").header("sec-fetch-mode", "no-cors").await;
    assert_eq!(image.status, 403);
    let start =
        t.anonymous.ask("GET", "/login/oauth/acme?here=true&next=/apps/new").header("x-forwarded-for", "192.0.2.7");
    let start = start.header("referer", "http://localhost/login").await;
    ada.cookie = start.header("set-cookie").split(';').next().unwrap().to_owned();
    let back = door.provider.agree(start.header("location"), person("1", "ada@acme.test"));
    assert_eq!(ada.get(t, &back).await.header("location"), IN);
    assert_eq!(door.refusals().await, ["state"]);
}

#[tokio::test]
async fn a_session_that_an_app_has_set_is_not_taken() {
    let t = World::start().await;
    let guard = identity::CookieGuard::new(&t.platform);
    let request = |cookie: &str, address: &str| {
        let mut headers = http::HeaderMap::new();
        for (name, value) in [
            ("host", "console.example.test:5000"),
            ("cookie", cookie),
            ("x-forwarded-for", address),
            ("user-agent", "Lynx"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        headers.insert("upgrade-insecure-requests", "1".parse().unwrap());
        headers
    };
    let told = |cookie: &str, address: &str| match guard.check(&request(cookie, address), "/apps/dusk/logs", true) {
        identity::CookieCheck::Passed => ("none", vec![]),
        identity::CookieCheck::Ambiguous(set) => ("tell", set),
        identity::CookieCheck::Unproven(set) => ("again", set),
    };
    let text = |set: &[http::HeaderValue]| set.iter().map(|v| v.to_str().unwrap().to_owned()).collect::<Vec<_>>();
    // Two cookies: neither is used, and all that the app can have set are removed.
    let (what, set) = told("wharf=own; wharf=planted", "192.0.2.7");
    assert_eq!(what, "tell");
    for removal in [
        "wharf=; Domain=console.example.test; Path=/; Max-Age=0",
        "wharf=; Domain=example.test; Path=/apps/dusk/logs; Max-Age=0",
        "wharf=; Domain=example.test; Path=/apps/; Max-Age=0",
    ] {
        assert!(text(&set).contains(&removal.to_owned()), "{removal}: {set:?}");
    }
    // A single one has to be verified once: a cookie for the domain is not sent a second time.
    let (what, set) = told("wharf=own", "192.0.2.7");
    assert!(what == "again" && text(&set).iter().any(|v| v.starts_with("wharf=; Domain=")), "{set:?}");
    let mark = text(&set).into_iter().find(|v| v.starts_with("wharf-own=") && v.contains("HttpOnly")).unwrap();
    assert!(!mark.contains("Domain"), "{mark}");
    let mark = mark.split(';').next().unwrap();
    assert_eq!(told(&format!("wharf=own; {mark}"), "192.0.2.9").0, "none");
    // An attacker who sets both has a mark for their own network and session, not for the visitor's.
    assert_eq!(told(&format!("wharf=own; {mark}"), "198.51.100.1").0, "again");
    assert_eq!(told(&format!("wharf=other; {mark}"), "192.0.2.7").0, "again");
    assert_eq!(told(&format!("wharf=own; {mark}; wharf-own=x"), "192.0.2.7").0, "again");
    assert_eq!(told("a=b", "192.0.2.7").0, "none");
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let t = World::start().await;
    t.app("dusk").await;
    let body = json!({ "expires_in": 3600 });
    let made = t.owner.post("/oauth/authorizations", body).await.json();
    let token = t.actor(made["access_token"]["token"].as_str().unwrap());
    let log = token.post("/apps/dusk/log-sessions", json!({ "tail": true })).await.json();
    let stream = t.anonymous.ask("GET", &crate::world::path(log["logplex_url"].as_str().unwrap()));
    sqlx::query("update oauth_authorizations set expires_at = now() + interval '3 seconds' where id = $1::uuid")
        .bind(made["id"].as_str().unwrap())
        .execute(&t.db)
        .await
        .unwrap();
    let open = stream.open().await;
    assert_eq!(open.status(), 200);
    // There is no notification of the expiry, and open streams end nevertheless.
    let ended = tokio::time::timeout(crate::world::LONG / 2, axum::body::to_bytes(open.into_body(), usize::MAX)).await;
    assert!(ended.is_ok(), "it goes on");
}
