//! The address of a mail server: resolved and checked.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use outbound::Kind;
use tokio::net::{TcpStream, lookup_host};

use crate::error::{Error, line};

/// The most addresses of a name that are tried.
const MOST: usize = 8;
/// The time for a connection to one of several addresses.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why an address is not used, if it is not.
fn forbidden(ip: IpAddr) -> Option<Kind> {
    outbound::kind(ip).filter(|kind| matches!(kind, Kind::LinkLocal | Kind::Metadata | Kind::Multicast))
}

/// The address to connect to: if there are several, the first that accepts connections.
pub(crate) async fn resolve(host: &str, port: u16) -> Result<SocketAddr, Error> {
    let unknown = |why: &str| Error::Temporary(line(&format!("The name {host} could not be resolved: {why}")));
    let found = lookup_host((host, port)).await.map_err(|err| unknown(&err.to_string()))?;
    let found: Vec<SocketAddr> = found.take(MOST).collect();
    let allowed: Vec<SocketAddr> = found.iter().copied().filter(|found| forbidden(found.ip()).is_none()).collect();
    match (allowed.as_slice(), found.first()) {
        ([one], _) => Ok(*one),
        ([], None) => Err(unknown("it has no address")),
        ([], Some(other)) => {
            let noun = forbidden(other.ip()).map_or("an address", Kind::noun);
            Err(Error::Temporary(format!("{host} is {noun}, at which there can be no mail server.")))
        }
        (several, _) => Ok(reachable(several).await),
    }
}

/// The first that accepts connections; the first of all if none does, so that the error is about that one.
async fn reachable(several: &[SocketAddr]) -> SocketAddr {
    for at in several {
        if matches!(tokio::time::timeout(PATIENCE, TcpStream::connect(at)).await, Ok(Ok(_))) {
            return *at;
        }
    }
    several[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_servers_are_allowed_and_metadata_services_are_not() {
        for ip in ["127.0.0.1", "10.0.0.25", "192.168.1.2", "::1", "fd00::25", "1.1.1.1"] {
            assert_eq!(forbidden(ip.parse().unwrap()), None, "{ip}");
        }
        for ip in ["169.254.169.254", "::ffff:169.254.169.254", "100.100.100.200", "fe80::1", "224.0.0.1"] {
            assert!(forbidden(ip.parse().unwrap()).is_some(), "{ip}");
        }
    }
}
