//! The network of dynos.

/// The range that dynos get addresses from.
#[derive(Clone, Debug)]
pub struct Network;
