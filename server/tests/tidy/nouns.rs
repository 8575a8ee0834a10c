//! The nouns that pages of the console depend on.

use std::collections::BTreeSet;

use crate::{is_of_console, none, sources};

/// Changes of jobs are not followed by the audit log.
const OTHERS: [&str; 2] = ["job", "*"];

/// The string literals in a piece of code.
fn literals(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter(|line| !line.starts_with("//")).flat_map(|line| line.split('"').skip(1).step_by(2))
}

/// The nouns in the arguments of calls of `refetched` and `paged`: they precede the closures.
fn of_calls(code: &str) -> impl Iterator<Item = &str> {
    let calls = ["refetched(", "paged("].into_iter().flat_map(|call| code.split(call).skip(1));
    let lists = calls.filter_map(|rest| rest.split('|').next()?.split_once("&[")?.1.split(']').next());
    lists.flat_map(literals)
}

/// A noun without an action in the audit log would never cause a page to be refetched.
#[test]
fn pages_depend_on_nouns_that_exist() {
    let all = sources();
    let server = all.iter().filter(|(file, _)| file.starts_with("server/") && file.contains("/src/"));
    let actions = server.flat_map(|(_, code)| literals(code)).filter_map(|text| text.split_once('.'));
    let nouns = actions.map(|(noun, _)| noun).collect::<BTreeSet<_>>();
    let mut found = Vec::new();
    for (file, code) in all.iter().filter(|(file, _)| is_of_console(file)) {
        let listed = literals(code).filter(|_| file.ends_with("/nouns.rs"));
        found.extend(of_calls(code).chain(listed).map(|noun| (noun, file)));
    }
    assert!(found.len() > 40, "only {} nouns were found", found.len());
    let unknown = found.iter().filter(|(noun, _)| !nouns.contains(noun) && !OTHERS.contains(noun));
    none("No action of the audit log has these nouns", unknown.map(|(noun, file)| format!("{file}: {noun}")).collect());
}
