//! A hostile tenant: attacks by somebody with or without an account, by target.
//!
//! One file for each target. Attacks on the kernel's side of a dyno are in the tests of `dyno`,
//! those on archives in the tests of `builder`, those on HTTP itself in the tests of `router`.

mod answers;
mod audit_log;
mod changes;
mod connections;
mod database;
mod ended_rights;
mod files;
mod fuzz;
mod identity;
mod logs;
mod machine;
mod memory;
mod names;
mod other_apps;
mod outside;
mod release_phases;
mod repositories;
mod rights;
mod rows;
mod secrets;
mod strays;
mod supervisor;
mod teams;
mod uploads;
