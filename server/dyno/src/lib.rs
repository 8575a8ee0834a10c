//! Runs processes on this host, and finds them again after a restart.
//!
//! A dyno is started from a [`Spec`] by a [`Driver`] and from then on belongs to the host, not to
//! us: if the server stops, dynos keep running, and the next driver on the same directory takes
//! them up again.
//!
//! This crate decides nothing. How many dynos there should be, and what to do when one crashes,
//! is decided in `platform`.

mod driver;
pub mod fake;

pub use driver::{
    AppDir, Bind, Driver, Error, Exit, Handle, Limits, Mounts, Phase, Spec, Stats, Status,
};
