//! Backups of the platform: making, verifying and restoring them.
//!
//! A backup contains the database, the repositories, the archives of slugs and, by choice, logs. Everything in it is
//! encrypted with keys derived from the master key, which it contains only encrypted with a passphrase.
//!
//! `making` is the order of things; `manifest` and `blobs` are the format. Where a backup is restored to is decided by
//! `wharfd restore`, in the crate `server`.

mod backups;
mod blobs;
mod files;
mod handle;
mod job;
mod making;
mod manifest;
mod plan;
pub mod postgres;
mod restoring;
mod retention;
mod routes;
mod s3;
mod start;
mod target;
mod verifying;

pub use crate::{
    backups::planned,
    handle::Recovery,
    job::BackUp,
    making::{VERIFIED, back_up},
    manifest::Manifest,
    plan::{Plan, Progress},
    restoring::{Key, Source, is_unused},
    routes::routes,
    target::Target,
};
