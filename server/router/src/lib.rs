//! Carries requests to dynos.
