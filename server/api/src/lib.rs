//! The wire types: requests, responses, ids, errors and the client.
//!
//! Everything here is plain data shared by both sides of the HTTP API. The shapes are those of Heroku's
//! Platform API v3, for compatibility with its clients; Wharf's additions are marked *Wharf:* and ignored by
//! them. How requests are sent is up to a [`Transport`]. What the command line and the console share beyond that is here,
//! too: [`dotenv`], [`sanitize`] and [`unavailable`].

pub mod accounts;
pub mod app_transfers;
pub mod apps;
pub mod authorizations;
pub mod backups;
pub mod buildpack_installations;
pub mod builds;
pub mod client;
pub mod collaborators;
pub mod config_vars;
pub mod dotenv;
pub mod dynos;
pub mod error;
pub mod features;
pub mod formation;
pub mod identities;
pub mod identity_providers;
pub mod ids;
pub mod invitation_policy;
pub mod jobs;
pub mod live;
pub mod log_drains;
pub mod log_lines;
pub mod log_sessions;
pub mod mails;
pub mod metrics;
pub mod named;
pub mod next_steps;
pub mod oauth_clients;
pub mod passwords;
pub mod platform;
pub mod quotas;
pub mod refs;
pub mod releases;
pub mod samples;
pub mod sanitize;
pub mod schedules;
pub mod service_accounts;
pub mod sessions;
pub mod sign_in;
pub mod slugs;
pub mod sources;
pub mod stacks;
pub mod statuses;
pub mod subjects;
pub mod team_invitations;
pub mod team_members;
pub mod teams;
pub mod terminals;
pub mod unavailable;

pub use crate::client::{Client, Reply, Request, Transport};
pub use crate::error::Error;
