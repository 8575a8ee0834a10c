//! Every route with malformed requests: wrong types, texts at and above their limits, paths that lead elsewhere.
//!
//! The requests are generated from a fixed seed, so that failures are reproducible. The assertions are weak and hold
//! for all of them: there is a response, it is not an internal error (the world fails a test in which the platform logs
//! an error), and the platform continues to respond.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{
    permissions::routes,
    world::{Actor, World, account, token},
};

/// The number of requests per route and user.
const ROUNDS: usize = 8;
/// Statuses that are allowed besides rejections: the router is not involved in these tests.
const OURS: std::ops::RangeInclusive<u16> = 500..=599;

/// The names of all fields of all requests, in the format of the API.
fn fields() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/src");
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        let fields = text.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'));
        names.extend(fields.map(|(name, _)| name.to_owned()).filter(|name| !name.contains(' ')));
    }
    names.into_iter().collect()
}

/// Pseudorandom numbers from a seed (xorshift): random enough here, and reproducible.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap()
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    fn text(&mut self) -> String {
        let long = [255, 256, 1_000, 32_769, 70_000][self.below(5)];
        let texts = [
            String::new(),
            " ".into(),
            "dusk".into(),
            "acme".into(),
            "web".into(),
            "owner@example.com".into(),
            "-1".into(),
            "9223372036854775808".into(),
            "2026-13-45T99:99:99Z".into(),
            "00000000-0000-0000-0000-000000000000".into(),
            "../../../etc/passwd".into(),
            "'; drop table apps; --".into(),
            "%_\\".into(),
            "a\r\nset-cookie: a=b".into(),
            "\u{202e}\u{0}\u{1b}[2J".into(),
            "\u{feff}ＡＢＣ é\u{301}\u{10ffff}".into(),
            "http://127.0.0.1:1/".into(),
            "file:///etc".into(),
            "https://user:secret@example.com/x.tar.gz".into(),
            "((((((a+)+)+)+)+)+)+$".into(),
            "x".repeat(long),
            "é".repeat(long / 2),
        ];
        self.of(&texts).clone()
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth > 3 { 6 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(*self.of(&[0, 1, -1, 100, i64::from(i32::MAX) + 1, i64::MAX, i64::MIN])),
            3 => json!(*self.of(&[0.5, -0.0, 1e308])),
            4 | 5 => json!(self.text()),
            6 => (0..self.below(4)).map(|_| self.value(depth + 1)).collect(),
            7 => (0..self.below(4)).map(|_| (self.text(), self.value(depth + 1))).collect::<Map<_, _>>().into(),
            _ => (0..*self.of(&[500, 2_000])).fold(json!([]), |inner, n| if n < 100 { json!([inner]) } else { inner }),
        }
    }

    /// A body: existing fields with mostly invalid values; or no JSON at all.
    fn body(&mut self, fields: &[String]) -> Vec<u8> {
        match self.below(12) {
            0 => b"{\"name\": ".to_vec(),
            1 => vec![0xff, 0xfe, 0],
            2 => "[".repeat(10_000).into_bytes(),
            3 => self.value(0).to_string().into_bytes(),
            _ => {
                let object: Map<_, _> = (0..=self.below(6)).map(|_| (self.of(fields).clone(), self.value(1))).collect();
                Value::Object(object).to_string().into_bytes()
            }
        }
    }

    /// The route with values in place of its `{…}`.
    fn path(&mut self, route: &str) -> String {
        let parts = route.split('/').map(|part| match part {
            "{app}" if self.below(4) > 0 => "dusk".to_owned(),
            "{team}" if self.below(4) > 0 => "acme".to_owned(),
            "{repository}" if self.below(4) > 0 => "dusk.git".to_owned(),
            part if part.starts_with('{') => encoded(&self.text()),
            part => part.to_owned(),
        });
        let path = parts.collect::<Vec<_>>().join("/");
        match self.below(3) {
            0 => format!(
                "{path}?{}={}",
                self.of(&["service", "q", "from", "to", "filter", "step"]),
                encoded(&self.text())
            ),
            _ => path,
        }
    }
}

