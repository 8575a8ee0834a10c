//! What every area needs: the database, changes and the audit log, secrets, errors, lists, routes.
//!
//! Nothing here has rules about apps, accounts or teams: an area is a crate above this one. There are two exceptions:
//! the dyno sizes, which quotas and formations share, and that errors of git's requests are text.

pub mod body_budget;
pub mod bounds;
pub mod bus;
mod change;
pub mod credential;
pub mod detached;
pub mod dyno_sizes;
pub mod ends;
pub mod error;
pub mod events;
pub mod exchange;
mod handle;
mod kinds;
pub mod links;
pub mod names;
mod paced;
pub mod pages;
pub mod rate_limits;
pub mod recent;
pub mod recorded;
pub mod routes;
pub mod secrets;
mod server_hold;
mod servers;
pub mod settings;
pub mod slots;
mod subject;
pub mod web;
pub mod wrapped_key;

pub use outbound::Network;

pub use crate::{
    change::Change,
    error::{Error, Result},
    handle::Base,
    kinds::Kind,
    paced::Paced,
    subject::{Subject, SubjectKind},
};
