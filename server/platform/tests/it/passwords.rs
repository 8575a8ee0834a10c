//! Passwords with codes: who gets in by them, who does not, and what attackers try.

use std::sync::atomic::{AtomicI64, Ordering};

use api::ids::PasswordId;
use chrono::Utc;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::world::{Actor, Answer, World};

const PASSWORD: &str = "correct horse";
const WRONG: &str = "Wrong email address, password or code.";

/// Somebody with a password, on a platform where they are on.
struct Ada {
    t: World,
    secret: Vec<u8>,
    recovery: Vec<String>,
    /// Codes are made for this step, so that they stay the same when the clock passes on to the next.
    step: AtomicI64,
}

/// What a browser sends when it signs in.
struct Try<'a> {
    email: &'a str,
    password: &'a str,
    code: String,
    next: &'a str,
    address: &'a str,
    origin: &'a str,
    cookie: &'a str,
}

impl Try<'_> {
    async fn send(&self, t: &World) -> Answer {
        let body =
            json!({ "email": self.email, "password": self.password, "code": self.code, "next": self.next }).to_string();
        let ask = t.anonymous.ask("POST", "/login/password").header("x-forwarded-for", self.address);
        ask.header("origin", self.origin).header("cookie", self.cookie).header("user-agent", "Lynx").body(body).await
    }
}

fn cookie(answer: &Answer) -> String {
    set(answer, "wharf=")
}

/// The cookie that an answer sets and that begins like this.
fn set(answer: &Answer, begin: &str) -> String {
    let all = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    all.filter_map(|set| set.split(';').next()).find(|set| set.starts_with(begin)).unwrap_or_default().to_owned()
}

fn secret(base32: &str) -> Vec<u8> {
    let mut bits = String::new();
    for letter in base32.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|b| *b == letter).unwrap();
        bits.push_str(&format!("{value:05b}"));
    }
    bits.as_bytes().chunks_exact(8).map(|b| u8::from_str_radix(std::str::from_utf8(b).unwrap(), 2).unwrap()).collect()
}

fn now() -> i64 {
    Utc::now().timestamp() / 30
}

/// As an authenticator makes it.
fn code(secret: &[u8], step: i64) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).unwrap();
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash[19] & 15);
    let word = u32::from_be_bytes(hash[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

async fn turn(t: &World, on: bool) {
    let turned = t.owner.patch("/password-policy", json!({ "enabled": on })).await;
    assert_eq!((turned.status, turned.json()["enabled"].as_bool()), (200, Some(on)), "{turned:?}");
}

/// Begins a password and confirms it. The secret and the recovery codes.
async fn enrol(who: &Actor) -> (Vec<u8>, Vec<String>) {
    let begun = who.post("/account/password", json!({ "password": PASSWORD })).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let secret = secret(begun.json()["secret"].as_str().unwrap());
    let confirmed = who.post("/account/password/actions/confirm", json!({ "code": code(&secret, now()) })).await;
    assert_eq!(confirmed.status, 200, "{confirmed:?}");
    let codes = confirmed.json()["codes"].as_array().unwrap().iter().map(|c| c.as_str().unwrap().to_owned()).collect();
    (secret, codes)
}

impl Ada {
    async fn start() -> Self {
        let t = World::start().await;
        turn(&t, true).await;
        let (secret, recovery) = enrol(&t.stranger).await;
        let ada = Self { t, secret, recovery, step: 0.into() };
        ada.forget_steps().await;
        ada
    }

    /// As if time had passed: a code that counted may count again.
    async fn forget_steps(&self) {
        sqlx::query("update passwords set last_step = 0").execute(&self.t.db).await.unwrap();
        self.step.store(now(), Ordering::Relaxed);
    }

    /// A code, this many steps away; far away it is wrong.
    fn code(&self, away: i64) -> String {
        code(&self.secret, self.step.load(Ordering::Relaxed) + away)
    }

    /// The right one, from an address of its own.
    fn right(&self) -> Try<'static> {
        Try {
            email: "stranger@example.com",
            password: PASSWORD,
            code: self.code(0),
            next: "/apps/new",
            address: "192.0.2.7",
            origin: "http://localhost",
            cookie: "",
        }
    }

    async fn who(&self, cookie: &str) -> Option<String> {
        let answer = self.t.anonymous.ask("GET", "/account").header("cookie", cookie).await;
        (answer.status == 200).then(|| answer.json()["email"].as_str().unwrap().to_owned())
    }

    async fn refusals(&self) -> Vec<String> {
        let events = self.t.owner.event_list_all().await.unwrap();
        let refused = events.iter().rev().filter(|e| e.action == "session.refuse");
        refused.map(|e| e.data["reason"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn password_and_code_sign_in_and_end_where_somebody_wanted() {
    let ada = Ada::start().await;
    let mut ask = ada.right();
    ask.email = " Stranger@Example.com ";
    let answer = ask.send(&ada.t).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "next": "/apps/new" })), "{answer:?}");
    assert_eq!(ada.who(&cookie(&answer)).await.as_deref(), Some("stranger@example.com"));
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(answer.header("set-cookie").contains(part), "{answer:?}");
    }
    let events = ada.t.owner.event_list_all().await.unwrap();
    let signed = events.iter().find(|e| e.action == "session.create").unwrap();
    assert_eq!((signed.actor.as_str(), signed.address.as_deref()), ("stranger@example.com", Some("192.0.2.7")));
    assert!(ada.t.stranger.account_info().await.unwrap().last_login.is_some());
    let own = ada.t.stranger.password_info().await.unwrap();
    assert_eq!((own.enabled, own.set, own.recovery_codes), (true, true, 10));
    assert!(ada.t.anonymous.sign_in_options().await.unwrap().password);
}

