//! Code with a transaction reads through it: waiting for a second connection from the pool, while others wait for locks
//! of the first, deadlocks the server once such code holds all connections.

use super::{AREAS, begins_function, is_test, none, sources, without_tests};

/// Expressions that take a separate connection.
const OWN: [&str; 7] =
    [".db()", ".acquire()", "actor.app(", "actor.team(", "actor.watch(", "actor.change(", ".must_be_a_person("];
/// Arguments that can take one.
const HANDLES: [&str; 8] =
    ["platform", "builds", "one_offs", "base", "actor", "self.base", "self.platform", "self.builds"];

#[test]
fn who_has_a_transaction_takes_no_second_connection() {
    let mut found = Vec::new();
    for (file, text) in sources() {
        if AREAS.iter().any(|area| file.starts_with(&format!("server/{area}/src/"))) && !is_test(&file) {
            found.extend(offenders(without_tests(&text)).into_iter().map(|line| format!("{file}: {line}")));
        }
    }
    none("who has a transaction reads through it", found);
}

fn offenders(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for at in 0..lines.len() {
        if begins_transaction(lines[at]) {
            found.extend(second_connections(&block(&lines[at + 1..], indent(lines[at]))));
        } else if begins_function(lines[at]) {
            let body = block(&lines[at + 1..], indent(lines[at]) + 1);
            // The arguments may be on lines of their own.
            let head = lines[at..].iter().take_while(|line| !line.trim_start().starts_with("let ")).take(12);
            let head: Vec<&str> = head.copied().collect();
            let head = head.join(" ");
            let head = head.split(" {").next().unwrap_or_default();
            if head.contains("tx: &mut ") {
                found.extend(second_connections(&body));
            }
        }
    }
    found
}

fn begins_transaction(line: &str) -> bool {
    let begins = line.contains(".begin().await")
        || line.contains(".begin_for(") && line.contains(".await")
        || line.contains(".change(") && line.contains(".await");
    line.trim_start().starts_with("let mut ") && begins
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The lines up to the end of the transaction, or of the block that is indented by `least`.
fn block(lines: &[&str], least: usize) -> String {
    let is_over = |line: &&&str| {
        let ends = line.contains(".commit().await") || line.trim() == "drop(tx);";
        ends || !line.trim().is_empty() && indent(line) < least && !line.trim_start().starts_with([')', '-'])
    };
    lines.iter().take_while(|line| !is_over(line)).map(|line| format!("{}\n", line.trim())).collect()
}

/// Awaited expressions in there that take a connection, or get an argument that can, without the transaction.
fn second_connections(text: &str) -> Vec<String> {
    let awaited = text.split(".await").collect::<Vec<_>>();
    let awaited = &awaited[..awaited.len() - 1];
    let mut found = Vec::new();
    for call in awaited {
        let call: String = call.rsplit([';', '{', '}']).next().unwrap_or_default().split_whitespace().collect();
        let arguments: Vec<&str> = call.split(['(', ',', ')']).map(|part| part.trim_start_matches('&')).collect();
        let is_handed = HANDLES.iter().any(|handle| arguments.contains(handle));
        let is_in = ["tx", "muttx", "mut*tx", "mut**tx"].iter().any(|tx| arguments.contains(tx));
        if OWN.iter().any(|own| call.contains(own)) || is_handed && !is_in {
            found.push(call);
        }
    }
    found
}

#[test]
fn second_connections_are_found() {
    let inside = |line: &str| {
        offenders(&format!(
            "async fn f() {{\n    let mut tx = actor.change(subject).await?;\n    {line}\n    tx.commit().await?;\n    \
             store::a(platform.db()).await?;\n}}\n"
        ))
    };
    for line in [
        "let a = store::a(platform.db(), id).await?;",
        "let a = current(&platform, id).await?;",
        "let a = match b { Some(b) => of_slug(\n        &platform,\n        &actor, b).await?, None => c(&mut tx).await? };",
        "let other = actor.app(&name, Can::View).await?;",
    ] {
        assert_eq!(inside(line).len(), 1, "{line}");
    }
    for line in ["create(&platform, &mut tx, &new).await?;", "let a = actor.account.id;", "store::a(&mut *tx).await?;"]
    {
        assert_eq!(inside(line), [""; 0], "{line}");
    }
    let handed = "async fn keep(\n    platform: &Platform,\n    tx: &mut PgConnection,\n) -> Result<()> {\n    \
                  platform.files().put(a).await?;\n    store::a(platform.db()).await\n}\n";
    assert_eq!(offenders(handed).len(), 1, "{:?}", offenders(handed));
}
