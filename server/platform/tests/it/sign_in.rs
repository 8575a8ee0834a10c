//! Sign-in with a provider: accepted and rejected sign-ins, and attacks.

use serde_json::{Value, json};

use crate::{
    provider::Provider,
    world::{Answer, World},
};

/// A platform with one provider, `acme`.
pub struct Door {
    pub t: World,
    pub provider: Provider,
}

/// A browser with at most one cookie.
#[derive(Default)]
pub struct Browser {
    pub cookie: String,
}

impl Browser {
    pub async fn get(&mut self, t: &World, path: &str) -> Answer {
        let answer =
            t.anonymous.ask("GET", path).header("cookie", &self.cookie).header("x-forwarded-for", "192.0.2.7").await;
        let set = answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        if !set.is_empty() {
            self.cookie = set;
        }
        answer
    }
}

impl Door {
    pub async fn open(more: Value) -> Self {
        let (t, provider) = (World::start().await, Provider::start().await);
        let mut create = json!({
            "kind": "openid", "name": "acme", "title": "Acme ID", "issuer": provider.url,
            "client_id": "wharf", "client_secret": "hush", "domains": ["acme.test"],
        });
        create.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = t.owner.post("/identity-providers", create).await;
        assert_eq!(made.status, 201, "{made:?}");
        assert!(!made.text().contains("hush"));
        Self { t, provider }
    }

    /// Redirects a browser to the provider. Returns the URL.
    pub async fn start(&self, browser: &mut Browser, next: &str) -> String {
        let answer = browser.get(&self.t, &format!("/login/oauth/acme?next={}", api::client::segment(next))).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        let to = answer.header("location").to_owned();
        assert!(to.starts_with(&format!("{}/authorize?", self.provider.url)), "{to}");
        to
    }

    /// A complete sign-in of a person with these claims. Returns the final URL.
    pub async fn sign_in(&self, browser: &mut Browser, claims: Value) -> String {
        let to = self.start(browser, "/apps/new").await;
        let back = self.provider.agree(&to, claims);
        browser.get(&self.t, &back).await.header("location").to_owned()
    }

    pub async fn account(&self, browser: &mut Browser) -> Option<Value> {
        let answer = browser.get(&self.t, "/account").await;
        (answer.status == 200).then(|| answer.json())
    }

    pub async fn refusals(&self) -> Vec<String> {
        let events = self.t.owner.event_list_all().await.unwrap();
        let refused = events.iter().rev().filter(|e| e.action == "session.refuse");
        refused.map(|e| e.data["reason"].as_str().unwrap().to_owned()).collect()
    }
}

pub fn person(sub: &str, email: &str) -> Value {
    json!({ "sub": sub, "email": email, "email_verified": true, "name": "Ada" })
}

#[tokio::test]
async fn who_is_of_the_domain_gets_in_and_others_do_not() {
    let door = Door::open(json!({})).await;
    let (mut ada, mut eve) = (Browser::default(), Browser::default());
    assert_eq!(door.sign_in(&mut ada, person("1", "ada@acme.test")).await, "/apps/new");
    let account = door.account(&mut ada).await.unwrap();
    assert_eq!((account["email"].as_str(), account["admin"].as_bool()), (Some("ada@acme.test"), Some(false)));
    assert_eq!(door.sign_in(&mut eve, person("2", "eve@evil.test")).await, "/login?error=domain&provider=acme");
    assert_eq!(door.account(&mut eve).await, None);
    // The subject identifies the person: a changed email address does not create another account.
    let mut again = Browser::default();
    door.sign_in(&mut again, person("1", "ada.lovelace@acme.test")).await;
    assert_eq!(door.account(&mut again).await.unwrap()["id"], account["id"]);
    let identities = again.get(&door.t, "/account/identities").await.json();
    assert_eq!((identities[0]["title"].as_str(), identities.as_array().unwrap().len()), (Some("Acme ID"), 1));
    let refused =
        door.t.owner.event_list_all().await.unwrap().into_iter().find(|e| e.action == "session.refuse").unwrap();
    assert_eq!((refused.actor.as_str(), refused.address.as_deref()), ("eve@evil.test", Some("192.0.2.7")));
}

