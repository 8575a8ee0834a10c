//! Outbound requests: the one client for every address that people gave the platform.
//!
//! Sources, identity providers, and whatever else is asked because somebody typed an address: all of it goes
//! through [`Client`]. Without it, whoever may type an address could have the platform ask what only the platform
//! can reach: its database, the metadata service of its host, the router of the office. So the host of every hop is
//! resolved here, every address it has is checked against [`Rules`], and the connection is made to an address that
//! was checked, not to a name that is looked up a second time. Proxies of the environment are never used.
//!
//! What an answer means is for the caller. What dynos and builds may reach is decided in `dyno`, not here.

mod addresses;
mod client;
mod error;
mod hop;
mod network;
mod rules;
mod tls;

pub use reqwest::Url;

pub use self::{
    addresses::{Kind, not_public},
    client::{Answer, Client, Limits},
    error::Error,
    hop::Lookup,
    network::Network,
    rules::Rules,
};
