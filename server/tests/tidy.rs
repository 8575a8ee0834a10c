//! House rules that a machine can check. The messages name the offending files and items.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/nouns.rs"]
mod nouns_of_pages;
#[path = "tidy/transactions.rs"]
mod transactions;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The folders of our crates, by name.
fn crates() -> BTreeMap<String, PathBuf> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let list = manifest.split("members = [").nth(1).and_then(|rest| rest.split("\n]").next()).unwrap();
    let folders = list.lines().filter_map(|line| line.split('"').nth(1)).map(|folder| root().join(folder));
    let name = |folder: &Path| {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"').map(String::from)).unwrap()
    };
    folders.map(|folder| (name(&folder), folder)).collect()
}

/// Every file below a folder, except built or downloaded ones.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if !["target", "node_modules", ".git", "test-results"].iter().any(|skip| name == *skip) {
                files(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

/// Our Rust files: the path from the root, and the text.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["app", "cli", "server", "bench", "style"] {
        files(&root().join(folder), &mut found);
    }
    found.retain(|file| file.extension().is_some_and(|ending| ending == "rs"));
    found.sort();
    // Sample apps for tests of builds are exempt.
    let ours = |file: &Path| {
        !file.components().any(|part| ["fixtures", "samples", "buildpacks"].iter().any(|f| part.as_os_str() == *f))
    };
    let name = |file: &Path| file.strip_prefix(root()).unwrap().display().to_string();
    found.iter().filter(|file| ours(file)).map(|file| (name(file), fs::read_to_string(file).unwrap())).collect()
}

/// The crates of the domain, from the bottom.
const AREAS: [&str; 8] = ["base", "identity", "platform", "builds", "oneoffs", "observe", "recovery", "areas"];

fn is_test(file: &str) -> bool {
    file.contains("/tests/") || file.ends_with("/tests.rs")
}

/// The part of a file before its own tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

/// Whether a file is part of the console, on both sides; the entry point of the browser is not.
fn is_of_console(file: &str) -> bool {
    file.starts_with("app/") && !file.starts_with("app/browser/")
}

fn none(rule: &str, offenders: Vec<String>) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

/// Our crates in `[dependencies]`, without those for tests.
fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    section.lines().filter_map(|line| line.split(['=', '.', ' ']).next()).map(String::from).collect()
}

/// Our crates that each crate may import.
const ALLOWED: &str = "
    browser: app api
    app: ui pages_entry pages_apps pages_create pages_build pages_app pages_app_overview pages_app_activity \
        pages_app_resources pages_app_logs pages_app_metrics pages_app_settings pages_app_terminal pages_teams \
        pages_platform pages_quotas pages_account pages_parts api
    pages_entry: accounts ui api
    pages_apps: ui api
    pages_create: pages_app ui api
    pages_build: pages_app ui api
    pages_app: ui api
    pages_app_overview: pages_create pages_app ui api
    pages_app_activity: pages_app ui api
    pages_app_resources: pages_app ui api
    pages_app_logs: pages_app ui api
    pages_app_metrics: pages_app ui api
    pages_app_settings: pages_app accounts ui api
    pages_app_terminal: pages_app ui api
    pages_teams: accounts ui api
    pages_platform: accounts ui api
    pages_quotas: accounts ui api
    pages_account: accounts ui api
    pages_parts: ui api
    accounts: ui api
    ui: api
    cli: api
    server: app areas base builds identity platform recovery api repositories router dyno trees worker
    base: store outbound worker api
    identity: base store outbound background mail api
    areas: base identity platform builds oneoffs observe recovery dyno
    recovery: base identity platform store background outbound api trees
    observe: base identity platform builds store background router logs monitor api spool
    platform: base identity store background builder dyno router logs monitor addons api spool trees worker
    oneoffs: base identity platform store background dyno logs api spool
    builds: base identity platform store background builder dyno monitor outbound repositories api spool trees worker
    builder: dyno worker spool trees globs api
    repositories: worker trees api
    worker: dyno trees
    addons: dyno api
    router: api spool
    logs: api spool trees
    dyno: shim api spool trees
    shim: spool
    monitor: api trees
    fileserver: globs
    front_tools:
    outbound:
    mail: outbound
    store: api
    background: api
    api:
    spool:
    trees:
    globs:
";

