//! One-off dynos: commands that somebody runs in an app, with its code and configuration, in a dyno of their own.
//!
//! They are not part of the formation: nothing restarts them, and their rows keep the exit status for a while. A row is
//! desired state, which a route writes; [`Reconcile`] starts a task for each, which runs the command to its end like a
//! release phase. Somebody can be attached to it (see `terminals`); otherwise its output goes to the app's log.

mod call;
mod reconcile;
mod routes;
mod run;

pub(crate) use self::reconcile::Reconcile;
pub use self::routes::{dyno_create, dyno_exec};
