//! The rules: what may be asked, what it does, and what is kept true meanwhile.
//!
//! Routes decide and remember; jobs and reconcilers carry out. Three lists say what there is:
//! [`api_router`] the routes, `start_worker` the jobs, `start_reconcilers` the reconcilers.
//!
//! **Invariant:** a route writes wishes, never the world. Only jobs and reconcilers touch engines.

mod addresses;
mod app_destruction;
mod app_refs;
mod app_transfers;
mod app_users;
mod apps;
mod buildpack_installations;
mod builds;
mod collaborators;
mod config;
mod config_values;
mod config_vars;
mod dynos;
mod features;
mod formation;
pub mod git;
mod housekeeping;
mod ingest;
mod jobs;
mod leftovers;
mod live;
mod log_drains;
mod log_lines;
mod log_readers;
mod log_sessions;
mod metrics;
mod outputs;
mod platform;
mod platform_info;
mod queues;
mod releases;
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
mod statuses;
mod strays;
mod team_apps;
mod unread;
mod uploads;
mod usages;
mod work;
#[cfg(feature = "testing")]
pub mod testing {
    //! The jobs by name, for tests that run and crash them; and what others take of the machine.
    pub use crate::{
        app_destruction::Destroy, builds::Run as RunBuild, housekeeping::Clean, log_lines::take_glances,
        releases::Run as RunRelease, retention::Retain, slugs::Unpack as UnpackSlug,
    };
}

pub use crate::{
    config::Config,
    git::GitLimits,
    platform::Platform,
    routes::{api_router, route_list},
};

/// What workers can be sent on: the list for [`worker::main`].
pub fn errands() -> worker::Errands {
    builds::errands(builder::errands(git::errands(worker::Errands::default())))
}
