//! A hostile tenant: attacks from inside a dyno, grouped by target.
//!
//! Attempts that leave the dyno alive share one: each is a statement that has to hold, and a command that succeeds if
//! it does not.

mod disk;
mod exec;
mod files;
mod host;
mod identity;
mod logs;
mod network;
mod other_apps;
mod resources;
mod slug;

use std::collections::BTreeMap;
use std::fmt::Write;

use dyno::Spec;

use crate::world::World;

/// A statement that has to hold, and a bash command that succeeds if it does not.
type Attempt = (&'static str, &'static str);

/// Runs the attempts in one dyno and fails with the statements that do not hold.
async fn all_fail(world: &World, attempts: &[Attempt]) {
    all_fail_in(world, world.spec(""), attempts).await;
}

/// Runs the attempts in the dyno of `spec`, whose command they replace.
async fn all_fail_in(world: &World, mut spec: Spec, attempts: &[Attempt]) {
    let (env, command) = prepared(attempts);
    spec.env.extend(env);
    spec.command = command;
    let (exit, lines) = world.run(&spec).await;
    assert_eq!(exit.code, Some(0), "{lines:?}");
    check(attempts, &lines);
}

/// The variables and the command with which a process prints a line for each attempt.
fn prepared(attempts: &[Attempt]) -> (BTreeMap<String, String>, String) {
    let mut env = BTreeMap::new();
    let mut script =
        String::from("attempt() { if (eval \"$1\") >/dev/null 2>&1; then echo fell; else echo held; fi; }\n");
    // If every command fails, the attempts prove nothing.
    writeln!(script, "attempt true; attempt '/usr/bin/python3 -c \"import ctypes, socket\"'").unwrap();
    for (number, (_, command)) in attempts.iter().enumerate() {
        env.insert(format!("ATTEMPT_{number}"), (*command).to_owned());
        writeln!(script, "attempt \"$ATTEMPT_{number}\"").unwrap();
    }
    env.insert("SCRIPT".to_owned(), script);
    env.insert("CALL".to_owned(), CALL.to_owned());
    (env, "eval \"$SCRIPT\"".to_owned())
}

/// Fails with the statements that do not hold, according to the lines that the attempts have printed.
fn check(attempts: &[Attempt], lines: &[String]) {
    assert_eq!(lines.len(), attempts.len() + 2, "{lines:?}");
    assert_eq!(lines[..2], ["fell", "fell"], "programs can be run: {lines:?}");
    let untrue: Vec<&str> = attempts
        .iter()
        .zip(&lines[2..])
        .filter(|(_, line)| *line != "held")
        .map(|((sentence, _), _)| *sentence)
        .collect();
    assert!(untrue.is_empty(), "this is not so any more:\n  {}", untrue.join("\n  "));
}

/// For attempts that are system calls: `python3 -c "$CALL" NUMBER ARGUMENT…` succeeds if the call does.
const CALL: &str = r#"
import ctypes, sys
words = [a.encode() if not a.lstrip("-").isdigit() else ctypes.c_long(int(a)) for a in sys.argv[1:]]
sys.exit(ctypes.CDLL(None, use_errno=True).syscall(*words) < 0)
"#;
