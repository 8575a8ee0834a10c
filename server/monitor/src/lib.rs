//! Turns samples into metrics.
