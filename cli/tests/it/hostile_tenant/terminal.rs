//! The reader's terminal: untrusted text must not control it.

use serde_json::{Value, json};

use crate::{
    Home, Said,
    platform::{ID, Platform, TIME, release},
};

/// A title, a cleared screen, the clipboard, a link, hidden text, reordering; each by a different escape
/// sequence.
const HOSTILE: &str = "a\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}]52;c;cm0=\u{1b}\\\u{1b}]8;;http://evil.test\u{1b}\\\u{1b}[8mb\u{9b}2J\r\u{202e}c";

/// The remaining control characters, except colours.
fn steering(text: &str) -> Vec<char> {
    let is_colour = |rest: &str| {
        let codes = rest.strip_prefix("\u{1b}[").unwrap_or_default();
        let end = codes.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(0);
        codes[end..].starts_with('m') && !codes[..end].split(';').any(|code| code == "8")
    };
    let steers = |(at, c): &(usize, char)| match c {
        '\n' | '\t' => false,
        '\u{1b}' => !is_colour(&text[*at..]),
        c => c.is_control() || ('\u{202a}'..='\u{202e}').contains(c) || ('\u{2066}'..='\u{2069}').contains(c),
    };
    text.char_indices().filter(steers).map(|(_, c)| c).collect()
}

fn says(answers: Vec<(&'static str, u16, Value)>, args: &[&str]) -> Said {
    let (home, platform) = (Home::new(), Platform::start(answers));
    home.log_in(&platform.url, "x");
    let said = home.wharf(args);
    assert_eq!((steering(&said.out), steering(&said.err)), (vec![], vec![]), "{args:?}: {:?}{:?}", said.out, said.err);
    said
}

#[test]
fn an_error_of_the_server_is_text() {
    let refusal = json!({ "id": HOSTILE, "message": HOSTILE, "url": HOSTILE });
    let said = says(vec![("GET /apps/dusk/config-vars", 422, refusal)], &["config", "-a", "dusk"]);
    assert!(said.err.contains("␛]0;title␇␛[2J") && said.err.contains("<U+202E>c"), "{:?}", said.err);
    says(vec![("GET /apps", 500, json!(HOSTILE))], &["apps"]);
}

#[test]
fn a_commit_message_is_text_in_tables_and_alone() {
    let mut hostile = release(2, Some('a'), HOSTILE);
    hostile["user"]["email"] = json!(HOSTILE);
    let list = || vec![("GET /apps/dusk/releases", 200, json!([hostile]))];
    let said = says(list(), &["releases", "-a", "dusk"]);
    assert!(said.out.contains("title"), "{}", said.out);
    says(vec![("GET /apps/dusk/releases/2", 200, hostile.clone())], &["releases:info", "v2", "-a", "dusk"]);
}

#[test]
fn the_name_of_a_person_is_text() {
    let said = says(
        vec![(
            "GET /account",
            200,
            json!({
                "id": ID, "email": HOSTILE, "name": HOSTILE, "verified": true, "two_factor_authentication": false,
                "federated": false, "created_at": TIME, "updated_at": TIME, "last_login": null,
            }),
        )],
        &["whoami"],
    );
    assert!(said.out.contains("title"), "{said:?}");
}

#[test]
fn json_says_the_same_and_steers_nothing() {
    let list = vec![("GET /apps/dusk/releases", 200, json!([release(2, Some('a'), HOSTILE)]))];
    let said = says(list, &["releases", "-a", "dusk", "--json"]);
    let read: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(read[0]["description"], HOSTILE);
}

#[test]
fn a_piped_config_var_is_unchanged() {
    let vars = || vec![("GET /apps/dusk/config-vars", 200, json!({ "KEY": HOSTILE }))];
    let (home, platform) = (Home::new(), Platform::start(vars()));
    home.log_in(&platform.url, "x");
    assert_eq!(home.wharf(&["config:get", "KEY", "-a", "dusk"]).out, format!("{HOSTILE}\n"));
    // A shell restores the original value.
    let line = says(vars(), &["config:get", "KEY", "-s", "-a", "dusk"]).out;
    let shell = home.command("bash").args(["-c", &format!("{line}printf %s \"$KEY\"")]).output().unwrap();
    assert_eq!(String::from_utf8(shell.stdout).unwrap(), HOSTILE);
    says(vars(), &["config", "-a", "dusk"]);
}
