//! OAuth clients: programs authorized to act for people, and attacks with them.

use api::oauth_clients::OauthClientCreate;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    sessions::sign_in,
    world::{Answer, World, path},
};

/// Percent-encodes the fields of a form.
fn form(fields: &[(&str, &str)]) -> String {
    let pair = |(key, value): &(&str, &str)| format!("{key}={}", api::client::segment(value));
    fields.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// A platform with an OAuth client of the stranger's, and the owner in a browser.
pub struct Bot {
    pub t: World,
    id: String,
    pub secret: String,
    cookie: String,
}

const BACK: &str = "https://bot.example.com/back?from=wharf";

impl Bot {
    pub async fn start() -> Self {
        let t = World::start().await;
        let create = OauthClientCreate { name: "Bot".into(), redirect_uri: BACK.into() };
        let made = t.stranger.oauth_client_create(&create).await.unwrap();
        let cookie = sign_in(&t).await;
        Self { t, id: made.id.to_string(), secret: made.secret, cookie }
    }

    async fn consent(&self, more: &[(&str, &str)], origin: &str) -> Answer {
        let fields = [&[("client_id", self.id.as_str()), ("response_type", "code"), ("state", "a b&c")], more].concat();
        let ask = self.t.anonymous.ask("POST", "/oauth/authorize").header("cookie", &self.cookie);
        ask.header("origin", origin).body(form(&fields)).await
    }

    /// The code that the owner granted with this scope.
    pub async fn code(&self, scope: &str, more: &[(&str, &str)]) -> String {
        let answer = self.consent(&[&[("scope", scope), ("allow", "1")], more].concat(), "http://localhost").await;
        let to = answer.header("location").to_owned();
        assert!(
            answer.status == 303 && to.starts_with(&format!("{BACK}&code=")) && to.ends_with("&state=a+b%26c"),
            "{answer:?} {to}"
        );
        to.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned()
    }

    pub async fn token(&self, fields: &[(&str, &str)]) -> Answer {
        let secret = [("client_id", self.id.as_str()), ("client_secret", self.secret.as_str())];
        self.t.anonymous.ask("POST", "/oauth/token").body(form(&[&secret[..], fields].concat())).await
    }

    pub async fn exchange(&self, code: &str) -> Answer {
        self.token(&[("grant_type", "authorization_code"), ("code", code)]).await
    }
}

#[tokio::test]
async fn clients_are_made_shown_changed_and_removed() {
    let t = World::start().await;
    let made = t.owner.post("/oauth/clients", json!({ "name": "Bot", "redirect_uri": "https://example.com/cb" })).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    let at = format!("/oauth/clients/{}", made["id"].as_str().unwrap());
    assert_eq!(t.owner.get(&at).await.json()["secret"], made["secret"]);
    assert_eq!(t.owner.oauth_client_list().await.unwrap().len(), 1);
    assert_eq!(t.stranger.get(&at).await.error().0, 404);
    let moved = t.owner.patch(&at, json!({ "redirect_uri": "http://localhost:9/cb" })).await.json();
    assert_eq!((moved["redirect_uri"].as_str(), &moved["secret"]), (Some("http://localhost:9/cb"), &made["secret"]));
    let rotated = t.owner.post(&format!("{at}/actions/rotate-credentials"), json!({})).await.json();
    assert_ne!(rotated["secret"], made["secret"]);
    for odd in [
        "http://example.com/cb",
        "https://u:p@example.com",
        "https://example.com/#a",
        "javascript:alert(1)",
        "x",
        "",
        "https://example.com/a\r\nb",
        "https://example.com/a\tb",
        "https://example.com/\u{7f}",
    ] {
        let refused = t.owner.post("/oauth/clients", json!({ "name": "Bot", "redirect_uri": odd })).await;
        assert_eq!(refused.error().0, 422, "{odd}");
        assert_eq!(t.owner.patch(&at, json!({ "redirect_uri": odd })).await.error().0, 422, "{odd}");
    }
    let rows: Vec<String> =
        sqlx::query_scalar("select row_to_json(c)::text from oauth_clients c").fetch_all(&t.db).await.unwrap();
    assert!(!rows[0].contains(rotated["secret"].as_str().unwrap()));
    assert_eq!(t.owner.delete(&at).await.status, 200);
    assert_eq!(t.owner.get(&at).await.error().0, 404);
}

#[tokio::test]
async fn a_program_acts_for_its_user_within_its_scope() {
    let bot = Bot::start().await;
    let t = &bot.t;
    let asked = t.owner.get(&format!("/oauth/consent?client_id={}&response_type=code&scope=read", bot.id)).await.json();
    assert_eq!((asked["client"].as_str(), asked["owner"].as_str()), (Some("Bot"), Some("stranger@example.com")));
    let got = bot.exchange(&bot.code("read", &[]).await).await;
    assert_eq!((got.status, got.header("cache-control")), (200, "no-store"), "{got:?}");
    let got = got.json();
    assert_eq!((got["token_type"].as_str(), got["expires_in"].as_i64()), (Some("Bearer"), Some(8 * 3600)));
    let (token, refresh) = (got["access_token"].as_str().unwrap(), got["refresh_token"].as_str().unwrap());
    t.app("dusk").await;
    assert_eq!(t.actor(token).get("/apps/dusk").await.status, 200);
    assert_eq!(t.actor(token).get("/apps/dusk/config-vars").await.status, 403);
    assert_eq!(t.actor(token).patch("/apps/dusk", json!({ "maintenance": true })).await.status, 403);
    // It is listed among the owner's authorizations, even if only the refresh token is still valid.
    sqlx::query("update oauth_authorizations set expires_at = now() where client_id is not null")
        .execute(&t.db)
        .await
        .unwrap();
    assert_eq!(t.actor(token).get("/apps/dusk").await.status, 401);
    let listed = t.owner.authorization_list().await.unwrap();
    let listed = listed.into_iter().find(|a| a.client.is_some()).unwrap();
    assert_eq!((listed.description.as_str(), &listed.client.unwrap()["name"]), ("Bot", &json!("Bot")));
    let renewed = bot.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await.json();
    let token = renewed["access_token"].as_str().unwrap();
    assert_eq!(t.actor(token).get("/apps/dusk").await.status, 200);
    // The user revokes it: neither token works.
    t.owner.authorization_delete(&listed.id.to_string()).await.unwrap();
    assert_eq!(t.actor(token).get("/apps/dusk").await.status, 401);
    let refused = bot.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    assert_eq!((refused.status, refused.json()["error"].as_str()), (400, Some("invalid_grant")));
    let actions: Vec<_> = t.owner.event_list_all().await.unwrap().into_iter().rev().map(|e| e.action).collect();
    for action in [
        "oauth_client.create",
        "consent.create",
        "authorization.create",
        "authorization.refresh",
        "authorization.delete",
    ] {
        assert!(actions.iter().any(|a| a == action), "{action}: {actions:?}");
    }
}

#[tokio::test]
async fn only_registered_urls_are_redirect_targets() {
    let bot = Bot::start().await;
    for evil in [
        "https://evil.test/",
        "https://bot.example.com/back",
        &format!("{BACK}/../x"),
        "https://bot.example.com.evil.test/",
        "",
    ] {
        let refused = bot.consent(&[("redirect_uri", evil), ("allow", "1")], "http://localhost").await;
        assert_eq!((refused.status, refused.header("location")), (422, ""), "{evil}");
    }
    assert_eq!(bot.consent(&[("redirect_uri", BACK), ("allow", "1")], "http://localhost").await.status, 303);
    let denied = bot.consent(&[], "http://localhost").await;
    assert_eq!(denied.header("location"), format!("{BACK}&error=access_denied&state=a+b%26c"));
    for (field, odd) in [("response_type", "token"), ("scope", "everything"), ("code_challenge_method", "plain")] {
        let refused = bot.consent(&[(field, odd), ("code_challenge", "x"), ("allow", "1")], "http://localhost").await;
        assert!([400, 422].contains(&refused.status), "{field}: {refused:?}");
    }
}

#[tokio::test]
async fn a_consent_is_bounded() {
    let bot = Bot::start().await;
    let code = bot.code("read,identity read read", &[]).await;
    assert_eq!(bot.exchange(&code).await.json()["scope"], "read identity");
    let long = "x".repeat(5000);
    for (field, odd) in [
        ("code_challenge", long.as_str()),
        ("code_challenge", "a\0b"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw"),
        ("redirect_uri", long.as_str()),
        ("nonce", "a\0b"),
        ("client_id", "twice"),
    ] {
        let more = [(field, odd), ("code_challenge_method", "S256"), ("allow", "1")];
        let refused = bot.consent(&more, "http://localhost").await;
        assert_eq!((refused.status, refused.header("location")), (422, ""), "{field}: {odd:.20}");
    }
    let state = [("client_id", bot.id.as_str()), ("response_type", "code"), ("state", &long), ("allow", "1")];
    let ask = bot.t.anonymous.ask("POST", "/oauth/authorize").header("cookie", &bot.cookie);
    assert_eq!(ask.header("origin", "http://localhost").body(form(&state)).await.status, 422);
    let scope = format!("scope={}", "read+".repeat(800_000));
    let ask = bot.t.anonymous.ask("POST", "/oauth/authorize").header("cookie", &bot.cookie);
    assert_eq!(ask.header("origin", "http://localhost").body(scope).await.status, 400);
    for path in ["/oauth/token", "/oauth/revoke"] {
        let refused = bot.t.anonymous.ask("POST", path).body("client_secret=a%00b").await;
        assert_eq!(refused.status, 422, "{path}");
    }
    assert_eq!(bot.t.owner.get("/oauth/consent?client_id=%00&response_type=code").await.status, 422);
}

#[tokio::test]
async fn only_a_person_on_the_page_allows() {
    let bot = Bot::start().await;
    for origin in ["http://dusk.localhost", "http://evil.test", "null"] {
        assert_eq!(bot.consent(&[("allow", "1")], origin).await.status, 403, "{origin}");
    }
    let fields = form(&[("client_id", &bot.id), ("response_type", "code"), ("allow", "1")]);
    assert_eq!(bot.t.owner.ask("POST", "/oauth/authorize").body(fields.clone()).await.status, 403);
    assert_eq!(bot.t.anonymous.ask("POST", "/oauth/authorize").body(fields).await.status, 401);
}

#[tokio::test]
async fn a_code_counts_once_for_its_client_and_its_verifier() {
    let bot = Bot::start().await;
    let wrong = |answer: Answer, error: &str| assert_eq!(answer.json()["error"], error, "{answer:?}");
    // Replay: the tokens from the first exchange are revoked.
    let code = bot.code("read", &[]).await;
    let token = bot.exchange(&code).await.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(bot.t.actor(&token).get("/apps").await.status, 200);
    wrong(bot.exchange(&code).await, "invalid_grant");
    assert_eq!(bot.t.actor(&token).get("/apps").await.status, 401);
    // A different client, a wrong secret, a different redirect URL, an expired code.
    let code = bot.code("read", &[]).await;
    let create = OauthClientCreate { name: "Other".into(), redirect_uri: "https://other.example.com".into() };
    let other = bot.t.stranger.oauth_client_create(&create).await.unwrap();
    let fields =
        [("grant_type", "authorization_code"), ("code", code.as_str()), ("client_secret", other.secret.as_str())];
    wrong(bot.t.anonymous.ask("POST", "/oauth/token").body(form(&fields)).await, "invalid_grant");
    let fields = [("grant_type", "authorization_code"), ("code", code.as_str()), ("client_secret", "guess")];
    wrong(bot.t.anonymous.ask("POST", "/oauth/token").body(form(&fields)).await, "invalid_client");
    wrong(
        bot.token(&[("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", "https://evil.test")])
            .await,
        "invalid_grant",
    );
    wrong(bot.exchange(&code).await, "invalid_grant");
    let late = bot.code("read", &[]).await;
    sqlx::query("update oauth_codes set expires_at = now()").execute(&bot.t.db).await.unwrap();
    wrong(bot.exchange(&late).await, "invalid_grant");
    // PKCE: RFC 7636, appendix B.
    let challenge =
        [("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"), ("code_challenge_method", "S256")];
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    for (given, status) in [(Some(verifier), 200), (Some("another"), 400), (None, 400)] {
        let code = bot.code("read", &challenge).await;
        let mut fields = vec![("grant_type", "authorization_code"), ("code", code.as_str())];
        fields.extend(given.map(|v| ("code_verifier", v)));
        assert_eq!(bot.token(&fields).await.status, status, "{given:?}");
    }
    wrong(bot.token(&[("grant_type", "password")]).await, "unsupported_grant_type");
}

#[tokio::test]
async fn other_clients_ask_as_they_are_used_to() {
    let bot = Bot::start().await;
    let t = &bot.t;
    // The Platform API's own format, in which the secret identifies the client.
    let code = bot.code("identity", &[]).await;
    let body = json!({ "grant": { "type": "authorization_code", "code": code }, "client": { "secret": bot.secret } });
    let made = t.anonymous.post("/oauth/tokens", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let token = made.json()["access_token"]["token"].as_str().unwrap().to_owned();
    assert_eq!((t.actor(&token).get("/account").await.status, t.actor(&token).get("/apps").await.status), (200, 403));
    let body = json!({
        "grant": { "type": "refresh_token" }, "client": { "secret": bot.secret },
        "refresh_token": { "token": made.json()["refresh_token"]["token"] },
    });
    let renewed: Value = t.anonymous.post("/oauth/tokens", body).await.json();
    let token = renewed["access_token"]["token"].as_str().unwrap().to_owned();
    // HTTP Basic, and revoking a token.
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", bot.id, bot.secret)));
    let revoke =
        t.anonymous.ask("POST", "/oauth/revoke").header("authorization", &basic).body(form(&[("token", &token)]));
    assert_eq!(revoke.await.status, 200);
    assert_eq!(t.actor(&token).get("/account").await.status, 401);
    assert_eq!(path(BACK), "/back?from=wharf");
}

#[tokio::test]
async fn who_guesses_secrets_is_shut_out() {
    let bot = Bot::start().await;
    bot.t.expects("OAuth clients from");
    for _ in 0..21 {
        bot.t.anonymous.ask("POST", "/oauth/token").body("client_secret=guess").await;
    }
    let guess = bot.t.anonymous.ask("POST", "/oauth/token").body("client_secret=guess").await;
    assert_eq!(guess.status, 429);
    // A client with the valid secret is not locked out by that.
    assert_eq!(bot.exchange("x").await.status, 400);
}
