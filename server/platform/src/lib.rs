//! Apps and what runs of them: the operations, and the reconciliation of actual with desired state.
//!
//! Routes decide and record; jobs and reconcilers execute. Two files are the index: `routes` has the routes, `start` the
//! jobs and the reconcilers.
//!
//! **Invariant:** a route writes desired state, never actual state. Only jobs and reconcilers call engines.

mod app_destruction;
pub mod app_refs;
mod app_transfers;
mod app_users;
pub mod apps;
mod collaborators;
mod config;
pub mod config_layers;
pub mod config_values;
pub mod config_vars;
pub mod destroy;
pub mod dyno_metadata;
pub mod dynos;
mod features;
pub mod formation;
pub mod ingest;
mod jobs;
mod leftovers;
pub mod log_lines;
mod log_readers;
mod log_writer;
pub mod outputs;
mod platform;
pub mod platform_info;
pub mod queues;
mod released;
pub mod releases;
mod retention;
mod routes;
pub mod running;
mod schedules;
pub mod slug_files;
pub mod slugs;
pub mod stacks;
mod start;
mod strays;
mod team_apps;
pub mod usages;
pub mod work;
#[cfg(feature = "testing")]
pub mod testing {
    //! For tests: the jobs by name, to run and crash them, and functions that occupy shared resources.
    use chrono::{DateTime, Utc};

    use crate::Platform;
    pub use crate::{
        destroy::Destroy, ingest::hold_reading, log_lines::take_glances, releases::Run as RunRelease,
        retention::Retain, slugs::Unpack as UnpackSlug,
    };

    /// Removes the leftovers of apps as at the time `now`.
    pub async fn sweep_leftovers(platform: &Platform, now: DateTime<Utc>) -> anyhow::Result<Vec<String>> {
        crate::leftovers::sweep(platform, now).await
    }
}

pub use crate::{
    config::{Config, Rendezvous},
    platform::Platform,
    routes::routes,
};