/// Everything except letters and digits as `%XX`, within the length limit of a URL.
fn encoded(text: &str) -> String {
    let bytes = text.bytes().take(4_000);
    bytes.map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

const RANGES: [&str; 8] = [
    "id ..; max=0",
    "id ]..; max=99999999999999999999",
    "created_at 2026..; order=desc",
    "version ]x..y[; max=-1",
    "name ]%7f..",
    "; ; ;",
    "email ..; max=1",
    "nonsense",
];

async fn ask(actor: &Actor, chance: &mut Chance, fields: &[String], method: &str, route: &str) {
    let path = chance.path(route);
    let body = chance.body(fields);
    let mut asked = actor.ask(method, &path).body(body);
    if chance.below(2) == 0 {
        asked = asked.header("range", chance.of::<&str>(&RANGES));
    }
    let answer = asked.await;
    assert!(!OURS.contains(&answer.status), "{method} {path}: {answer:?}");
}

/// A user who deletes their account, or has no requests left, is replaced.
async fn user(t: &World, n: usize) -> Actor {
    let email = format!("fuzzer-{n}@example.com");
    t.actor(&account(&t.db, &email).await)
}

fn all_routes() -> Vec<(String, String)> {
    let lists = ["api_routes", "team_routes", "open_routes", "stream_routes"].map(routes).concat();
    let of_apps = routes("app_routes").into_iter().map(|route| route.replacen(" /", " /apps/{app}/", 1));
    let all = lists.into_iter().chain(of_apps).filter(|route| !route.ends_with(" /live"));
    all.map(|route| {
        let (method, path) = route.split_once(' ').unwrap();
        (method.to_owned(), path.trim_end_matches('/').to_owned())
    })
    .collect()
}

#[tokio::test]
async fn malformed_requests_of_a_stranger_are_rejected() {
    let t = World::start().await;
    // Wrong credentials are counted and logged.
    t.expects("locked for");
    t.app("dusk").await;
    let (fields, mut chance) = (fields(), Chance(0x0057_4841_5246));
    for (n, (method, route)) in all_routes().iter().enumerate() {
        let actor = user(&t, n).await;
        for _ in 0..ROUNDS {
            ask(&actor, &mut chance, &fields, method, route).await;
        }
    }
    assert_eq!(t.owner.app_info("dusk").await.unwrap().name, "dusk");
}

#[tokio::test]
async fn malformed_requests_of_administrators_are_rejected_too() {
    let t = World::start().await;
    // Wrong credentials are counted and logged.
    t.expects("locked for");
    let (fields, mut chance) = (fields(), Chance(0x004f_574e_4552));
    for (n, (method, route)) in all_routes().iter().enumerate() {
        let email = format!("admin-{n}@example.com");
        let actor = t.actor(&account(&t.db, &email).await);
        sqlx::query("update accounts set admin = true where email = $1").bind(&email).execute(&t.db).await.unwrap();
        let app = actor.ask("POST", "/apps").body(json!({ "name": format!("dusk-{n}") }).to_string()).await;
        assert_eq!(app.status, 201, "{app:?}");
        actor.post("/teams", json!({ "name": format!("acme-{n}") })).await;
        let route = route.replace("{app}", &format!("dusk-{n}")).replace("{team}", &format!("acme-{n}"));
        for _ in 0..ROUNDS {
            ask(&actor, &mut chance, &fields, method, &route).await;
        }
    }
    let email = "last@example.com";
    account(&t.db, email).await;
    let row = store::accounts::account_by_email(&t.db, email).await.unwrap().unwrap();
    assert_eq!(t.actor(&token(&t.db, row.id, "again").await).get("/account").await.status, 200);
}