#[test]
fn crates_import_only_whom_they_may() {
    let allowed: BTreeMap<&str, Vec<&str>> = ALLOWED
        .lines()
        .filter_map(|line| line.trim().split_once(':'))
        .map(|(name, may)| (name, may.split_whitespace().collect()))
        .collect();
    let crates = crates();
    let mut wrong = Vec::new();
    for (name, folder) in &crates {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let Some(may) = allowed.get(name.as_str()) else {
            wrong.push(format!("{name} is in no line of the table"));
            continue;
        };
        for used in dependencies(&manifest).iter().filter(|used| crates.contains_key(*used)) {
            if !may.contains(&used.as_str()) {
                wrong.push(format!("{name} imports {used}"));
            }
        }
    }
    none("clients, engines and storage depend only on shared crates, only the domain depends on all three", wrong);
}

#[test]
fn files_are_short() {
    let long = sources().into_iter().filter_map(|(file, text)| {
        let (lines, most) = (text.lines().count(), if is_test(&file) { 1000 } else { 600 });
        (lines > most).then(|| format!("{file}: {lines} lines, at most {most}"))
    });
    none("a file that is too long is two files", long.collect());
}

/// Lines of a crate without tests, by its folder: the first that matches. Each change to a page compiles all pages of its
/// bundle, and each change to what they share compiles all that depend on it.
const MOST_LINES: [(&str, usize); 3] = [("server/", 9000), ("app/pages/", 2500), ("app/", 5000)];

/// A change to a crate rebuilds all of it, and large crates are hard to navigate.
#[test]
fn crates_are_small() {
    let sources = sources();
    let mut large = Vec::new();
    for (name, folder) in crates() {
        let top = folder.strip_prefix(root()).unwrap().join("src").display().to_string() + "/";
        let Some((_, most)) = MOST_LINES.iter().find(|(prefix, _)| top.starts_with(prefix)) else { continue };
        let of_crate = sources.iter().filter(|(file, _)| file.starts_with(&top) && !is_test(file));
        let lines: usize = of_crate.map(|(_, text)| without_tests(text).lines().count()).sum();
        if lines > *most {
            large.push(format!("{name}: {lines} lines without tests, at most {most}"));
        }
    }
    none("a crate that is too large is two crates", large);
}

/// A crate of the console that does not pass them on is compiled twice, once for each set of features.
#[test]
fn crates_of_the_console_pass_on_the_side_for_which_they_are_built() {
    let of_console =
        |folder: &Path| folder.strip_prefix(root()).unwrap().starts_with("app") && !folder.ends_with("app/browser");
    let crates: BTreeMap<String, PathBuf> = crates().into_iter().filter(|(_, folder)| of_console(folder)).collect();
    let mut wrong = Vec::new();
    for (name, folder) in &crates {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        for used in dependencies(&manifest).iter().filter(|used| crates.contains_key(*used)) {
            let sides = ["ssr", "hydrate"].into_iter().map(|side| format!("\"{used}/{side}\""));
            wrong.extend(sides.filter(|side| !manifest.contains(side)).map(|side| format!("{name} lacks {side}")));
        }
    }
    none("`ssr` and `hydrate` are passed on to every crate of the console", wrong);
}

/// Test binaries of crates without tests are not linked.
#[test]
fn tests_are_compiled() {
    let sources = sources();
    let mut wrong = Vec::new();
    for (name, folder) in crates() {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let top = folder.strip_prefix(root()).unwrap().join("src").display().to_string() + "/";
        for target in manifest.split("\n[").filter(|target| target.contains("\ntest = false")) {
            // The tests of a program beside a library are those of its own file.
            let file = target.lines().find_map(|line| line.strip_prefix("path = \"src/")?.strip_suffix('"'));
            let of_target = top.clone() + file.filter(|_| target.starts_with("[bin]]")).unwrap_or_default();
            let mut sources = sources.iter().filter(|(file, _)| file.starts_with(&of_target));
            if sources.any(|(_, text)| text.contains("#[cfg(test)]")) {
                wrong.push(format!("{name} has tests and `test = false`"));
            }
        }
    }
    none("tests are compiled", wrong);
}

#[test]
fn files_say_what_they_are() {
    let silent = sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(file, _)| file);
    none("every file opens with a caption, `//! …`", silent.collect());
}

#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    for (file, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
            let indent = &line[..line.len() - line.trim_start().len()];
            let end = format!("{indent}}}");
            // A function without a body, or on one line, ends on the line where it begins.
            let head_ends = lines[at..].iter().position(|l| l.ends_with([';', '{', '}'])).unwrap_or(0);
            if !lines[at + head_ends].ends_with('{') {
                continue;
            }
            let length = lines[at..].iter().position(|l| *l == end).unwrap_or(0) + 1;
            if length > 100 {
                long.push(format!("{file}:{}: {length} lines", at + 1));
            }
        }
    }
    none("a function has at most 100 lines", long);
}

