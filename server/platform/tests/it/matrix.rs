//! Every route, requested by every kind of caller: the responses are the table in `PERMISSIONS.md`.

use std::fmt::Write as _;

use api::{
    ids::{AccountId, AppId, CollaboratorId, TeamId, TeamMemberId},
    team_members::Role,
};
use chrono::Utc;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    permissions::{filled, routes},
    world::{Actor, Answer, World, account},
};

/// The callers. Those in between have a single permission on an app of their team.
const WHO: [&str; 18] = [
    "anonymous",
    "stranger",
    "viewer",
    "member",
    "status",
    "logs",
    "config",
    "push",
    "scale",
    "access",
    "view",
    "deploy",
    "operate",
    "manage",
    "collaborator",
    "owner",
    "admin",
    "bot",
];
const BEGIN: &str = "<!-- what the test found -->\n";

/// Routes whose required right depends on the body.
const VARIANTS: [(&str, &str); 7] = [
    ("POST /account/app-transfers", r#"{"app": "{app}", "recipient": "nobody@example.com"}"#),
    ("PATCH /apps/{app}", r#"{"name": "renamed-app"}"#),
    ("PATCH /apps/{app}", r#"{"build_stack": "heroku-26"}"#),
    ("PATCH /apps/{app}", r#"{"maintenance": true}"#),
    ("PATCH /apps/{app}/config-vars", r#"{"A": "1"}"#),
    ("PATCH /teams/apps/{app}", r#"{"locked": true}"#),
    ("POST /teams/apps", r#"{"team": "acme"}"#),
];

struct Somebody {
    name: &'static str,
    asks: Actor,
    id: Option<AccountId>,
}

struct Everybody {
    world: World,
    all: Vec<Somebody>,
    team: TeamId,
    made: std::sync::atomic::AtomicU32,
}

impl Everybody {
    async fn gather() -> Self {
        let world = World::start().await;
        world.owner.post("/teams", json!({ "name": "acme" })).await;
        // The right to add somebody; the right to invite new people is separate.
        account(&world.db, "new@example.com").await;
        let team = store::teams::team_info(&world.db, "acme", AccountId::nil()).await.unwrap().unwrap().team.id;
        let mut all = Vec::new();
        for name in WHO {
            let role = match name {
                "anonymous" | "stranger" | "owner" | "collaborator" => None,
                "viewer" | "admin" => Role::named(name),
                _ => Some(Role::Member),
            };
            let (asks, id) = match name {
                "anonymous" => (world.anonymous.again(), None),
                "bot" => bot(&world).await,
                _ => {
                    let email = format!("{name}@example.com");
                    let token = if name == "stranger" {
                        "token-of-stranger@example.com".into()
                    } else {
                        account(&world.db, &email).await
                    };
                    let row = store::accounts::account_by_email(&world.db, &email).await.unwrap().unwrap();
                    (world.actor(&token), Some(row.id))
                }
            };
            if let (Some(role), Some(id)) = (role, id) {
                store::team_members::team_member_save(&world.db, TeamMemberId::now_v7(), team, id, role, Utc::now())
                    .await
                    .unwrap();
            }
            all.push(Somebody { name, asks, id });
        }
        Self { world, all, team, made: 0.into() }
    }

    fn id(&self, name: &str) -> AccountId {
        self.all.iter().find(|s| s.name == name).and_then(|s| s.id).unwrap()
    }

    /// Creates an app for the requests of `who`. Returns its name.
    async fn app(&self, who: &Somebody) -> String {
        let n = self.made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (id, name, now, db) = (AppId::now_v7(), format!("app-{n}"), Utc::now(), &self.world.db);
        let personal = ["owner", "collaborator"].contains(&who.name);
        let (owner, team) = if personal { (Some(self.id("owner")), None) } else { (None, Some(self.team)) };
        let new = store::apps::New { id, name: &name, owner, team, locked: false, stack: "heroku-24", now };
        store::apps::app_create(db, &new).await.unwrap();
        let given: &[&str] = match who.name {
            "collaborator" => &["view", "deploy", "operate"],
            "anonymous" | "stranger" | "viewer" | "member" | "owner" | "admin" | "bot" => &[],
            one => &[one],
        };
        if let (Some(id_of), false) = (who.id, given.is_empty()) {
            let given: Vec<String> = given.iter().map(|g| (*g).to_owned()).collect();
            store::collaborators::collaborator_save(db, CollaboratorId::now_v7(), id, id_of, &given, now)
                .await
                .unwrap();
        }
        name
    }

    /// A row of the table.
    async fn row(&self, route: &str, body: &str) -> Vec<&'static str> {
        join_all(self.all.iter().map(async |who| {
            let is_about_one = [route, body].iter().any(|t| t.contains("{app}") || t.contains("{repository}"));
            let app = if is_about_one { self.app(who).await } else { "no-app".into() };
            let path = filled(route, &app);
            let (method, path) = path.split_once(' ').unwrap();
            let answer = who.asks.ask(method, path).body(body.replace("{app}", &app)).await;
            said(route, who.name, &answer)
        }))
        .await
    }
}

async fn bot(world: &World) -> (Actor, Option<AccountId>) {
    let bot = world.owner.post("/teams/acme/service-accounts", json!({ "name": "bot" })).await.json();
    let token = world.owner.post("/teams/acme/service-accounts/bot/authorizations", json!({})).await.json();
    let token = token["access_token"]["token"].as_str().unwrap();
    (world.actor(token), Some(bot["id"].as_str().unwrap().parse().unwrap()))
}

/// The table's entry for a response.
fn said(route: &str, who: &str, answer: &Answer) -> &'static str {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let (id, resource) = (body["id"].as_str().unwrap_or_default(), body["resource"].as_str().unwrap_or_default());
    let odd = || panic!("{route} for {who}: {answer:?}");
    match answer.status {
        401 => "401",
        403 => {
            let names = ["permission \"", "role \"", "administrator", "service account", "more than that", "Only "];
            let message = body["message"].as_str().map_or_else(|| answer.text(), String::from);
            if !names.iter().any(|n| message.contains(n)) || (id != "forbidden" && !route.contains("{repository}")) {
                odd();
            }
            "no"
        }
        404 if resource == "app" || resource == "team" || answer.text().contains("No such app") => "·",
        404 if resource == "route" => odd(),
        405 | 500.. => odd(),
        _ => "yes",
    }
}

/// The scope that a route requires of a token.
fn needs(route: &str) -> &'static str {
    let list = areas::route_list();
    let found = list.iter().find(|r| format!("{} {}", r.method, r.path) == route);
    found.unwrap_or_else(|| panic!("{route} is in the list")).needs.name()
}

fn asked() -> Vec<(String, String)> {
    let body = json!({
        "url": "https://example.com", "updates": [], "source_blob": {}, "email": "new@example.com",
        "role": "viewer", "user": "new@example.com", "permissions": ["status"], "state": "declined",
    });
    let of = |names: &str| routes(names);
    let app = of("app_routes").into_iter().map(|route| {
        let (method, path) = route.split_once(' ').unwrap();
        format!("{method} /apps/{{app}}{}", path.trim_end_matches('/'))
    });
    let opens = |route: &String| route.contains("{repository}") || route.ends_with("/live");
    let git = of("stream_routes").into_iter().filter(opens);
    let mut all = Vec::new();
    for route in of("api_routes").into_iter().chain(of("team_routes")).chain(app).chain(git) {
        let variants: Vec<_> = VARIANTS.iter().filter(|(of, _)| *of == route).collect();
        if variants.is_empty() {
            let body = if route.ends_with("config-vars") { "{}".to_owned() } else { body.to_string() };
            all.push((route, body));
        }
        all.extend(variants.into_iter().map(|(route, body)| ((*route).to_owned(), (*body).to_owned())));
    }
    all
}

#[tokio::test]
async fn who_may_ask_what() {
    let everybody = Everybody::gather().await;
    let mut table = String::from("| route | scope |");
    WHO.iter().for_each(|who| write!(table, " {who} |").unwrap());
    write!(table, "\n| --- |{}\n", " --- |".repeat(WHO.len() + 1)).unwrap();
    for (route, body) in asked() {
        let row = everybody.row(&route, &body).await;
        let is_variant = VARIANTS.iter().any(|(of, given)| *of == route && *given == body);
        let label = if is_variant { format!("{route} `{body}`") } else { route.clone() };
        writeln!(table, "| {label} | {} | {} |", needs(&route), row.join(" | ")).unwrap();
        let of = |name: &str| row[WHO.iter().position(|who| *who == name).unwrap()];
        assert_eq!(of("anonymous"), "401", "{route}");
        if route.contains("{app}") || route.contains("{repository}") {
            assert_eq!(of("stranger"), "·", "{route}");
            assert_eq!((of("owner"), of("admin"), of("manage")), ("yes", "yes", "yes"), "{route}");
            assert!(row[2..].iter().all(|cell| *cell != "·"), "{route}: {row:?}");
        }
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/PERMISSIONS.md");
    let text = std::fs::read_to_string(file).unwrap();
    let (head, found) = text.split_once(BEGIN).expect("the mark is there");
    if std::env::var_os("WHARF_WRITE_PERMISSIONS").is_some() {
        std::fs::write(file, format!("{head}{BEGIN}{table}")).unwrap();
        return;
    }
    let differ: Vec<_> =
        table.lines().zip(found.lines().chain(std::iter::repeat(""))).filter(|(a, b)| a != b).collect();
    assert!(
        differ.is_empty() && table.lines().count() == found.lines().count(),
        "PERMISSIONS.md says something else (found, written):\n{differ:#?}\n\
         If the answers are right, write them: WHARF_WRITE_PERMISSIONS=1 cargo test -p platform --test it matrix"
    );
}

/// A route gets an app's row only from a check.
#[test]
fn rows_of_apps_come_from_the_check() {
    fn rust(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { rust(&path, found) } else { found.push(path) }
        }
    }
    // Jobs and reconcilers have no caller; the others state beside the call who was checked before.
    let may = [
        "access.rs",
        "ingest.rs",
        "job.rs",
        "launch.rs",
        "reconcile.rs",
        "unpack.rs",
        "push.rs",
        "team_apps.rs",
        "apps.rs",
        "app_refs.rs",
        "changes.rs",
        "app_transfers.rs",
        "collaborators.rs",
    ];
    let mut files = Vec::new();
    for area in ["/src", "/../builds/src", "/../oneoffs/src", "/../observe/src", "/../identity/src", "/../base/src"] {
        rust(std::path::Path::new(&format!("{}{area}", env!("CARGO_MANIFEST_DIR"))), &mut files);
    }
    let gets = ["apps::app_info(", "apps::app_by_name(", "apps::app_by_former_name(", "apps::app_list("];
    let wrong = files.iter().filter(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        !may.contains(&file.file_name().unwrap().to_str().unwrap()) && gets.iter().any(|get| text.contains(get))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&std::path::PathBuf>::new());
}
