//! Turns log lines into history and tails.
