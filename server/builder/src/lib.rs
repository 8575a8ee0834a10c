//! Turns source code into slugs.
//!
//! [`build`] runs the buildpacks of an app in a build dyno and packs the result; [`unpack`] unpacks a slug for the
//! dynos that run it. This crate does not use the database: the caller supplies the request, and gets each line of
//! output and a [`Slug`] or an [`Error`].
//!
//! Invariant: an app's code and buildpacks run only in dynos, and their files are never followed through a symbolic
//! link on the host.

mod build;
mod buildpacks;
mod config;
mod environment;
mod error;
mod files;
mod follow;
mod masking;
mod pack;
mod procfile;
mod release;
mod request;
mod runtime_requests;
mod runtimes;
mod slugignore;
mod source;
mod unpack;
mod workspace;

pub use build::{Slug, abandon, build, left};
pub use buildpacks::{BuiltIn, canonical, is_local};
pub use config::Config;
pub use error::Error;
pub use masking::{masked, without_secrets};
pub use procfile::parse as procfile;
pub use request::Request;
pub use runtime_requests::{Hold, Supply};
pub use runtimes::{Installed, Runtime, is_version};
pub use unpack::{LONGEST, check, is_unfinished, tasks, unpack, unpack_package, unpack_source, unpack_tree};

#[cfg(test)]
worker::worker_before_main!(|| tasks(worker::Tasks::default()));
