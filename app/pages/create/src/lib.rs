//! Creating an app, up to its first push.
#![recursion_limit = "512"]

mod create;

pub use crate::create::{FirstPush, NewAppPage};
