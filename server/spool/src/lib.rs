//! Lines on disk between two processes.
