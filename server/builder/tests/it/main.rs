//! Real buildpacks on real apps, in real dynos.
//!
//! They need root, as the platform does; the ones for Node.js, Python and Rust download small packages from their
//! registries.

#![allow(clippy::unwrap_used)]

worker::worker_before_main!(|| builder::tasks(worker::Tasks::default()));

mod builds;
mod failures;
mod hostile_tenant;
mod nodejs;
mod places;
mod python;
mod support;
