//! The page of quotas, for administrators.
#![recursion_limit = "512"]

mod quotas;

pub use crate::quotas::QuotasPage;
