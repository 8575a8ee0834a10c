//! The pages of one app: their frame, and what several of them show.
//!
//! The code of the bundle `app`, which is loaded with each of them. A view that only one page has belongs to that page.
#![recursion_limit = "512"]

pub mod app_frame;
pub mod builds;
pub mod codes;
pub mod dynos;
pub mod metrics;
pub mod rollback;

pub use crate::app_frame::AppFrame;
