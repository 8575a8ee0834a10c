//! Runs processes on this host, and finds them again after a restart.