#[tokio::test]
async fn accounts_are_linked_by_verified_addresses_only() {
    let door = Door::open(json!({ "domains": ["*"] })).await;
    let mut browser = Browser::default();
    let mut claims = person("1", "Stranger@example.com");
    for unverified in [json!(false), json!("false"), Value::Null] {
        claims["email_verified"] = unverified;
        assert_eq!(door.sign_in(&mut browser, claims.clone()).await, "/login?error=address&provider=acme");
    }
    for nobodys in ["admin@wharf.localhost", "robot@team.invalid", "team@herokumanager.com"] {
        let end = door.sign_in(&mut browser, person("1", nobodys)).await;
        assert_eq!(end, "/login?error=address&provider=acme", "{nobodys}");
    }
    claims["email_verified"] = json!(true);
    assert_eq!(door.sign_in(&mut browser, claims).await, "/apps/new");
    let stranger = door.t.stranger.account_info().await.unwrap();
    assert_eq!(door.account(&mut browser).await.unwrap()["id"], stranger.id.to_string());
}

#[tokio::test]
async fn rules_give_and_take_back() {
    let rules = json!([{ "group": "ops", "admin": true }]);
    let door = Door::open(json!({ "rules": rules })).await;
    let mut claims = person("1", "ada@acme.test");
    let admin = async |claims: &Value| {
        let mut browser = Browser::default();
        door.sign_in(&mut browser, claims.clone()).await;
        door.account(&mut browser).await.unwrap()["admin"].as_bool().unwrap()
    };
    assert!(!admin(&claims).await);
    claims["groups"] = json!(["dev", "ops"]);
    assert!(admin(&claims).await);
    claims["groups"] = json!(["dev"]);
    assert!(!admin(&claims).await);
    // A rule does not revoke what a person has granted.
    sqlx::query("update accounts set admin = true where email = 'ada@acme.test'").execute(&door.t.db).await.unwrap();
    assert!(admin(&claims).await);
    claims["groups"] = json!(["ops"]);
    assert!(admin(&claims).await);
    claims["groups"] = json!([]);
    assert!(admin(&claims).await);
}

#[tokio::test]
async fn rules_put_people_into_teams_and_take_them_out() {
    let rules = json!([{ "domain": "acme.test", "team": "crew", "role": "member" },
                       { "group": "leads", "team": "crew", "role": "admin" },
                       { "group": "dev", "team": "later" }]);
    let door = Door::open(json!({ "domains": ["acme.test", "else.test"] })).await;
    // Nobody becomes a member of a team that somebody else creates later under this name.
    let early = door.t.owner.patch("/identity-providers/acme", json!({ "rules": rules })).await.error();
    assert!(early.0 == 422 && early.2.contains("There is no team crew"), "{early:?}");
    for team in ["crew", "later"] {
        door.t.owner.post("/teams", json!({ "name": team })).await;
    }
    assert_eq!(door.t.owner.patch("/identity-providers/acme", json!({ "rules": rules })).await.status, 200);
    let held = door.t.owner.delete("/teams/later").await.error();
    assert!(held.0 == 409 && held.2.contains("Rules of Acme ID"), "{held:?}");
    let mut claims = person("1", "ada@acme.test");
    let teams = async |claims: &Value| {
        let mut browser = Browser::default();
        door.sign_in(&mut browser, claims.clone()).await;
        let list = browser.get(&door.t, "/teams").await.json();
        let mut found: Vec<_> =
            list.as_array().unwrap().iter().map(|t| format!("{} {}", t["name"], t["role"]).replace('"', "")).collect();
        found.sort();
        found
    };
    assert_eq!(teams(&claims).await, ["crew member"]);
    claims["groups"] = json!(["leads", "dev"]);
    assert_eq!(teams(&claims).await, ["crew admin", "later member"]);
    // Rules still apply to a renamed team.
    assert_eq!(door.t.owner.patch("/teams/crew", json!({ "name": "band" })).await.status, 200);
    assert_eq!(teams(&claims).await, ["band admin", "later member"]);
    door.t.owner.patch("/teams/band", json!({ "name": "crew" })).await;
    claims["groups"] = json!([]);
    assert_eq!(teams(&claims).await, ["crew member"]);
    claims["email"] = json!("ada@else.test");
    assert!(teams(&claims).await.is_empty());
    assert_eq!(door.t.owner.get("/events/verify").await.json()["broken_at"], Value::Null);
}

