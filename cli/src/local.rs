//! The platform on this machine, for root: its address and its administrator's token.
//!
//! While the platform is down or listens elsewhere, any user can listen on port 5000. So the token is never sent to a
//! port in the hope that it is ours: it is sent to the server's socket in `/run/wharf`, which only root can have
//! created, and the server reports its public address there.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::Result;
use api::{Client, accounts::Account, platform::PlatformInfo};
use tokio::net::UnixStream;

use crate::{address::Address, transport::Tcp};

/// Where platforms put their sockets.
const RUN: &str = "/run/wharf";
/// The server's socket, in a separate directory.
const SOCKET: &str = "server.sock";

/// A platform on this machine that accepts the token.
pub struct Local {
    /// Its public address, as reported by itself.
    pub address: Address,
    pub email: String,
}

impl Local {
    /// The running platform that `token` administers.
    pub async fn find(token: &str) -> Option<Self> {
        Self::find_in(Path::new(RUN), token).await
    }

    async fn find_in(run: &Path, token: &str) -> Option<Self> {
        let directories = fs::read_dir(run).ok()?;
        for socket in directories.flatten().map(|entry| entry.path().join(SOCKET)) {
            if is_owned_by_root(&socket).await
                && let Ok(found) = ask(socket, token).await
            {
                return Some(found);
            }
        }
        None
    }

    /// Whether commands that connect to `address` reach this platform.
    pub fn is_at(&self, address: &Address) -> bool {
        let name = |address: &Address| match address.connects_to_loopback() {
            true => "127.0.0.1".to_owned(),
            false => address.host.clone(),
        };
        let ours = &self.address;
        (ours.https, ours.port, name(ours)) == (address.https, address.port, name(address))
    }
}

async fn ask(socket: PathBuf, token: &str) -> Result<Local> {
    let client = Client::new(Tcp::over(socket, token.to_owned())?);
    let account: Account = client.account_info().await?;
    let info: PlatformInfo = client.platform_info().await?;
    Ok(Local { address: Address::parse(&info.url)?, email: account.email })
}

/// Whether root listens at `socket`, and nobody else could have created it.
async fn is_owned_by_root(socket: &Path) -> bool {
    let owned = |path: &Path| fs::symlink_metadata(path).is_ok_and(|of| of.uid() == 0 && of.mode() & 0o022 == 0);
    let Some(folder) = socket.parent().filter(|folder| owned(folder)) else { return false };
    if !folder.parent().is_some_and(owned) {
        return false;
    }
    match UnixStream::connect(socket).await {
        Ok(stream) => stream.peer_cred().is_ok_and(|peer| peer.uid() == 0),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_platform_match() {
        let local = |url: &str| Local { address: Address::parse(url).unwrap(), email: String::new() };
        let at = |ours: &str, wanted: &str| local(ours).is_at(&Address::parse(wanted).unwrap());
        assert!(at("http://localhost:5000", "http://localhost:5000"));
        assert!(at("http://localhost:5000", "http://127.0.0.1:5000"));
        assert!(at("https://wharf.example.com", "wharf.example.com"));
        for (ours, wanted) in [
            ("http://localhost:5000", "http://localhost:5001"),
            ("http://localhost:5000", "https://localhost:5000"),
            // Another program may listen there.
            ("http://localhost:5000", "http://[::1]:5000"),
            ("http://localhost:5000", "http://127.0.0.2:5000"),
            ("http://localhost:5000", "http://wharf.example.com:5000"),
            ("https://wharf.example.com", "http://localhost:5000"),
            ("https://wharf.example.com", "https://wharf.example.com.evil.test"),
        ] {
            assert!(!at(ours, wanted), "{ours} {wanted}");
        }
    }

    #[tokio::test]
    async fn a_socket_not_owned_by_root_gets_no_request() {
        use std::os::unix::fs::PermissionsExt;
        let run = std::env::temp_dir().join(format!("wharf-local-{}", std::process::id()));
        let folder = run.join("a");
        fs::create_dir_all(&folder).unwrap();
        let listener = tokio::net::UnixListener::bind(folder.join(SOCKET)).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Local::find_in(&run, "secret").await.is_none());
        let connection = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
        assert!(connection.is_err(), "it got a request");
        fs::remove_dir_all(run).unwrap();
    }
}
