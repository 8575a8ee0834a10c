//! A user of this host with less of the network than the host.

/// A user of this host whose processes call others on behalf of strangers: besides what `closed` leaves
/// to it, it reaches the host's name servers and the doors. Networks and ranges (`first-last`) of both
/// versions of IP, as nftables writes them.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who it is.
    pub user: u32,
    /// What it does not reach.
    pub closed: Vec<String>,
    /// What of that it reaches all the same, but for dynos.
    pub open: Vec<String>,
}
