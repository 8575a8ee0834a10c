//! Sends one message through an SMTP server.
//!
//! The server is set by administrators of the platform, and often in the operator's own network. So unlike with
//! `outbound`, internal addresses are allowed, except those that are never mail servers: link-local ones and the metadata
//! services of clouds. The name is resolved here, and the connection is made to a checked address. What the other side
//! sends is only passed on if it is an SMTP response, so that settings cannot be used for reading other services.
//!
//! Queues, retries, texts and limits are up to the caller.

mod addresses;
mod error;
mod message;
mod send;
#[cfg(feature = "testing")]
pub mod testing;

pub use crate::{
    error::Error,
    message::{Message, is_address},
    send::{Encryption, Server, send},
};
