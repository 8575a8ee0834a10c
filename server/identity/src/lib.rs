//! Who asks, and what they may: accounts, ways in, sessions, tokens, teams, rights.
//!
//! Nothing here knows of builds, releases or dynos. An app is known as what rights are about.

mod access;
pub mod accounts;
mod actor;
pub mod authorizations;
pub mod events;
mod handle;
mod identities;
mod identity_providers;
pub mod invitation_policy;
mod oauth_clients;
mod passwords;
pub mod payers;
mod planted;
pub mod quotas;
mod rate_limits;
mod request;
mod retention;
pub mod rights;
mod routes;
pub mod scopes;
mod service_accounts;
mod session_cookies;
mod sessions;
mod sign_in;
mod sign_in_links;
pub mod team_invitations;
pub mod team_members;
pub mod teams;
pub mod watch;

pub use base::credential::Credential;

pub use crate::{
    access::{App, InTeam, Team, app_for, still_may},
    actor::{Actor, Visit, credential_exists, credential_lasts},
    handle::Identity,
    planted::{CookieGuard, Precaution},
    retention::forget_old,
    rights::{Can, Rights, Role},
    routes::{open_routes, routes, with_sessions},
};