fn begins_function(line: &str) -> bool {
    let words = line.trim_start().split(' ').map(|w| if w.starts_with("pub(") { "pub" } else { w });
    let mut rest = words.skip_while(|w| ["pub", "async", "const", "unsafe", "extern", "\"C\""].contains(w));
    rest.next() == Some("fn")
}

#[test]
fn nothing_is_left_for_later() {
    let later = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    let mut found = Vec::new();
    for (file, text) in sources() {
        for (at, line) in text.lines().enumerate() {
            // With an issue number, it is planned work.
            if later.iter().any(|word| line.contains(word)) && !line.contains('#') {
                found.push(format!("{file}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    none("what is to be done is done, or has an issue", found);
}

#[test]
fn sql_is_written_only_in_store_and_background() {
    let elsewhere = sources().into_iter().filter(|(file, text)| {
        let allowed = file.starts_with("server/store/") || file.starts_with("server/background/") || is_test(file);
        !allowed
            && [concat!("sqlx::", "query"), concat!("query", "_as"), concat!("query", "_scalar")]
                .iter()
                .any(|q| without_tests(text).contains(q))
    });
    none("SQL is written only in store", elsewhere.map(|(file, _)| file).collect());
}

/// Committing a change publishes it, and the bus wakes the reconcilers of every server. An explicit wake-up reaches
/// this server alone, and is only for state that only this server knows.
#[test]
fn changes_are_published_without_explicit_wake_ups() {
    let of_this_host = [
        "platform/src/platform.rs",
        "platform/src/dynos/reconcile.rs",
        "platform/src/dynos/routing.rs",
        "platform/src/dynos/watch.rs",
        "platform/src/releases/job.rs",
        "oneoffs/src/one_offs/run.rs",
        "platform/src/ingest.rs",
    ];
    let wrong = sources().into_iter().filter(|(file, text)| {
        let of_area = AREAS.iter().any(|area| file.starts_with(&format!("server/{area}/src/")));
        let is_one_of = |list: &[&str]| list.iter().any(|one| file.strip_prefix("server/") == Some(*one));
        let is_storage = file.starts_with("server/store/") || file.starts_with("server/background/");
        let text = without_tests(text);
        let wakes = of_area && text.contains(concat!(".wake", "_")) && !is_one_of(&of_this_host);
        !is_test(file) && (wakes || text.contains(concat!("pg_", "notify")) && !is_storage)
    });
    none("what changes is published by `Change` or `Base::publish`", wrong.map(|(file, _)| file).collect());
}

#[test]
fn trees_are_removed_by_what_no_tree_can_break() {
    let recursive = concat!("remove_dir", "_all");
    let wrong = sources().into_iter().filter(|(file, text)| !is_test(file) && without_tests(text).contains(recursive));
    none("a tree is removed by `trees::remove`", wrong.map(|(file, _)| file).collect());
}

#[test]
fn store_makes_no_ids_and_no_times() {
    let makes = |text: &str| {
        [concat!("Utc::", "now"), concat!("::now", "_v7"), concat!("::new", "_v4")].iter().any(|m| text.contains(m))
    };
    // The databases of tests have names that have never been used.
    let is_ours =
        |file: &str| file.starts_with("server/store/src/") && !is_test(file) && !file.ends_with("/testing.rs");
    let wrong = sources().into_iter().filter(|(file, text)| is_ours(file) && makes(without_tests(text)));
    none("ids and times are arguments of queries", wrong.map(|(file, _)| file).collect());
}

#[test]
fn engines_do_not_know_the_database() {
    let mut wrong = Vec::new();
    for engine in ["builder", "dyno", "logs", "mail", "monitor", "outbound", "repositories", "router", "spool"] {
        let manifest = fs::read_to_string(root().join("server").join(engine).join("Cargo.toml")).unwrap();
        if dependencies(&manifest).iter().any(|used| used == "sqlx") {
            wrong.push(engine.to_owned());
        }
    }
    none("engines are told, they do not read the database", wrong);
}

/// Ids implement sqlx's traits only where there is SQL: the console and the command line do not compile a driver.
#[test]
fn ids_know_sql_only_in_store_and_background() {
    let mut wrong = Vec::new();
    for (name, folder) in crates() {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let has_sql = manifest.lines().any(|line| line.starts_with("api = ") && line.contains("\"sql\""));
        if has_sql != ["background", "store"].contains(&name.as_str()) {
            wrong.push(format!("{name} {} the feature \"sql\" of api", if has_sql { "enables" } else { "lacks" }));
        }
        let driver = manifest.lines().find(|line| line.starts_with("sqlx = "));
        if name == "api" && !driver.is_some_and(|line| line.contains("optional = true")) {
            wrong.push("api needs sqlx without being asked".to_owned());
        }
    }
    none("the feature \"sql\" of api is for store and background", wrong);
}

/// The field or argument with the bare type `Uuid` in this line.
fn untyped_id(line: &str) -> Option<&str> {
    let (name, wrapping) = line.split_once("Uuid")?.0.rsplit_once(": ")?;
    let is_type = wrapping.chars().all(|c| c.is_alphanumeric() || "<&['".contains(c));
    name.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|_| is_type)
}

/// An id of another kind must not compile. Bare ids are of any kind.
#[test]
fn stored_ids_have_types() {
    let any = ["subject", "subject_id", "credential_id", "PLATFORM"];
    // An account or a team; a slug or a source; any row of a list; what a queue converts.
    let of_files =
        [("collaborators", "account"), ("uploads", "id"), ("pages", "id"), ("queues", "ids"), ("queues", "Id")];
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let is_storage = file.starts_with("server/store/src/") || file.starts_with("server/background/src/");
        if !is_storage || is_test(&file) || file.ends_with("/testing.rs") {
            continue;
        }
        let noun = file.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        for name in without_tests(&text).lines().filter(|line| !line.starts_with("use ")).filter_map(untyped_id) {
            if !any.contains(&name) && !of_files.contains(&(noun, name)) {
                wrong.push(format!("{file}: {name}"));
            }
        }
    }
    none("ids have the types of api::ids", wrong);
}

/// The HTTP client of another crate would connect to any address.
#[test]
fn only_outbound_asks_other_hosts() {
    let clients = ["reqwest", "ureq", "isahc", "surf", "curl", "hyper-rustls", "awc"];
    let mut wrong = Vec::new();
    for (name, folder) in crates().iter().filter(|(name, _)| *name != "outbound") {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let used = manifest.lines().filter_map(|line| line.split(['=', '.', ' ']).next());
        wrong.extend(used.filter(|used| clients.contains(used)).map(|used| format!("{name} uses {used}")));
    }
    none("addresses that people gave are asked by outbound", wrong);
}

/// Each route declares the token scope that it needs; axum's own registration does not require that.
#[test]
fn routes_are_registered_with_required_scopes() {
    let elsewhere = sources().into_iter().filter(|(file, text)| {
        let of_area = AREAS.iter().any(|area| file.starts_with(&format!("server/{area}/src/")));
        let is_ours = of_area && file != "server/base/src/routes.rs";
        is_ours && (text.contains("axum::routing") || text.contains("Router::new()") || text.contains("routing::{"))
    });
    none("routes are registered by base::routes::Routes", elsewhere.map(|(file, _)| file).collect());
}

#[test]
fn the_console_does_not_know_where_it_runs() {
    let knows = |line: &str| {
        let line = line.trim();
        let conditional = line.contains("cfg(") && !line.contains("cfg(test)");
        !line.starts_with("//") && (conditional || line.contains("#[server"))
    };
    let mut wrong = Vec::new();
    for (file, text) in sources().into_iter().filter(|(file, _)| is_of_console(file) && !is_test(file)) {
        let lines = without_tests(&text).lines().enumerate().filter(|(_, line)| knows(line));
        wrong.extend(lines.map(|(at, line)| format!("{file}:{}: {}", at + 1, line.trim())));
    }
    none("the console has no cfg and no server function", wrong);
}

/// The symbols of split points are unique only within a crate.
#[test]
fn the_console_is_split_only_in_app() {
    let elsewhere = sources().into_iter().filter(|(file, text)| {
        let splits = ["#[wasm_split", "#[lazy"].iter().any(|mark| text.contains(mark));
        is_of_console(file) && !file.starts_with("app/src/") && splits
    });
    none("split points are in the crate app", elsewhere.map(|(file, _)| file).collect());
}

/// Names of the files and folders of a layer.
fn nouns(layer: &str) -> BTreeSet<String> {
    let names = fs::read_dir(root().join(layer)).unwrap().flatten();
    names.map(|e| e.file_name().to_string_lossy().trim_end_matches(".rs").to_owned()).collect()
}

#[test]
fn a_noun_has_the_same_name_in_every_layer() {
    let api = nouns("server/api/src");
    let areas: BTreeSet<String> = AREAS.iter().flat_map(|area| nouns(&format!("server/{area}/src"))).collect();
    let parts = ["client", "dotenv", "error", "ids", "lib", "named", "refs", "sanitize", "unavailable"];
    let mut wrong = Vec::new();
    for noun in api.iter().filter(|noun| !parts.contains(&noun.as_str())) {
        if !areas.contains(noun) {
            wrong.push(format!("{noun} can be asked for (api) but has no rules (no area knows it)"));
        }
    }
    let parts = ["lib", "testing", "tests"];
    for name in nouns("server/store/src").iter().map(String::as_str) {
        if !AREAS.contains(&name) && !parts.contains(&name) {
            wrong.push(format!("{name} is remembered (store) but is not in the folder of an area"));
        }
    }
    // Only `store` knows how states are stored.
    for area in AREAS.iter().filter(|area| root().join("server/store/src").join(area).exists()) {
        let known = nouns(&format!("server/{area}/src"));
        for noun in nouns(&format!("server/store/src/{area}")).iter().filter(|noun| *noun != "text") {
            if !known.contains(noun) {
                wrong.push(format!(
                    "{noun} is remembered (store/src/{area}) but has no rules ({area} does not know it)"
                ));
            }
        }
    }
    none("the same noun, the same file name, in every layer", wrong);
}

#[test]
fn no_file_is_named_for_nothing() {
    let vague = ["util", "utils", "common", "helper", "helpers", "types", "models", "core", "shared", "misc"];
    let named = sources().into_iter().map(|(file, _)| file).filter(|file| {
        Path::new(file).iter().any(|part| vague.contains(&part.to_string_lossy().trim_end_matches(".rs")))
    });
    none("a thing has a noun or it has an engine", named.collect());
}

#[test]
fn tests_are_neither_ignored_nor_happy_with_a_panic() {
    let marks = [concat!("#[ign", "ore"), concat!("#[should", "_panic")];
    let wrong = sources().into_iter().filter(|(_, text)| marks.iter().any(|mark| text.contains(mark)));
    none("a test runs, and says what it expects", wrong.map(|(file, _)| file).collect());
}

#[test]
fn migrations_count_up_and_say_why() {
    let folder = root().join("migrations");
    let mut names: Vec<String> =
        fs::read_dir(&folder).unwrap().flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.ends_with(".sql"));
    names.sort();
    let mut wrong = Vec::new();
    for (at, name) in names.iter().enumerate() {
        if !name.starts_with(&format!("{:04}_", at + 1)) {
            wrong.push(format!("{name} is not number {:04}", at + 1));
        }
        if !fs::read_to_string(folder.join(name)).unwrap().starts_with("--") {
            wrong.push(format!("{name} does not say why"));
        }
    }
    none("migrations are 0001_…, 0002_…, each opened by a comment", wrong);
}

#[test]
fn every_crate_has_a_caption_and_the_lints() {
    let mut wrong = Vec::new();
    for (name, folder) in crates() {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        if !manifest.contains("\ndescription = ") {
            wrong.push(format!("{name} has no description"));
        }
        if !manifest.contains("[lints]\nworkspace = true") {
            wrong.push(format!("{name} does not take the lints of the workspace"));
        }
    }
    none("a crate says what it is and takes the lints", wrong);
}

#[test]
fn every_route_and_every_job_has_its_test() {
    let sources = sources();
    let below =
        |folder: &'static str| sources.iter().filter(move |(file, _)| file.starts_with(folder)).map(|(_, text)| text);
    let of_area = |file: &str| AREAS.iter().any(|area| file.starts_with(&format!("server/{area}/src/")));
    let jobs: usize =
        sources.iter().filter(|(file, _)| of_area(file)).map(|(_, text)| text.matches("\nimpl Job for ").count()).sum();
    let crashed: usize =
        below("server/platform/tests/").map(|text| text.matches("survives_a_crash_anywhere(\n").count()).sum();
    let mut wrong = Vec::new();
    if jobs == 0 || crashed < jobs {
        wrong.push(format!("{jobs} jobs, but {crashed} tests that crash one anywhere"));
    }
    // That test reads the list of routes, and fails for an unknown one.
    if !below("server/platform/tests/").any(|text| text.contains("route_list()")) {
        wrong.push("no test of permissions goes through the list of routes".to_owned());
    }
    none("a route has a test of who may, a job one that it survives a crash", wrong);
}