#[tokio::test]
async fn grants_of_rules_end_with_the_identity_and_the_provider() {
    let rules = json!([{ "domain": "acme.test", "team": "crew", "role": "member" },
                       { "group": "ops", "admin": true }]);
    let door = Door::open(json!({})).await;
    door.t.owner.post("/teams", json!({ "name": "crew" })).await;
    assert_eq!(door.t.owner.patch("/identity-providers/acme", json!({ "rules": rules })).await.status, 200);
    let mut claims = person("1", "ada@acme.test");
    claims["groups"] = json!(["ops"]);
    let mut ada = Browser::default();
    let has = async |ada: &mut Browser| {
        let teams = ada.get(&door.t, "/teams").await.json().as_array().unwrap().len();
        (ada.get(&door.t, "/account").await.json()["admin"].as_bool().unwrap(), teams)
    };
    door.sign_in(&mut ada, claims.clone()).await;
    assert_eq!(has(&mut ada).await, (true, 1));
    let identity = ada.get(&door.t, "/account/identities").await.json()[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/account/identities/{identity}");
    let unlink = door.t.anonymous.ask("DELETE", &path).header("cookie", &ada.cookie);
    let unlinked = unlink.header("origin", "http://localhost").await;
    assert_eq!(unlinked.status, 200, "{unlinked:?}");
    assert_eq!(has(&mut ada).await, (false, 0));
    door.sign_in(&mut ada, claims).await;
    assert_eq!(has(&mut ada).await, (true, 1));
    let removed = door.t.owner.delete("/identity-providers/acme").await;
    assert_eq!(removed.status, 200, "{removed:?}");
    // No provider is trusted for it any more.
    assert_eq!(door.account(&mut ada).await, None);
    let account = store::accounts::account_by_email(&door.t.db, "ada@acme.test").await.unwrap().unwrap();
    let crew = door.t.owner.team_member_list("crew").await.unwrap();
    assert!(!account.admin && crew.iter().all(|member| member.email != account.email), "{account:?} {crew:?}");
}

#[tokio::test]
async fn sign_in_attempts_are_limited() {
    let door = Door::open(json!({})).await;
    door.t.expects("sign-in attempts from");
    for _ in 0..302 {
        Browser::default().get(&door.t, "/login/oauth/nobody?here=true").await;
    }
    let refused = Browser::default().get(&door.t, "/login/oauth/acme?here=true").await;
    assert_eq!(refused.header("location"), "/login?error=busy&provider=acme");
}

#[tokio::test]
async fn who_is_suspended_is_not_let_in() {
    let door = Door::open(json!({})).await;
    let mut ada = Browser::default();
    door.sign_in(&mut ada, person("1", "ada@acme.test")).await;
    let suspend = door.t.owner.patch("/users/ada@acme.test", json!({ "suspended": true })).await;
    assert_eq!(suspend.status, 200, "{suspend:?}");
    assert_eq!(door.account(&mut ada).await, None);
    let refused = "/login?error=suspended&provider=acme";
    assert_eq!(door.sign_in(&mut ada, person("1", "ada@acme.test")).await, refused);
    assert_eq!(door.sign_in(&mut ada, person("2", "ada@acme.test")).await, refused);
}

#[tokio::test]
async fn an_answer_counts_once_and_in_the_browser_that_asked() {
    let door = Door::open(json!({})).await;
    let (mut victim, mut attacker) = (Browser::default(), Browser::default());
    let state = "/login?error=state&provider=acme";
    // A foreign state: the attacker makes the victim open the callback URL of the attacker's own sign-in.
    let to = door.start(&mut attacker, "").await;
    let back = door.provider.agree(&to, person("6", "mallory@acme.test"));
    assert_eq!(victim.get(&door.t, &back).await.header("location"), state);
    door.start(&mut victim, "").await;
    assert_eq!(victim.get(&door.t, &back).await.header("location"), state);
    assert_eq!(door.account(&mut victim).await, None);
    // The attacker can still use it, once.
    assert_eq!(attacker.get(&door.t, &back).await.header("location"), "/apps");
    assert_eq!(attacker.get(&door.t, &back).await.header("location"), state);
    // No state, an invented state, an expired attempt, the callback of another provider.
    assert_eq!(victim.get(&door.t, "/login/oauth/acme/callback?code=x").await.header("location"), state);
    assert_eq!(victim.get(&door.t, "/login/oauth/acme/callback?code=x&state=y").await.header("location"), state);
    let to = door.start(&mut victim, "").await;
    let back = door.provider.agree(&to, person("1", "ada@acme.test"));
    let other = victim.get(&door.t, &back.replace("/acme/", "/other/")).await;
    assert_eq!(other.header("location"), "/login?error=state&provider=other");
    sqlx::query("update sign_in_attempts set expires_at = now()").execute(&door.t.db).await.unwrap();
    assert_eq!(victim.get(&door.t, &back).await.header("location"), state);
    // Any site can make a browser send this request: it is logged once.
    assert_eq!(door.refusals().await, ["state"]);
}

#[tokio::test]
async fn a_code_is_exchanged_with_the_verifier_of_its_own_sign_in() {
    let door = Door::open(json!({})).await;
    door.t.expects("sign-in failed");
    let (mut victim, mut attacker) = (Browser::default(), Browser::default());
    let theirs = door.start(&mut victim, "").await;
    let stolen = door.provider.agree(&theirs, person("1", "ada@acme.test"));
    let own = door.start(&mut attacker, "").await;
    let own = door.provider.agree(&own, person("6", "mallory@acme.test"));
    // The victim's code, injected into the attacker's own sign-in.
    let part = |back: &str, name: &str| back.split(['?', '&']).find(|p| p.starts_with(name)).unwrap().to_owned();
    let injected = own.replace(&part(&own, "code="), &part(&stolen, "code="));
    assert_eq!(attacker.get(&door.t, &injected).await.header("location"), "/login?error=answer&provider=acme");
    assert_eq!(door.account(&mut attacker).await, None);
    // The code is used up: replaying it has no effect.
    assert_eq!(victim.get(&door.t, &stolen).await.header("location"), "/login?error=answer&provider=acme");
}

#[tokio::test]
async fn an_id_token_that_does_not_hold_is_refused() {
    let door = Door::open(json!({})).await;
    door.t.expects("sign-in failed");
    let mut browser = Browser::default();
    let mut check = async |claims: Value| {
        let mut all = person("1", "ada@acme.test");
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        assert_eq!(door.sign_in(&mut browser, all).await, "/login?error=answer&provider=acme", "{claims}");
    };
    check(json!({ "nonce": "of another sign-in" })).await;
    check(json!({ "nonce": null })).await;
    check(json!({ "iss": "https://evil.test" })).await;
    check(json!({ "aud": "another-client" })).await;
    check(json!({ "aud": ["wharf", "another-client"] })).await;
    check(json!({ "exp": 1_700_000_000 })).await;
    door.provider.forge(true);
    check(json!({})).await;
    door.provider.forge(false);
    door.provider.unsign(true);
    check(json!({})).await;
    door.provider.unsign(false);
    assert_eq!(door.sign_in(&mut browser, person("1", "ada@acme.test")).await, "/apps/new");
    // A response of another provider, as it states itself (RFC 9207); and a user who declines.
    let to = door.start(&mut browser, "").await;
    let back = door.provider.agree(&to, person("1", "ada@acme.test"));
    let other = browser.get(&door.t, &format!("{back}&iss=https%3A%2F%2Fevil.test")).await;
    assert_eq!(other.header("location"), "/login?error=answer&provider=acme");
    let to = door.start(&mut browser, "").await;
    let back = door.provider.agree(&to, json!({})).replace("code=", "error=access_denied&x=");
    assert_eq!(browser.get(&door.t, &back).await.header("location"), "/login?error=denied&provider=acme");
}

#[tokio::test]
async fn a_planted_session_is_worth_nothing_after_signing_in() {
    let door = Door::open(json!({})).await;
    let mut victim = Browser::default();
    let to = door.start(&mut victim, "").await;
    let planted = victim.cookie.clone();
    let back = door.provider.agree(&to, person("1", "ada@acme.test"));
    victim.get(&door.t, &back).await;
    assert_ne!(victim.cookie, planted);
    assert!(door.account(&mut victim).await.is_some());
    assert_eq!(door.account(&mut Browser { cookie: planted }).await, None);
    // Signing in as somebody else in the same browser leaves nothing of the previous session.
    let before = victim.cookie.clone();
    door.sign_in(&mut victim, person("2", "bob@acme.test")).await;
    assert_eq!(door.account(&mut victim).await.unwrap()["email"], "bob@acme.test");
    assert_eq!(door.account(&mut Browser { cookie: before }).await, None);
}

#[tokio::test]
async fn nobody_is_sent_elsewhere() {
    let door = Door::open(json!({})).await;
    for next in ["https://evil.test", "//evil.test", "/\\evil.test", "/\t/evil.test", "javascript:alert(1)"] {
        let mut browser = Browser::default();
        let to = door.start(&mut browser, next).await;
        // The URL to return to is on the console's own host, whatever the request contains.
        let own = format!("{}/login/oauth/acme/callback", door.t.platform.config().url());
        assert!(to.contains(&format!("redirect_uri={}&", api::client::segment(&own))), "{to}");
        let back = door.provider.agree(&to, person("1", "ada@acme.test"));
        assert_eq!(browser.get(&door.t, &back).await.header("location"), "/apps", "{next}");
    }
    let ask = door.t.anonymous.ask("GET", "/login/oauth/acme?next=/apps").header("host", "evil.test");
    let url = door.t.platform.config().url();
    assert_eq!(ask.await.header("location"), format!("{url}/login/oauth/acme?here=true&next=%2Fapps"));
}

#[tokio::test]
async fn github_is_asked_for_the_verified_primary_address() {
    let (t, github) = (World::start().await, Provider::start().await);
    let create = json!({
        "kind": "github", "issuer": github.url, "client_id": "wharf", "client_secret": "hush",
        "domains": ["*"], "rules": [{ "group": "acme/ops", "admin": true }],
    });
    assert_eq!(t.owner.post("/identity-providers", create).await.status, 201);
    let emails = |verified: bool| {
        json!([{ "email": "ada@old.test", "primary": false, "verified": true },
               { "email": "ada@acme.test", "primary": true, "verified": verified }])
    };
    let mut browser = Browser::default();
    let mut sign_in = async |verified: bool| {
        github.github(json!({
            "user": { "id": 42, "login": "ada", "name": null }, "emails": emails(verified), "orgs": [{ "login": "acme" }],
            "teams": [{ "slug": "ops", "organization": { "login": "acme" } }],
        }));
        let to = browser.get(&t, "/login/oauth/github").await.header("location").to_owned();
        assert!(to.contains("/login/oauth/authorize?") && to.contains("read%3Aorg"), "{to}");
        let end = browser.get(&t, &github.agree(&to, json!({}))).await.header("location").to_owned();
        (end, browser.get(&t, "/account").await)
    };
    assert_eq!(sign_in(false).await.0, "/login?error=address&provider=github");
    let (end, account) = sign_in(true).await;
    assert_eq!((end.as_str(), account.json()["email"].as_str()), ("/apps", Some("ada@acme.test")));
    assert_eq!((account.json()["admin"].as_bool(), account.json()["name"].as_str()), (Some(true), Some("ada")));
}

#[tokio::test]
async fn providers_are_for_administrators_and_secrets_are_never_returned() {
    let door = Door::open(json!({})).await;
    let t = &door.t;
    t.owner.post("/teams", json!({ "name": "crew" })).await;
    let rules = json!({ "rules": [{ "domain": "@Acme.test", "team": "crew" }] });
    assert_eq!(t.owner.patch("/identity-providers/acme", rules).await.status, 200);
    let list = t.owner.identity_provider_list().await.unwrap();
    assert_eq!(list[0].redirect_uri, format!("{}/login/oauth/acme/callback", t.platform.config().url()));
    assert_eq!(
        (list[0].rules[0].domain.as_deref(), list[0].rules[0].role.as_deref()),
        (Some("acme.test"), Some("member"))
    );
    assert_eq!(t.stranger.get("/identity-providers").await.error().0, 403);
    let options = t.anonymous.sign_in_options().await.unwrap();
    assert_eq!((options.providers[0].title.as_str(), options.providers[0].domains.len()), ("Acme ID", 1));
    let rows: Vec<String> =
        sqlx::query_scalar("select row_to_json(p)::text from identity_providers p").fetch_all(&t.db).await.unwrap();
    assert!(!rows[0].contains("hush"));
    let events = t.owner.get("/events").await.text();
    assert!(events.contains("identity_provider.create") && !events.contains("hush"));
    let base = json!({ "kind": "openid", "name": "b", "issuer": door.provider.url, "client_id": "c", "client_secret": "s",
                "domains": ["b.test"] });
    for (odd, says) in [
        (json!({ "kind": "saml" }), "kind must be"),
        (json!({ "name": "acme" }), "already taken"),
        (json!({ "name": "a/b" }), "lowercase letters"),
        (json!({ "issuer": "http://example.com" }), "https"),
        (json!({ "issuer": "https://u:p@example.com" }), "https"),
        (json!({ "issuer": format!("{}/nothing", door.provider.url) }), "no OpenID provider"),
        (json!({ "client_secret": "" }), "client_secret"),
        (json!({ "domains": ["acme"] }), "is not an email domain"),
        (json!({ "domains": [] }), "domains is required"),
        (json!({ "domains": [], "rules": [{ "group": "g" }] }), "domains is required"),
        (json!({ "rules": [{ "domain": "*" }] }), "let everybody in"),
        (json!({ "rules": [{ "group": "g", "team": "nobodys" }] }), "no team nobodys"),
        (json!({ "rules": [{}] }), "either a domain or a group"),
        (json!({ "rules": [{ "group": "g", "team": "t", "role": "boss" }] }), "role"),
    ] {
        let mut create = base.clone();
        create.as_object_mut().unwrap().extend(odd.as_object().unwrap().clone());
        let (status, _, message) = t.owner.post("/identity-providers", create).await.error();
        assert!(status == 422 && message.contains(says), "{odd}: {message}");
    }
    let renamed = t.owner.patch("/identity-providers/acme", json!({ "title": "Acme", "domains": [] })).await.json();
    assert_eq!((renamed["title"].as_str(), renamed["domains"].as_array().unwrap().len()), (Some("Acme"), 0));
    t.owner.identity_provider_delete("acme").await.unwrap();
    assert_eq!(t.anonymous.get("/login/oauth/acme").await.header("location"), "/login");
}