#[tokio::test]
async fn passwords_are_off_until_an_administrator_turns_them_on() {
    let ada = Ada::start().await;
    let fresh = World::start().await;
    assert!(!fresh.anonymous.sign_in_options().await.unwrap().password);
    let off = fresh.stranger.post("/account/password", json!({ "password": PASSWORD })).await;
    assert!(off.error().0 == 422 && off.error().2.contains("off on this platform"), "{off:?}");
    assert_eq!(fresh.stranger.patch("/password-policy", json!({ "enabled": true })).await.error().0, 403);
    turn(&ada.t, false).await;
    let refused = ada.right().send(&ada.t).await;
    assert_eq!((refused.status, refused.header("set-cookie")), (422, ""), "{refused:?}");
    assert_eq!(ada.t.stranger.patch("/account/password", json!({})).await.error().0, 422);
    // It is kept, and can be removed meanwhile.
    assert_eq!(ada.t.owner.password_policy_info().await.unwrap().accounts, 1);
    turn(&ada.t, true).await;
    assert_eq!(ada.right().send(&ada.t).await.status, 200);
    turn(&ada.t, false).await;
    ada.forget_steps().await;
    let gone = ada.t.stranger.ask("DELETE", "/account/password").body(json!({ "code": ada.recovery[0] }).to_string());
    assert_eq!(gone.await.json()["set"], false);
    let events = ada.t.owner.event_list_all().await.unwrap();
    let actions: Vec<_> =
        events.iter().rev().map(|e| e.action.as_str()).filter(|a| a.starts_with("password")).collect();
    let turned = "password_policy.update";
    assert_eq!(actions, [turned, "password.begin", "password.create", turned, turned, turned, "password.delete"]);
}

