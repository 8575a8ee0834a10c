//! Accounts and permissions: sign-in, sessions, tokens, teams, quotas.
//!
//! Nothing here knows about builds, releases or dynos. An app is known as the subject of permissions.

mod access;
pub mod accounts;
mod actor;
mod admissions;
pub mod authorizations;
mod changes;
mod cookie_guard;
pub mod events;
mod handle;
mod identities;
mod identity_providers;
mod in_progress;
pub mod invitation_policy;
pub mod mails;
pub mod next_steps;
mod oauth_clients;
mod owned;
mod passwords;
pub mod payers;
pub mod quotas;
mod rate_limits;
mod request;
mod retention;
pub mod rights;
mod routes;
pub mod row_limits;
pub mod scopes;
mod service_accounts;
mod session_cookies;
mod sessions;
mod sign_in;
mod sign_in_links;
mod sign_in_ways;
pub mod signed_urls;
mod subjects;
pub mod team_invitations;
pub mod team_members;
pub mod teams;
mod urls;
pub mod watch;

pub use base::credential::Credential;

pub use crate::{
    access::{App, InTeam, Team, app_for, still_may},
    actor::{Actor, Visit, credential_exists, credential_time_left},
    cookie_guard::{CookieCheck, CookieGuard},
    handle::Identity,
    owned::{Checked, Owned},
    retention::forget_old,
    rights::{Can, Owner, Rights, Role, RoleRights, seeing},
    routes::{open_routes, routes, with_sessions},
};
