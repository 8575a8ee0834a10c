//! Combines the areas: everything that the server consists of, in one file.
//!
//! An area is a crate with its own nouns. It has a handle, which dereferences to that of the area below, and defines its
//! routes and its background work. A new area is added to the lists in this file.

mod unread;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, middleware, response::IntoResponse};
use base::{
    Error,
    routes::{Route, Routes},
    web,
};
use builds::{Builds, Config};
use dyno::Driver;
use observe::Observe;
use oneoffs::OneOffs;
use platform::{Platform, work::AreaWork};
use recovery::Recovery;
use tower_http::catch_panic::CatchPanicLayer;

/// All areas, running. Cheap to clone.
#[derive(Clone)]
pub struct Areas {
    builds: Builds,
    observe: Observe,
    one_offs: OneOffs,
    recovery: Recovery,
}

impl Areas {
    /// Starts every area: connects to the database, migrates the schema and starts the background work.
    ///
    /// # Errors
    /// A message that says what is missing or wrong on this machine.
    pub async fn start(mut config: Config) -> anyhow::Result<Self> {
        config.platform.host.caller = Some(builds::caller(&config));
        let platform = Platform::open(config.platform.clone()).await?;
        Self::over(platform, config).await
    }

    /// Like [`Areas::start`], with the given driver. For tests.
    ///
    /// # Errors
    /// Those of [`Areas::start`].
    pub async fn start_with(config: Config, driver: Arc<dyn Driver>) -> anyhow::Result<Self> {
        let platform = Platform::open_with(config.platform.clone(), driver).await?;
        Self::over(platform, config).await
    }

    async fn over(platform: Platform, config: Config) -> anyhow::Result<Self> {
        let builds = Builds::open(platform.clone(), config).await?;
        let one_offs = OneOffs::new(platform.clone());
        let recovery = Recovery::new(platform.clone());
        platform.begin_work(joined([builds.work()?, one_offs.work(), recovery.work()?])).await?;
        one_offs.start().await?;
        builds.start();
        Ok(Self { builds, observe: Observe::start(platform), one_offs, recovery })
    }

    /// The handle of the area `builds`.
    pub fn builds(&self) -> &Builds {
        &self.builds
    }

    /// The handle of the area `platform`, which the others build on.
    pub fn platform(&self) -> &Platform {
        self.observe.platform()
    }

    /// The handle of the area `recovery`.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Stops the background work. With `stop_dynos`, all dynos are stopped and have 30 seconds to exit; otherwise they keep
    /// running, and the next start reattaches to them.
    pub async fn stop(&self, stop_dynos: bool) {
        self.platform().stop(stop_dynos).await;
    }

    /// The API, the git remote, the live socket and the streams; not the pages of the console.
    pub fn router(&self) -> Router {
        let router = routes(Some(self))
            .into_router()
            .fallback(no_route)
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn(web::around));
        identity::with_sessions(router, self.platform()).layer(middleware::map_request(unread::until_the_end))
    }
}

/// The work of several areas.
fn joined(areas: impl IntoIterator<Item = AreaWork>) -> AreaWork {
    let mut all = AreaWork::default();
    for AreaWork { jobs, schedules, retention, files } in areas {
        all.jobs.extend(jobs);
        all.schedules.extend(schedules);
        all.retention.extend(retention);
        all.files.extend(files);
    }
    all
}

/// Every route with the token scope that it requires.
pub fn route_list() -> Vec<Route> {
    routes(None).list()
}

/// The routes of all areas. Without `areas`, they can only be listed.
fn routes(areas: Option<&Areas>) -> Routes<()> {
    let platform = areas.map(Areas::platform);
    let (builds, observe) = (areas.map(|areas| &areas.builds), areas.map(|areas| &areas.observe));
    let limit = DefaultBodyLimit::max(4 << 20);
    bind(platform::routes(), platform)
        .merge(bind(builds::routes(), builds))
        .merge(bind(oneoffs::routes(), areas.map(|areas| &areas.one_offs)))
        .merge(bind(recovery::routes(), areas.map(Areas::recovery)))
        .limit(limit)
        // Pushes and uploads have limits of their own.
        .merge(bind(builds::open_routes(), builds))
        .merge(
            bind(identity::routes().merge(identity::open_routes()), platform.map(|platform| platform.identity()))
                .merge(bind(observe::routes(), observe))
                .limit(limit),
        )
}

fn bind<S: Clone + Send + Sync + 'static>(routes: Routes<S>, state: Option<&S>) -> Routes<()> {
    match state {
        Some(state) => routes.with_state(state.clone()),
        None => routes.without_handlers(),
    }
}

async fn no_route() -> Error {
    Error::not_found(
        "route",
        "The requested API endpoint was not found. Are you using the right HTTP verb (i.e. `GET` vs. `POST`), and did you specify your intended version with the `Accept` header?",
    )
}

fn panicked(panic: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    let message = panic.downcast_ref::<String>().cloned();
    let message = message.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default();
    Error::Internal(anyhow::anyhow!("panicked: {message}")).into_response()
}
