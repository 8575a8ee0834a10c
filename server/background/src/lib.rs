//! Jobs and reconcilers: work that outlives a request.
