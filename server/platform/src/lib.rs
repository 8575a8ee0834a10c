//! Apps and everything that they consist of: the operations, and the reconciliation of actual with desired state.
//!
//! Routes decide and record; jobs and reconcilers execute. Two files are the index: `routes` has the routes, `start` the
//! jobs and the reconcilers.
//!
//! **Invariant:** a route writes desired state, never actual state. Only jobs and reconcilers call engines.

mod addresses;
mod app_destruction;
pub mod app_refs;
mod app_transfers;
mod app_users;
pub mod apps;
mod buildpack_installations;
pub mod builds;
mod collaborators;
mod config;
pub mod config_layers;
pub mod config_values;
pub mod config_vars;
pub mod dynos;
mod features;
pub mod formation;
mod git;
mod housekeeping;
mod ingest;
mod jobs;
mod leftovers;
pub mod log_lines;
mod log_readers;
mod log_writer;
pub mod outputs;
mod platform;
pub mod platform_info;
mod queues;
pub mod releases;
mod retention;
mod routes;
mod running;
mod samples;
mod schedules;
mod slug_files;
mod slugs;
mod sources;
mod stacks;
mod start;
mod strays;
mod team_apps;
mod uploads;
pub mod usages;
mod work;
#[cfg(feature = "testing")]
pub mod testing {
    //! The jobs by name, for tests that run and crash them; and what others take of the machine.
    pub use repositories::GitLimits;

    pub use crate::{
        app_destruction::Destroy, builds::Run as RunBuild, housekeeping::Clean, ingest::hold_reading,
        log_lines::take_glances, releases::Run as RunRelease, retention::Retain, slugs::Unpack as UnpackSlug,
    };
}

pub use repositories::GitLimits;

pub use crate::{
    config::Config,
    platform::Platform,
    routes::{open_routes, routes},
};

/// The list of errands for [`worker::main`].
pub fn errands() -> worker::Errands {
    builds::errands(builder::errands(repositories::errands(worker::Errands::default())))
}
