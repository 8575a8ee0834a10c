//! The rules: what may be asked, what it does, and what is kept true meanwhile.
//!
//! Routes decide and remember; jobs and reconcilers carry out. Three lists say what there is:
//! [`api_router`] the routes, `start_worker` the jobs, `start_reconcilers` the reconcilers.
//!
//! **Invariant:** a route writes wishes, never the world. Only jobs and reconcilers touch engines.

mod accounts;
mod actor;
mod addresses;
mod app_transfers;
mod app_users;
mod apps;
mod authorizations;
mod bounds;
mod buildpack_installations;
mod builds;
mod change;
mod collaborators;
mod config;
mod config_vars;
mod dynos;
mod error;
mod events;
mod features;
mod formation;
pub mod git;
mod identities;
mod identity_providers;
mod ingest;
mod invitation_policy;
mod leftovers;
mod live;
mod log_drains;
mod log_lines;
mod log_sessions;
mod metrics;
mod oauth_clients;
mod outputs;
mod pages;
mod passwords;
mod payers;
mod places;
mod planted;
mod platform;
mod queues;
mod quotas;
mod rate_limits;
mod recent;
mod releases;
mod rights;
mod routes;
mod samples;
mod scopes;
mod secrets;
mod service_accounts;
mod sessions;
mod sign_in;
mod sign_in_links;
mod slug_files;
mod slugs;
mod sources;
mod stacks;
mod statuses;
mod strays;
mod team_invitations;
mod team_members;
mod teams;
mod unread;
mod uploads;
mod watch;
#[cfg(feature = "testing")]
pub mod testing {
    //! The jobs by name, for tests that run and crash them; and what others take of the machine.
    pub use crate::{
        apps::Destroy, builds::Run as RunBuild, log_lines::take_glances, releases::Run as RunRelease,
        slugs::Unpack as UnpackSlug,
    };
}
mod web;

pub use outbound::Network;

pub use crate::{
    actor::{Actor, Credential, Visit},
    config::Config,
    error::Error,
    git::GitLimits,
    planted::{CookieGuard, Precaution},
    platform::Platform,
    rights::{Can, Rights, Role},
    routes::{api_router, route_list},
    scopes::{Needs, Route},
};

/// What workers can be sent on: the list for [`worker::main`].
pub fn errands() -> worker::Errands {
    builds::errands(builder::errands(git::errands(worker::Errands::default())))
}
