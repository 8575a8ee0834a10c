//! How commands handle a platform's responses.

use serde_json::{Value, json};

use crate::{
    Home, Said,
    platform::{ID, Platform, TIME, app, dyno, formation, held, release},
};

fn at(home: &Home, platform: &Platform, args: &[&str]) -> Said {
    home.log_in(&platform.url, "x");
    home.wharf(&[args, &["--app", "dusk"]].concat())
}

/// Newest first, the first one current if no other is, as returned by `release_list`.
fn releases(mut all: Vec<Value>) -> Value {
    if !all.iter().any(|release| release["current"] == json!(true)) {
        all[0]["current"] = json!(true);
    }
    Value::Array(all)
}

fn effects(changed: &[&str]) -> Value {
    json!({ "effects": ["It does this."], "config_set": changed, "config_unset": [] })
}

/// Which release a plain `wharf rollback` selects, and its output.
fn rollback(all: Vec<Value>, unchanged: &[&'static str], args: &[&str]) -> (Option<String>, Said) {
    let home = Home::new();
    let made = release(9, Some('a'), "Rollback");
    let mut answers = vec![("POST /apps/dusk/releases", 201, made)];
    answers.extend(unchanged.iter().map(|path| (*path, 200, effects(&[]))));
    answers.push(("GET /apps/dusk/releases/3/rollback", 200, effects(&["A"])));
    answers.push(("GET /apps/dusk/releases/1", 200, release(1, None, "Initial release")));
    answers.push(("GET /apps/dusk/releases", 200, releases(all)));
    let platform = Platform::start(answers);
    let said = at(&home, &platform, &[&["rollback"], args].concat());
    let asked = platform.changes().pop().map(|line| line[line.len() - 4..line.len() - 2].to_owned());
    (asked, said)
}

#[test]
fn a_rollback_without_a_version_goes_to_the_last_different_code() {
    let first = || release(1, None, "Initial release");
    // The previous release has different code.
    let all = vec![release(3, Some('b'), "Deploy b"), release(2, Some('a'), "Deploy a"), first()];
    assert_eq!(rollback(all, &[], &[]).0.as_deref(), Some("02"));
    // The same code with different config vars.
    let all = vec![release(4, Some('a'), "Set A"), release(3, Some('a'), "Deploy a"), first()];
    assert_eq!(rollback(all, &[], &[]).0.as_deref(), Some("03"));
    // The current release equals v2, and v3 had no code.
    let all = vec![
        release(4, Some('b'), "Rollback to v2"),
        release(3, None, "Rollback to v1"),
        release(2, Some('b'), "Deploy b"),
        first(),
    ];
    let (asked, said) = rollback(all, &["GET /apps/dusk/releases/2/rollback"], &[]);
    assert_eq!((asked, said.code), (None, Some(1)));
    assert!(said.err.contains("no earlier release with code") && said.err.contains("wharf releases"), "{}", said.err);
    // Only a release without code.
    let (asked, said) = rollback(vec![release(2, Some('a'), "Deploy a"), first()], &[], &[]);
    assert_eq!((asked, said.code), (None, Some(1)));
}

/// A release with this rollout, which was up if `up`.
fn rolled_out(version: i32, slug: char, rollout: &str, up: bool) -> Value {
    let mut release = release(version, Some(slug), "Deploy");
    release["rollout"] = json!(rollout);
    release["up_at"] = if up { json!(TIME) } else { Value::Null };
    release
}

#[test]
fn a_rollback_without_a_version_goes_to_the_last_that_was_up() {
    let all = vec![
        rolled_out(5, 'e', "failed", false),
        rolled_out(4, 'd', "failed", false),
        rolled_out(3, 'c', "superseded", false),
        rolled_out(2, 'b', "passed", true),
    ];
    let (asked, said) = rollback(all, &[], &[]);
    assert_eq!(asked.as_deref(), Some("02"), "{}", said.err);
    assert!(!said.err.to_lowercase().contains("addon"), "{}", said.err);
    // One that has failed is not what serves.
    let mut failed = rolled_out(6, 'f', "failed", false);
    failed["status"] = json!("failed");
    failed["failed_dyno"] = json!("web.1");
    let mut serving = rolled_out(5, 'e', "passed", true);
    serving["current"] = json!(true);
    let (asked, said) = rollback(vec![failed, serving, rolled_out(2, 'b', "passed", true)], &[], &[]);
    assert_eq!((asked, said.code), (None, Some(1)));
    assert!(said.err.contains("v6 has failed, and v5 serves: there is nothing to undo"), "{}", said.err);
}

#[test]
fn waiting_for_a_release_ends_with_its_outcome() {
    let home = Home::new();
    let mut failed = rolled_out(3, 'c', "failed", false);
    failed["failed_dyno"] = json!("web.1");
    failed["error"] = json!("Process exited with status 3");
    let platform = Platform::start(vec![
        ("GET /apps/dusk/releases/2", 200, rolled_out(2, 'b', "passed", true)),
        ("GET /apps/dusk/releases/3", 200, failed),
        ("GET /apps/dusk/releases/4", 200, rolled_out(4, 'd', "watching", true)),
    ]);
    let said = at(&home, &platform, &["releases:wait", "v2"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), "Waiting for v2 of ⬢ dusk... done, v2 is up\n"));
    let said = at(&home, &platform, &["releases:wait", "v3"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("v3 failed: web.1: Process exited with status 3"), "{}", said.err);
    assert_eq!(at(&home, &platform, &["releases:wait", "v4", "--up"]).code, Some(0));
    let said = at(&home, &platform, &["releases:wait", "v4", "--timeout", "0"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("v4 is not up after 0 seconds"), "{}", said.err);
}

#[test]
fn a_rollback_to_a_named_release_without_code_warns() {
    let all = vec![release(2, Some('a'), "Deploy a"), release(1, None, "Initial release")];
    let (asked, said) = rollback(all, &[], &["v1"]);
    assert_eq!((asked.as_deref(), said.code), (Some("01"), Some(0)));
    assert!(said.err.contains("Warning: v1 has no code, so all dynos will stop."), "{}", said.err);
}

#[test]
fn a_release_that_waits_for_its_release_phase_is_reported() {
    let home = Home::new();
    let mut pending = release(5, Some('a'), "Set A");
    pending["status"] = json!("pending");
    let platform = Platform::start(vec![
        ("PATCH /apps/dusk/config-vars", 200, json!({ "A": "1" })),
        ("GET /apps/dusk/releases", 200, json!([pending])),
        ("GET /apps/dusk/status", 200, held()),
    ]);
    let said = at(&home, &platform, &["config:set", "A=1"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let phase =
        "The release phase of v5 is running. v5 takes effect when it succeeds: wharf releases:output v5 --app dusk";
    for words in ["done, v5\n", phase, "v6 did not stay up (web.1: Process exited with status 3)"] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
}

#[test]
fn the_release_phase_that_runs_is_cancelled() {
    let home = Home::new();
    let pending = |version| {
        let mut release = release(version, Some('a'), "Set A");
        release["status"] = json!("pending");
        release
    };
    let mut cancelled = pending(5);
    cancelled["status"] = json!("failed");
    cancelled["error"] = json!("cancelled by a@b.c");
    cancelled["cancelled"] = json!(true);
    let cancel = |version: i32| format!("POST /apps/dusk/releases/{}{version:02}/actions/cancel", &ID[..34]);
    let (fifth, sixth): (&str, &str) = (cancel(5).leak(), cancel(6).leak());
    let platform = Platform::start(vec![
        (fifth, 200, cancelled.clone()),
        (sixth, 200, pending(6)),
        ("GET /apps/dusk/releases/6", 200, pending(6)),
        ("GET /apps/dusk/releases", 200, releases(vec![pending(6), pending(5), release(4, Some('a'), "Deploy a")])),
    ]);
    let said = at(&home, &platform, &["releases:cancel"]);
    assert_eq!((said.code, platform.changes()), (Some(0), vec![fifth.to_owned()]), "{}", said.err);
    assert!(said.err.contains("Cancelling the release phase of v5 of ⬢ dusk... done"), "{}", said.err);
    let said = at(&home, &platform, &["releases:cancel", "v6"]);
    assert_eq!((said.code, platform.changes()), (Some(0), vec![sixth.to_owned()]), "{}", said.err);

    let platform = Platform::start(vec![("GET /apps/dusk/releases", 200, json!([cancelled]))]);
    let said = at(&home, &platform, &["releases:cancel"]);
    assert_eq!((said.code, platform.changes()), (Some(1), vec![]));
    assert!(said.err.contains("dusk does not have a running or queued release phase."), "{}", said.err);
    let said = at(&home, &platform, &["releases"]);
    assert!(said.out.contains("release phase cancelled"), "{}", said.out);
}

#[test]
fn the_build_cache_is_emptied() {
    let home = Home::new();
    let platform = Platform::start(vec![("DELETE /apps/dusk/build-cache", 200, json!({}))]);
    for command in ["builds:cache:purge", "cache:purge"] {
        let said = at(&home, &platform, &[command]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.err.contains("Emptying the build cache of ⬢ dusk... done"), "{}", said.err);
    }
    assert_eq!(platform.changes(), ["DELETE /apps/dusk/build-cache"; 2]);
}

#[test]
fn a_held_release_is_reported_with_dynos() {
    let home = Home::new();
    let platform = Platform::start(vec![
        ("GET /apps/dusk/status", 200, held()),
        ("GET /apps/dusk/dynos", 200, json!([dyno("web.1")])),
        ("DELETE /apps/dusk/dynos", 202, json!({})),
        ("GET /apps/dusk", 200, app()),
        ("GET /apps/dusk/formation", 200, json!([formation("release", 0), formation("web", 1)])),
        ("GET /apps/dusk/collaborators", 200, json!([])),
    ]);
    let sentence =
        "v6 did not stay up (web.1: Process exited with status 3). v4 serves, so there is nothing to roll back.";
    for command in ["ps", "info"] {
        let said = at(&home, &platform, &[command]);
        assert!(said.out.contains(sentence), "{command}: {}{}", said.out, said.err);
        assert!(!said.out.contains("release:"), "{}", said.out);
    }
    let said = at(&home, &platform, &["ps:restart"]);
    assert!(said.err.contains(sentence), "{}", said.err);
    assert_eq!(platform.changes(), ["DELETE /apps/dusk/dynos"]);
}

#[test]
fn what_is_not_there_is_not_changed() {
    let home = Home::new();
    let platform = Platform::start(vec![
        ("GET /apps/dusk/dynos", 200, json!([])),
        ("GET /apps/dusk/config-vars", 200, json!({ "A": "1" })),
        ("PATCH /apps/dusk/config-vars", 200, json!({})),
        ("GET /apps/dusk/releases", 200, json!([release(5, None, "Remove A")])),
    ]);
    let said = at(&home, &platform, &["ps:restart"]);
    assert!(said.err.contains("There are no dynos on ⬢ dusk"), "{}", said.err);
    let said = at(&home, &platform, &["config:unset", "NOPE"]);
    assert_eq!(said.err, "NOPE is not set on ⬢ dusk.\nNothing was changed.\n");
    assert_eq!((said.code, platform.changes()), (Some(0), vec![]));
    let said = at(&home, &platform, &["config:unset", "NOPE", "A"]);
    assert!(said.err.contains("NOPE is not set") && said.err.contains("Unsetting A and"), "{}", said.err);
    assert_eq!(platform.changes(), [r#"PATCH /apps/dusk/config-vars {"A":null}"#]);
}

#[test]
fn what_is_missing_is_named() {
    let home = Home::new();
    let missing = json!({ "id": "not_found", "resource": "release", "message": "Couldn't find that release." });
    let platform = Platform::start(vec![("GET /apps/dusk/releases/99", 404, missing)]);
    let said = at(&home, &platform, &["ps"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.contains("Couldn't find that app (dusk).") && said.err.contains("See: wharf apps\n"),
        "{}",
        said.err
    );
    let said = at(&home, &platform, &["releases:info", "v99"]);
    assert!(said.err.contains("Couldn't find that release (v99)."), "{}", said.err);
    assert!(said.err.contains("See: wharf releases --app dusk"), "{}", said.err);
}

#[test]
fn a_remote_that_is_there_stays_when_an_app_is_made() {
    let home = Home::new();
    let platform = Platform::start(vec![("POST /apps", 201, app())]);
    home.log_in(&platform.url, "x");
    let git = |args: &[&str]| crate::run(home.command("git").args(args)).out;
    git(&["init", "-q"]);
    let said = home.wharf(&["create", "dusk"]);
    assert!(said.err.contains("Git remote wharf added"), "{}", said.err);
    git(&["remote", "set-url", "wharf", "https://example.com/other.git"]);
    let said = home.wharf(&["create", "dusk"]);
    assert_eq!(said.code, Some(0));
    assert!(said.err.contains("The git remote wharf already exists and was not changed."), "{}", said.err);
    assert!(said.err.contains("run: wharf git:remote --app dusk\n"), "{}", said.err);
    assert_eq!(git(&["remote", "get-url", "wharf"]), "https://example.com/other.git\n");
}

#[test]
fn buildpacks_are_added_once_and_at_a_place_that_is_there() {
    let home = Home::new();
    let list =
        json!([{ "ordinal": 0, "buildpack": { "url": "urn:buildpack:heroku/nodejs", "name": "heroku/nodejs" } }]);
    let path = "GET /apps/dusk/buildpack-installations";
    let platform = Platform::start(vec![(path, 200, list)]);
    for (args, sentence) in [
        (&["buildpacks:add", "heroku/python", "-i", "5"][..], "Invalid index. Your app has 1 buildpack"),
        (&["buildpacks:add", "heroku/nodejs"], "The buildpack heroku/nodejs is already set on your app."),
        (&["buildpacks:set", "heroku/nodejs", "-i", "2"], "The buildpack heroku/nodejs is already set on your app."),
    ] {
        let said = at(&home, &platform, args);
        assert_eq!(said.code, Some(1), "{args:?}");
        assert!(said.err.contains(sentence), "{}", said.err);
    }
    assert!(platform.changes().is_empty());
}

#[test]
fn a_login_without_a_token_says_where_to_get_one() {
    let home = Home::new();
    let platform = Platform::start(vec![]);
    let said = home.wharf(&["login", &platform.url, "--token", "-"]);
    assert_eq!(said.code, Some(1));
    for words in ["No token was given.", "wharf login\n", "--token -"] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    let said = home.wharf(&["login", &platform.url, "--data", "/nonexist"]);
    let sentence = "/nonexist/admin-token does not exist. wharfd up --data /nonexist creates it.\n";
    assert!(said.err.ends_with(sentence), "{}", said.err);
}

#[test]
fn a_dotenv_file_is_imported_in_one_release_and_exported() {
    let home = Home::new();
    let vars = json!({ "A": "1", "B": "two words", "C": "kept" });
    let platform = Platform::start(vec![
        ("PATCH /apps/dusk/config-vars", 200, vars.clone()),
        ("GET /apps/dusk/config-vars", 200, vars),
        ("GET /apps/dusk/releases", 200, json!([release(5, Some('a'), "Set A, B")])),
    ]);
    std::fs::write(home.0.join(".env"), "# local\nexport A=1\nB=\"two words\" \n").unwrap();
    let said = at(&home, &platform, &["config:import"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "A\nB\n"), "{}", said.err);
    assert!(said.err.contains("Setting 2 config vars and restarting ⬢ dusk... done, v5"), "{}", said.err);
    assert_eq!(platform.changes(), [r#"PATCH /apps/dusk/config-vars {"A":"1","B":"two words"}"#]);

    let said = at(&home, &platform, &["config:export"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "A=1\nB=\"two words\"\nC=kept\n"), "{}", said.err);

    std::fs::write(home.0.join("broken"), "A=1\nnonsense\n").unwrap();
    for (file, words) in [("broken", "Line 2 does not contain ="), ("none", "read none")] {
        let said = at(&home, &platform, &["config:import", file]);
        assert_eq!(said.code, Some(1));
        assert!(said.err.contains(words), "{}", said.err);
    }
    let said = at(&home, &platform, &["config:edit"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("wharf config:import FILE"), "{}", said.err);
    assert!(platform.changes().is_empty());
    assert!(home.wharf(&["help", "config:set"]).out.contains("wharf config:import [FILE]"));
}

#[test]
fn a_detached_command_says_where_its_output_is() {
    let home = Home::new();
    let platform = Platform::start(vec![("POST /apps/dusk/dynos", 201, dyno("run.1234"))]);
    let said = at(&home, &platform, &["run:detached", "-s", "2x", "-e", "A=1;B=2", "rake", "a b"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("wharf logs --app dusk --dyno run.1234"), "{}", said.out);
    let asked = platform.changes().remove(0);
    for part in [r#""command":"rake 'a b'""#, r#""size":"2x""#, r#""A":"1""#, r#""B":"2""#] {
        assert!(asked.contains(part), "{asked}");
    }
    let said = at(&home, &platform, &["run:detached", "ls", "-e", "A"]);
    assert!(said.code == Some(1) && said.err.contains("KEY=VALUE"), "{}", said.err);
}

#[test]
fn a_terminal_that_cannot_be_opened_says_why() {
    let home = Home::new();
    let mut run = dyno("run.1234");
    run["terminal_path"] = json!("/terminals/secret");
    let gone = json!({ "id": "not_found", "resource": "terminal", "message": "This terminal has expired." });
    let answers = vec![("POST /apps/dusk/dynos", 201, run), ("GET /terminals/secret", 404, gone)];
    let platform = Platform::start(answers);
    let said = at(&home, &platform, &["run", "ls"]);
    assert!(said.code == Some(2) && said.err.contains("This terminal has expired."), "{}", said.err);
    // Without a terminal here, there is none on the other side.
    assert!(platform.changes()[0].contains(r#""force_no_tty":true"#));
}
