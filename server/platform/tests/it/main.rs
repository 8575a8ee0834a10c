//! The rules, through the API: a real database, a real router, fake dynos.
//!
//! Every test creates its own world. A `WARN` or `ERROR` that a test does not expect fails it.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod accounts;
mod apps;
mod authorizations;
mod backups;
mod builds;
mod bus;
mod config_vars;
mod draining;
mod dynos;
mod events;
mod formation;
mod hostile_tenant;
mod jobs;
mod links;
mod lists;
mod live;
mod log_drains;
mod log_sessions;
mod mails;
mod matrix;
mod oauth_clients;
mod one_offs;
mod passwords;
mod permissions;
mod provider;
mod releases;
mod retention;
mod rollouts;
mod runtimes;
mod samples;
mod schedules;
mod sessions;
mod sign_in;
mod stacks;
mod streams;
mod teams;
mod traces;
mod wire;
mod world;

worker::worker_before_main!(::builds::tasks);
