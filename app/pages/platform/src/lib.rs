//! The pages for administrators of the platform, except quotas.
#![recursion_limit = "512"]

mod audit;
mod backups;
mod identity_providers;
mod invitation_policy;
mod jobs;
mod mails;
mod platform;
mod user;
mod users;

pub use crate::{
    audit::AuditPage, identity_providers::IdentityProvidersPage, jobs::JobsPage, platform::PlatformPage, user::UserPage,
};
