//! Jobs and reconcilers: work that outlives a request.
//!
//! A job is a row in `jobs` and a type that implements [`Job`]. It is enqueued in the same transaction as the row it
//! works for, so either both exist or neither does. A worker leases the row and runs it, and a thread keeps the lease
//! alive ([`Leases`]); when the server dies, the lease expires and the next worker resumes the job, but not
//! indefinitely: a job during which the server repeatedly dies is failed, and until then fewer and fewer suspects run
//! concurrently. Inside `run`, every effect on the world is a [`Steps::once`]: a step that has finished is never run
//! again, and one that was interrupted is run again from its beginning, so **each step must be idempotent**.
//!
//! A job that has to wait goes back into the queue ([`Failure::Wait`]) and holds no worker meanwhile. A [`Schedule`]
//! enqueues a job at each of its times, regardless of the number of servers ([`Scheduler`]).
//!
//! Work that never ends (maintaining the desired number of dynos) is a [`Reconciler`] instead.

mod causes;
#[cfg(feature = "testing")]
mod crash_point;
mod failure;
mod job;
mod leases;
mod progress;
mod queue;
mod reconciler;
mod schedule;
mod scheduler;
mod steps;
#[cfg(feature = "testing")]
pub mod testing;
mod worker;

pub use crate::{
    failure::Failure,
    job::{Cancel, Job, Kind, PLATFORM, enqueue, enqueue_at, request_cancel, wake},
    leases::Leases,
    progress::Progress,
    reconciler::{Driver, Reconciler, Report, Seen},
    schedule::{Schedule, Times},
    scheduler::{Enqueued, Scheduler, enqueue_now, set_times, tick, write_schedules},
    steps::Steps,
    worker::{CHANNEL, Registry, Worker, requeue_all, run_next, take_over},
};
