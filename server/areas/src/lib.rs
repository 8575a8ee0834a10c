//! The areas put together: what the server consists of, on one screen.
//!
//! An area is a crate that has its own nouns. It has a handle, which dereferences to that of the area below, and says
//! what its routes are and what it does in the background; whoever adds one adds it to the lists here.

mod unread;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, middleware, response::IntoResponse};
use base::{Error, routes::Route, web};
use builds::{Builds, Config};
use dyno::Driver;
use observe::Observe;
use platform::Platform;
use tower_http::catch_panic::CatchPanicLayer;

/// All areas, at work. Cheap to clone.
#[derive(Clone)]
pub struct Areas {
    builds: Builds,
    observe: Observe,
}

impl Areas {
    /// Starts every area: connects, brings the schema up to date, and begins to work.
    ///
    /// # Errors
    /// A sentence that says what is missing or wrong on this machine.
    pub async fn start(mut config: Config) -> anyhow::Result<Self> {
        config.platform.host.caller = Some(builds::caller(&config));
        let platform = Platform::open(config.platform.clone()).await?;
        Self::over(platform, config).await
    }

    /// As [`Areas::start`], with a driver of one's own. For tests.
    ///
    /// # Errors
    /// As there.
    pub async fn start_with(config: Config, driver: Arc<dyn Driver>) -> anyhow::Result<Self> {
        let platform = Platform::open_with(config.platform.clone(), driver).await?;
        Self::over(platform, config).await
    }

    async fn over(platform: Platform, config: Config) -> anyhow::Result<Self> {
        let builds = Builds::open(platform.clone(), config).await?;
        platform.begin_work(builds.work()?).await?;
        builds.start();
        Ok(Self { builds, observe: Observe::start(platform) })
    }

    /// The area of builds.
    pub fn builds(&self) -> &Builds {
        &self.builds
    }

    /// The area that the others are over.
    pub fn platform(&self) -> &Platform {
        self.observe.platform()
    }

    /// Stops working. With `stop_dynos`, all that runs is told to stop and has 30 seconds to do so; otherwise it goes on
    /// running, and the next start takes it up again.
    pub async fn stop(&self, stop_dynos: bool) {
        self.platform().stop(stop_dynos).await;
    }

    /// The API, the git remote, the live socket and the streams. Pages are not here.
    pub fn router(&self) -> Router {
        let platform = self.platform();
        let routes = platform::routes()
            .with_state(platform.clone())
            .merge(identity::routes().merge(identity::open_routes()).with_state(platform.identity().clone()))
            .merge(builds::routes().with_state(self.builds.clone()))
            .merge(observe::routes().with_state(self.observe.clone()))
            .limit(DefaultBodyLimit::max(4 << 20))
            .merge(builds::open_routes().with_state(self.builds.clone()));
        let router = routes
            .into_router()
            .fallback(no_route)
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn(web::around));
        identity::with_sessions(router, platform).layer(middleware::map_request(unread::until_the_end))
    }
}

/// Every route with what it needs of a token.
pub fn route_list() -> Vec<Route> {
    [
        platform::routes().list(),
        builds::routes().list(),
        builds::open_routes().list(),
        identity::routes().list(),
        identity::open_routes().list(),
        observe::routes().list(),
    ]
    .concat()
}

async fn no_route() -> Error {
    Error::not_found(
        "route",
        "The requested API endpoint was not found. Are you using the right HTTP verb (i.e. `GET` vs. `POST`), and did you specify your intended version with the `Accept` header?",
    )
}

fn panicked(panic: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    let said = panic.downcast_ref::<String>().cloned();
    let said = said.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default();
    Error::Internal(anyhow::anyhow!("panicked: {said}")).into_response()
}
