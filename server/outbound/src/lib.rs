//! Outbound requests: the only client for user-supplied URLs.
//!
//! Sources, identity providers, and any other URL that a user typed are requested through [`Client`]. Otherwise
//! users could make the platform request what only the platform can reach: its database, the metadata service
//! of its host, the office router. So the host of every hop is resolved here, each of its addresses is checked
//! against [`Rules`], and the connection is made to a verified address, not to a name that is looked up a
//! second time. Proxy settings in the environment are never used.
//!
//! Interpreting responses is up to the caller. What dynos and builds may reach is decided in `dyno`, not here.

mod addresses;
mod client;
mod error;
mod hop;
mod network;
mod rules;
mod tls;

pub use reqwest::Url;

pub use self::{
    addresses::{Kind, kind, not_public},
    client::{Answer, Client, Limits, checked_addresses},
    error::Error,
    hop::Lookup,
    network::Network,
    rules::Rules,
};
