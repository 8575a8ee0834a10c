//! From source to slug: repositories, uploads, buildpacks, builds and their queue.
//!
//! A push, an uploaded archive or a sample becomes a build, and a build a slug and a release. The rest is in
//! `platform`, which stores and unpacks slugs, creates releases and runs dynos, and does not depend on this area.

mod addresses;
mod buildpack_installations;
mod builds;
mod config;
mod download;
mod git;
mod handle;
mod housekeeping;
mod leftovers;
mod release_changes;
mod routes;
mod runtimes;
mod samples;
mod slugs;
mod sources;
mod start;
mod submodules;
mod uploads;
#[cfg(feature = "testing")]
pub mod testing {
    //! The jobs by name, for tests that run and crash them, and the runtimes.
    pub use crate::{builds::Run as RunBuild, housekeeping::Clean};

    /// What supplies builds with runtimes.
    pub fn supplier(builds: &crate::Builds) -> std::sync::Arc<dyn builder::Supply> {
        std::sync::Arc::new(crate::runtimes::Supplier(builds.clone()))
    }
}

pub use repositories::GitLimits;

pub use crate::{
    builds::{shown, shown_to},
    config::Config,
    download::caller,
    handle::Builds,
    routes::{open_routes, routes},
};

/// The list of tasks for [`worker::main`].
pub fn tasks() -> worker::Tasks {
    builder::tasks(repositories::tasks(worker::Tasks::default()))
        .with::<download::Download>()
        .with::<submodules::Fetch>()
}
