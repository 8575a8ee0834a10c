//! `quotas`: its output, and its requests to the platform.

use serde_json::{Value, json};

use crate::{Home, platform::Platform};

fn quota(name: &str, used: i64, most: Option<i64>, is_own: bool) -> Value {
    json!({ "name": name, "description": "of all", "most": most, "used": used, "is_own": is_own })
}

fn asked(answers: Vec<(&'static str, u16, Value)>, args: &[&str]) -> (crate::Said, Vec<String>) {
    let (home, platform) = (Home::new(), Platform::start(answers));
    home.log_in(&platform.url, "x");
    (home.wharf(args), platform.heard())
}

#[test]
fn quotas_are_shown_in_units_of_people() {
    let all = json!([
        quota("apps", 3, Some(100), false),
        quota("memory_mb", 512, Some(2048), true),
        quota("dynos", 1, None, false)
    ]);
    let (said, heard) = asked(vec![("GET /users/~/quotas", 200, all)], &["quotas"]);
    assert_eq!((said.code, heard), (Some(0), vec!["GET /users/~/quotas".to_owned()]));
    let lines: Vec<Vec<&str>> =
        said.out.lines().map(|line| line.split("  ").filter(|w| !w.is_empty()).map(str::trim).collect()).collect();
    assert_eq!(lines[1], ["apps", "3", "100", "of all"]);
    assert_eq!(lines[2], ["memory_mb", "512 MB", "2.0 GB", "custom", "of all"]);
    assert_eq!(lines[3], ["dynos", "1", "no limit", "of all"]);
}

#[test]
fn quotas_are_set_for_whom_one_says() {
    let now = || json!([quota("apps", 0, Some(20), true), quota("dynos", 0, Some(200), false)]);
    for (whose, path) in [
        (&["--team", "crew"][..], "PATCH /teams/crew/quotas"),
        (&["--user", "ada@acme.test"], "PATCH /users/ada%40acme.test/quotas"),
        (&["--default"], "PATCH /quotas"),
    ] {
        let args = [&["quotas:set", "apps=20", "memory_mb=8GB"], whose].concat();
        let (said, heard) = asked(vec![(path, 200, now())], &args);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert_eq!(heard, [format!(r#"{path} {{"apps":20,"memory_mb":8192}}"#)]);
        // What was not changed is not shown.
        assert!(said.out.contains("apps") && !said.out.contains("dynos"), "{}", said.out);
    }
    let (said, heard) = asked(vec![("PATCH /quotas", 200, now())], &["quotas:unset", "apps", "--default"]);
    assert_eq!((said.code, heard), (Some(0), vec![r#"PATCH /quotas {"apps":null}"#.to_owned()]));
}

#[test]
fn invalid_arguments_are_rejected_before_any_request() {
    for (args, why) in [
        (&["quotas:set", "apps=20"][..], "--team TEAM"),
        (&["quotas:set", "apps=many", "--default"], "whole number"),
        (&["quotas:set", "apps", "--default"], "NAME=VALUE"),
        (&["quotas:unset", "apps=1", "--default"], "names only"),
        (&["quotas", "--team", "a", "--user", "b"], "cannot be used with"),
    ] {
        let (said, heard) = asked(vec![], args);
        assert_eq!((said.code, heard), (Some(1), Vec::new()), "{args:?}");
        assert!(said.err.contains(why), "{}", said.err);
    }
}
