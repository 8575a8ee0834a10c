//! The router against real clients and real backends.
