//! Runs every query at least once against a real database.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod connections;
#[path = "base"]
mod of_base {
    mod bus;
    mod events;
    mod pages;
    mod servers;
    mod text;
}
#[path = "identity"]
mod of_identity {
    mod accounts;
    mod authorizations;
    mod identities;
    mod mails;
    mod oauth_clients;
    mod passwords;
    mod payers;
    mod quotas;
    mod row_limits;
    mod sessions;
    mod teams;
}
#[path = "platform"]
mod of_platform {
    mod app_transfers;
    mod apps;
    mod collaborators;
    mod config_vars;
    mod dynos;
    mod formation;
    mod jobs;
    mod queues;
    mod releases;
    mod rollouts;
    mod slugs;
}
#[path = "builds"]
mod of_builds {
    mod addresses;
    mod builds;
    mod sources;
    mod uploads;
}
#[path = "oneoffs"]
mod of_oneoffs {
    mod one_offs;
}
#[path = "observe"]
mod of_observe {
    mod log_drains;
    mod log_sessions;
}
#[path = "recovery"]
mod of_recovery {
    mod backups;
}
mod world;

/// The text of all files below a folder.
fn read(folder: &std::path::Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { read(&path) } else { std::fs::read_to_string(path).unwrap() }).collect()
}

/// A query that no test runs may contain a typo.
#[test]
fn every_query_is_run() {
    let of_crate = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (source, tests) = (read(&of_crate.join("src")), read(&of_crate.join("tests/it")));
    let names = source.split("pub async fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
    let elsewhere = ["open", "migrate", "database", "pool"];
    let missing: Vec<&str> = names.filter(|n| !elsewhere.contains(n) && !tests.contains(&format!("{n}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
