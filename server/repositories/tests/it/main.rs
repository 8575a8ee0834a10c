//! Repositories on disk, with real git in real workers. They need root, as the platform does.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod checkout;
mod moves;
mod world;

worker::worker_before_main!(|| repositories::tasks(worker::Tasks::default()));
