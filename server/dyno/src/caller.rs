//! A user of this host with restricted network access.

/// A user of this host whose processes send requests to user-supplied URLs. Besides addresses outside `closed`, it
/// reaches the host's name servers and allowed ports. Networks and ranges (`first-last`) of both IP versions, in the
/// syntax of nftables.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user ID.
    pub user: u32,
    /// Networks that it cannot reach.
    pub closed: Vec<String>,
    /// Exceptions from `closed`; they do not include dynos.
    pub open: Vec<String>,
}