#[tokio::test]
async fn nothing_is_in_force_before_a_code_and_nothing_is_told_twice() {
    let t = World::start().await;
    turn(&t, true).await;
    for (bad, says) in
        [("too short", "at least 12"), ("stranger@example.com", "email address"), ("abcabcabcabc", "repeat")]
    {
        let refused = t.stranger.post("/account/password", json!({ "password": bad })).await.error();
        assert!(refused.0 == 422 && refused.2.contains(says), "{refused:?}");
    }
    let begun = t.stranger.post("/account/password", json!({ "password": PASSWORD })).await.json();
    let uri = begun["uri"].as_str().unwrap();
    assert!(uri.starts_with("otpauth://totp/Wharf%20localhost:stranger%40example.com?secret="), "{uri}");
    assert!(begun["qr"].as_str().unwrap().contains("<svg "));
    assert!(!t.stranger.password_info().await.unwrap().set);
    let key = secret(begun["secret"].as_str().unwrap());
    let early = json!({ "email": "stranger@example.com", "password": PASSWORD, "code": code(&key, now()) });
    let early = t.anonymous.ask("POST", "/login/password").header("origin", "http://localhost").body(early.to_string());
    assert_eq!(early.await.status, 401);
    let confirm =
        async |code: String| t.stranger.post("/account/password/actions/confirm", json!({ "code": code })).await;
    let wrong = confirm(code(&key, now() + 90)).await.error();
    assert!(wrong.0 == 422 && wrong.2.contains("code is wrong"), "{wrong:?}");
    // Begun too long ago.
    sqlx::query("update passwords set created_at = now() - interval '2 hours'").execute(&t.db).await.unwrap();
    assert_eq!(confirm(code(&key, now())).await.error().0, 422);
    sqlx::query("update passwords set created_at = now()").execute(&t.db).await.unwrap();
    let recovery = confirm(code(&key, now())).await.json()["codes"].clone();
    assert_eq!(recovery.as_array().unwrap().len(), 10);
    assert_eq!(confirm(code(&key, now() + 1)).await.error().0, 409);
    assert_eq!(t.stranger.post("/account/password", json!({ "password": PASSWORD })).await.error().0, 409);
    // At rest there is nothing that signs anybody in.
    let kept: Vec<String> = sqlx::query_scalar(
        "select row_to_json(p)::text from passwords p union all select row_to_json(r)::text from recovery_codes r",
    )
    .fetch_all(&t.db)
    .await
    .unwrap();
    let kept = kept.join("\n");
    assert!(kept.contains("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
    let first = recovery[0].as_str().unwrap().replace('-', "");
    for secret in [PASSWORD, &hex::encode(&key), &hex::encode(&first), &first] {
        assert!(!kept.contains(secret), "{secret}: {kept}");
    }
    let events = t.owner.get("/events").await.text();
    assert!(events.contains("password.create") && !events.contains(PASSWORD) && !events.contains(&first), "{events}");
}

#[tokio::test]
async fn a_code_counts_once() {
    let ada = Ada::start().await;
    assert_eq!(ada.right().send(&ada.t).await.status, 200);
    let replayed = ada.right().send(&ada.t).await;
    assert_eq!((replayed.status, replayed.header("set-cookie")), (401, ""), "{replayed:?}");
    // Nor does one of a step before.
    assert_eq!(Try { code: ada.code(-1), ..ada.right() }.send(&ada.t).await.status, 401);
    assert_eq!(Try { code: ada.code(1), ..ada.right() }.send(&ada.t).await.status, 200);
    // Of many that come at once, one.
    ada.forget_steps().await;
    let all = futures::future::join_all((0..3).map(async |_| ada.right().send(&ada.t).await.status)).await;
    assert_eq!(all.iter().filter(|status| **status == 200).count(), 1, "{all:?}");
    let refused = ada.refusals().await;
    assert_eq!(refused, vec!["code"; refused.len()]);
}

#[tokio::test]
async fn a_recovery_code_counts_once_too() {
    let ada = Ada::start().await;
    let with = |n: usize| Try { code: ada.recovery[n].to_uppercase(), ..ada.right() };
    assert_eq!(with(0).send(&ada.t).await.status, 200);
    assert_eq!(with(0).send(&ada.t).await.status, 401);
    let all = futures::future::join_all((0..3).map(async |_| with(1).send(&ada.t).await.status)).await;
    assert_eq!(all.iter().filter(|status| **status == 200).count(), 1, "{all:?}");
    assert_eq!(ada.t.stranger.password_info().await.unwrap().recovery_codes, 8);
    let events = ada.t.owner.event_list_all().await.unwrap();
    assert!(events.iter().any(|e| e.summary.contains("recovery code. Codes left: 9")), "{events:?}");
}

#[tokio::test]
async fn a_recovery_code_of_the_first_version_counts_once() {
    let ada = Ada::start().await;
    let id: PasswordId = sqlx::query_scalar("select id from passwords").fetch_one(&ada.t.db).await.unwrap();
    let plain = ada.recovery[0].replace('-', "");
    let hash = ada.t.platform.secrets().legacy_mac(&format!("recovery codes of {id}"), plain.as_bytes());
    sqlx::query("delete from recovery_codes where id <> (select min(id::text)::uuid from recovery_codes)")
        .execute(&ada.t.db)
        .await
        .unwrap();
    sqlx::query("update recovery_codes set code_hash = $1").bind(hash).execute(&ada.t.db).await.unwrap();
    let attempt = || Try { code: ada.recovery[0].clone(), ..ada.right() };
    assert_eq!(attempt().send(&ada.t).await.status, 200);
    assert_eq!(attempt().send(&ada.t).await.status, 401);
}

#[tokio::test]
async fn who_is_refused_learns_nothing() {
    let ada = Ada::start().await;
    let wrong = [
        Try { email: "nobody@example.com", ..ada.right() },
        Try { password: "correct horsf", ..ada.right() },
        Try { code: ada.code(90), ..ada.right() },
        Try { code: String::new(), ..ada.right() },
    ];
    let mut bodies = Vec::new();
    for one in &wrong {
        let answer = one.send(&ada.t).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (401, ""), "{answer:?}");
        bodies.push(answer.text());
    }
    ada.t.owner.patch("/users/stranger@example.com", json!({ "suspended": true })).await;
    bodies.push(ada.right().send(&ada.t).await.text());
    assert!(bodies.iter().all(|body| *body == bodies[0] && body.contains(WRONG)), "{bodies:?}");
    // Only the log says which it was, and who was claimed from where; never the password.
    assert_eq!(ada.refusals().await, ["unknown", "password", "code", "code", "suspended"]);
    let events = ada.t.owner.event_list_all().await.unwrap();
    let first = events.iter().rfind(|e| e.action == "session.refuse").unwrap();
    assert_eq!((first.actor.as_str(), first.address.as_deref()), ("nobody@example.com", Some("192.0.2.7")));
    let log = ada.t.owner.get("/events").await.text();
    assert!(!log.contains("horse") && !log.contains("horsf"), "{log}");
}

#[tokio::test]
async fn guessing_codes_is_shut_off_for_the_account_and_for_the_address() {
    let ada = Ada::start().await;
    ada.t.expects("password of stranger@example.com: try");
    ada.t.expects("passwords from 198.51.100.9: try");
    // Somebody knows the password, asks from many addresses, and all at once.
    let addresses: Vec<String> = (0..40).map(|n| format!("198.51.100.{}", 10 + n)).collect();
    let guess = |address: &String| {
        let (address, code) = (address.clone(), ada.code(90));
        let ada = &ada;
        async move { Try { code, address: &address, ..ada.right() }.send(&ada.t).await }
    };
    let answers = futures::future::join_all(addresses.iter().map(guess)).await;
    let with = |status: u16| answers.iter().filter(|a| a.status == status).count();
    // Six, and one more whenever the lock is over: after a second, two, four, …
    assert!((6..12).contains(&with(401)) && with(401) + with(429) == 40, "{answers:?}");
    let says = answers.iter().find(|a| a.status == 429).unwrap().error().2;
    assert!(says.contains("Try again later"), "{says}");
    // The log says what was tried, and for each lock once that it is shut.
    let refused = ada.refusals().await;
    let of = |word: &str| refused.iter().filter(|r| *r == word).count();
    assert!(of("code") == with(401) && (1..7).contains(&of("busy")), "{refused:?}");
    // From one address, at many accounts.
    let names: Vec<String> = (0..30).map(|n| format!("nobody-{n}@example.com")).collect();
    let guess = async |name: &String| Try { email: name, address: "198.51.100.9", ..ada.right() }.send(&ada.t).await;
    let answers = futures::future::join_all(names.iter().map(guess)).await;
    let with = |status: u16| answers.iter().filter(|a| a.status == status).count();
    assert!((21..27).contains(&with(401)) && with(401) + with(429) == 30, "{answers:?}");
}

#[tokio::test]
async fn others_do_not_shut_out_who_was_there_before() {
    let ada = Ada::start().await;
    ada.t.expects("password of stranger@example.com: try");
    assert_eq!(ada.right().send(&ada.t).await.status, 200);
    for n in 0..12 {
        let address = format!("198.51.100.{n}");
        Try { password: "a wrong guess", address: &address, ..ada.right() }.send(&ada.t).await;
    }
    ada.forget_steps().await;
    assert_eq!(ada.right().send(&ada.t).await.status, 200);
}

#[tokio::test]
async fn a_browser_that_was_there_before_has_tries_of_its_own() {
    let ada = Ada::start().await;
    ada.t.expects("password of stranger@example.com");
    ada.t.expects("passwords from 198.51.100.9: try");
    let device = set(&ada.right().send(&ada.t).await, "wharf-device=");
    assert!(!device.is_empty());
    // Strangers use up the tries at the account, and those of an address that the owner comes to share.
    for n in 0..60 {
        let address = if n < 30 { format!("198.51.100.{}", 100 + n) } else { "198.51.100.9".to_owned() };
        Try { password: "a wrong guess", address: &address, ..ada.right() }.send(&ada.t).await;
    }
    ada.forget_steps().await;
    let elsewhere = Try { address: "198.51.100.9", ..ada.right() };
    assert_eq!(elsewhere.send(&ada.t).await.status, 429);
    // What is not signed is nothing.
    let forged = format!("{device}0");
    assert_eq!(Try { address: "198.51.100.9", cookie: &forged, ..ada.right() }.send(&ada.t).await.status, 429);
    let own = || Try { address: "198.51.100.9", cookie: &device, ..ada.right() };
    assert_eq!(own().send(&ada.t).await.status, 200);
    // Its own tries end, too.
    ada.forget_steps().await;
    for _ in 0..12 {
        Try { password: "a wrong guess", ..own() }.send(&ada.t).await;
    }
    assert_eq!(own().send(&ada.t).await.status, 429);
}

#[tokio::test]
async fn a_planted_session_is_worth_nothing_after_signing_in() {
    let ada = Ada::start().await;
    // A session that somebody else has, signed in as themselves.
    let planted = crate::sessions::sign_in(&ada.t).await;
    assert!(ada.who(&planted).await.is_some());
    let answer = Try { cookie: &planted, ..ada.right() }.send(&ada.t).await;
    assert_ne!(cookie(&answer), planted);
    assert_eq!(ada.who(&cookie(&answer)).await.as_deref(), Some("stranger@example.com"));
    assert_eq!(ada.who(&planted).await, None);
    // One that was made up is not taken over, either.
    ada.forget_steps().await;
    let made_up = "wharf=AAAAAAAAAAAAAAAAAAAAAA";
    let answer = Try { cookie: made_up, ..ada.right() }.send(&ada.t).await;
    assert_eq!(answer.status, 200);
    assert_ne!(cookie(&answer), made_up);
    assert_eq!(ada.who(made_up).await, None);
}

#[tokio::test]
async fn another_site_signs_nobody_in() {
    let ada = Ada::start().await;
    for origin in ["http://evil.test", "null", "http://evil.localhost", "http://localhost.evil.test"] {
        let answer = Try { origin, ..ada.right() }.send(&ada.t).await;
        assert_eq!((answer.error().0, answer.header("set-cookie")), (403, ""), "{origin}");
    }
    let body = json!({ "email": "stranger@example.com", "password": PASSWORD, "code": ada.code(0) });
    let without = ada.t.anonymous.ask("POST", "/login/password").body(body.to_string()).await;
    assert_eq!(without.error().0, 403);
    assert_eq!(ada.refusals().await, ["origin"; 2]);
    // Nothing was used up by it, however often it is asked for.
    for _ in 0..30 {
        Try { origin: "http://evil.test", ..ada.right() }.send(&ada.t).await;
    }
    let answer = ada.right().send(&ada.t).await;
    assert_eq!(answer.status, 200);
    // Nor does another site change the password with the visitor's cookie.
    let patch = json!({ "password": "another horse", "code": ada.code(1) }).to_string();
    let from_there = ada.t.anonymous.ask("PATCH", "/account/password").header("cookie", &cookie(&answer));
    assert_eq!(from_there.header("origin", "http://evil.localhost").body(patch).await.error().0, 403);
}

#[tokio::test]
async fn nobody_is_sent_elsewhere() {
    let ada = Ada::start().await;
    for next in ["https://evil.test", "//evil.test", "/\\evil.test", "/\t/evil.test", "javascript:alert(1)", ""] {
        ada.forget_steps().await;
        let answer = Try { next, ..ada.right() }.send(&ada.t).await;
        assert_eq!(answer.json(), json!({ "next": "/apps" }), "{next}");
    }
}

#[tokio::test]
async fn changing_it_takes_a_code_and_ends_the_other_sessions() {
    let ada = Ada::start().await;
    let (here, there) = (cookie(&ada.right().send(&ada.t).await), crate::sessions::sign_in(&ada.t).await);
    ada.forget_steps().await;
    let other = cookie(&ada.right().send(&ada.t).await);
    let link = ada.t.stranger.post("/account/sign-in-links", json!({})).await.json();
    let patch = async |password: &str, code: String| {
        let body = json!({ "password": password, "code": code }).to_string();
        let ask = ada.t.anonymous.ask("PATCH", "/account/password").header("cookie", &here);
        ask.header("origin", "http://localhost").body(body).await
    };
    for wrong in [String::new(), ada.code(90), ada.code(0)] {
        assert_eq!(patch("another horse", wrong).await.error().0, 422);
    }
    assert_eq!(patch("short", ada.code(1)).await.error().0, 422);
    let changed = patch("another horse", ada.code(1)).await;
    assert_eq!((changed.status, changed.json()["set"].as_bool()), (200, Some(true)), "{changed:?}");
    assert!(ada.who(&here).await.is_some() && ada.who(&other).await.is_none());
    // Somebody else's session and one's own tokens go on; a link that was about is dead.
    assert!(ada.who(&there).await.is_some() && ada.t.stranger.get("/account").await.status == 200);
    let link = ada.t.anonymous.ask("POST", &crate::world::path(link["url"].as_str().unwrap()));
    let link = link.header("origin", "http://localhost").await;
    assert_eq!(link.header("location"), "/login?error=link");
    ada.forget_steps().await;
    assert_eq!(ada.right().send(&ada.t).await.status, 401);
    assert_eq!(Try { password: "another horse", ..ada.right() }.send(&ada.t).await.status, 200);
    let events = ada.t.owner.event_list_all().await.unwrap();
    assert!(events.iter().any(|e| e.action == "password.update"));
    assert_eq!(events.iter().filter(|e| e.action == "password.refuse").count(), 3);
}

#[tokio::test]
async fn guessing_codes_while_signed_in_is_shut_off_too() {
    let ada = Ada::start().await;
    ada.t.expects("codes of stranger@example.com: try");
    let guess = async |n: i64| {
        let body = json!({ "code": ada.code(90 + n) }).to_string();
        ada.t.stranger.ask("DELETE", "/account/password").body(body).await.status
    };
    let all = futures::future::join_all((0..20).map(guess)).await;
    let with = |status: u16| all.iter().filter(|s| **s == status).count();
    assert!((6..12).contains(&with(422)) && with(422) + with(429) == 20, "{all:?}");
    assert!(ada.t.stranger.password_info().await.unwrap().set);
}

#[tokio::test]
async fn removing_it_takes_a_code_or_an_administrator() {
    let ada = Ada::start().await;
    let remove = async |body: Value| ada.t.stranger.ask("DELETE", "/account/password").body(body.to_string()).await;
    assert_eq!(remove(json!({})).await.error().0, 422);
    assert_eq!(remove(json!({ "code": ada.recovery[3] })).await.json()["set"], false);
    assert_eq!(remove(json!({})).await.error().0, 404);
    assert_eq!(ada.right().send(&ada.t).await.status, 401);
    // What is only begun is dropped without a code.
    ada.t.stranger.post("/account/password", json!({ "password": PASSWORD })).await;
    assert_eq!(remove(json!({})).await.status, 200);
    enrol(&ada.t.stranger).await;
    let of = "/users/stranger@example.com/password";
    assert_eq!(ada.t.stranger.ask("DELETE", of).await.error().0, 403);
    assert_eq!(ada.t.owner.ask("DELETE", "/users/admin@wharf.localhost/password").await.error().0, 422);
    assert_eq!(ada.t.owner.ask("DELETE", of).await.status, 200);
    assert_eq!(ada.t.owner.ask("DELETE", of).await.error().0, 404);
    assert!(!ada.t.stranger.password_info().await.unwrap().set);
    let removed = ada.t.owner.event_list_all().await.unwrap().into_iter().find(|e| e.action == "password.delete");
    assert_eq!(removed.unwrap().actor, "admin@wharf.localhost");
}

#[tokio::test]
async fn a_service_account_has_none_and_narrow_tokens_reach_none() {
    let t = World::start().await;
    turn(&t, true).await;
    t.owner.post("/teams", json!({ "name": "acme" })).await;
    t.owner.post("/teams/acme/service-accounts", json!({ "name": "bot" })).await;
    let token = t.owner.post("/teams/acme/service-accounts/bot/authorizations", json!({})).await.json();
    let bot = t.actor(token["access_token"]["token"].as_str().unwrap());
    let refused = bot.post("/account/password", json!({ "password": PASSWORD })).await.error();
    assert!(refused.0 == 403 && refused.2.contains("service account"), "{refused:?}");
    let narrow = t.owner.post("/oauth/authorizations", json!({ "scope": ["write-protected"] })).await.json();
    let narrow = t.actor(narrow["access_token"]["token"].as_str().unwrap());
    assert_eq!(narrow.post("/account/password", json!({ "password": PASSWORD })).await.error().0, 403);
    assert_eq!(narrow.patch("/password-policy", json!({ "enabled": false })).await.error().0, 403);
}
