//! Runs every query at least once against a real database.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod accounts;
mod addresses;
mod app_transfers;
mod apps;
mod authorizations;
mod builds;
mod bus;
mod collaborators;
mod config_vars;
mod connections;
mod dynos;
mod events;
mod formation;
mod identities;
mod jobs;
mod log_drains;
mod log_sessions;
mod oauth_clients;
mod pages;
mod passwords;
mod payers;
mod queues;
mod quotas;
mod releases;
mod row_limits;
mod sessions;
mod slugs;
mod sources;
mod teams;
mod text;
mod uploads;
mod world;

/// A query that no test runs may contain a typo.
#[test]
fn every_query_is_run() {
    let read = |folder: &str| {
        let files = std::fs::read_dir(format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        files.map(|f| std::fs::read_to_string(f.unwrap().path()).unwrap_or_default()).collect::<String>()
    };
    let (source, tests) = (read("src"), read("tests/it"));
    let names = source.split("pub async fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
    let elsewhere = ["open", "migrate", "database", "pool"];
    let missing: Vec<&str> = names.filter(|n| !elsewhere.contains(n) && !tests.contains(&format!("{n}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
