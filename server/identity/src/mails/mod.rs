//! E-mail about invitations: the server that sends it, the queue, and the texts.
//!
//! A message is added in the transaction of the change that it is about, and sent by a job, which renders it from what
//! is true then: nothing is sent about an invitation that was cancelled in the meantime. A message contains a link to a
//! page and no secret, so that a forwarded or intercepted one admits nobody.

mod job;
mod queue;
pub(crate) mod server;
mod texts;

pub(crate) use self::queue::shown;
pub use self::{job::SendMail, queue::mail_queue};
