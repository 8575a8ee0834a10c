//! Builds real apps.
