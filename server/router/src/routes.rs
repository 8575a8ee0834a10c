//! The routing table as the server sends it.

use std::net::SocketAddr;

use api::ids::AppId;
use serde::{Deserialize, Serialize};

/// The destination of every host. Always sent as a whole, so that it cannot get out of sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// Chosen by the sender and returned by `GET /routes`; the router does not compare it.
    pub version: u64,
    /// Hosts of the platform itself. The first one is the domain in git remotes.
    pub platform_hosts: Vec<String>,
    /// An app called `x` is at `x.<apps_domain>`.
    pub apps_domain: String,
    /// All apps, including those without dynos.
    pub apps: Vec<AppRoute>,
}

/// An app, its hosts and the dynos that serve it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRoute {
    /// The prefix of its request lines.
    pub app_id: AppId,
    /// Its name, the first label of its own host.
    pub name: String,
    /// Hosts besides `<name>.<apps_domain>`.
    pub hosts: Vec<String>,
    /// Its response without dynos.
    pub state: AppState,
    /// Dynos that get requests. If there are any, they get them in every state except maintenance and blank.
    pub dynos: Vec<Backend>,
    /// Dynos that get a request only if all the others have refused the connection: those of the release before, while
    /// it is to be seen whether the new ones stay up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standby: Vec<Backend>,
}

/// The response when no dyno can get a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppState {
    /// Never deployed: H81, the welcome page.
    Blank,
    /// Maintenance mode: H80, regardless of dynos.
    Maintenance,
    /// Scaled to 0: H14.
    NoWeb,
    /// Every dyno crashed: H10.
    Crashed,
    /// Dynos are starting: requests wait, then H20.
    Booting,
    /// Running; without dynos, requests wait as if it were starting.
    Up,
}

/// A dyno that gets requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// `web.1`
    pub dyno: String,
    /// Its address.
    pub addr: SocketAddr,
}
