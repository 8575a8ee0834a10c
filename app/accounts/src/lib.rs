//! What several pages show of accounts and teams: sign-in methods, access to apps, tokens, quotas and next steps.
//!
//! Sections and forms, not pages. One that only a single page has belongs to that page.
#![recursion_limit = "512"]

pub mod access;
pub mod created_token;
pub mod identities;
pub mod next_steps;
pub mod passwords;
pub mod quotas;
pub mod refusals;
pub mod token_fields;
