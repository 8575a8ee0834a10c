//! Stored logins: a token per platform, in a file that only its owner can read.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::address::Address;

/// The default address of a platform.
pub const DEFAULT_URL: &str = "http://localhost:5000";

/// All logins of this user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Credentials {
    /// The address of the login that commands use.
    #[serde(default)]
    pub current: Option<String>,
    /// By address.
    #[serde(default)]
    pub logins: BTreeMap<String, Login>,
}

/// One login.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Login {
    pub email: String,
    pub token: String,
}

/// Where logins are stored: `~/.config/wharf/credentials.json`.
pub fn path() -> Result<PathBuf> {
    let config = match env::var_os("XDG_CONFIG_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => {
            let home = env::var_os("HOME").filter(|dir| !dir.is_empty());
            PathBuf::from(home.context("HOME is not set, so logins cannot be stored. Set HOME or WHARF_API_KEY.")?)
                .join(".config")
        }
    };
    Ok(config.join("wharf/credentials.json"))
}

impl Credentials {
    /// Reads the file; no file means no logins.
    pub fn load() -> Result<Self> {
        // Without a home directory there can be no login.
        path().map_or_else(|_| Ok(Self::default()), |path| Self::read(&path))
    }

    fn read(path: &Path) -> Result<Self> {
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} is corrupt. Remove it and log in again: wharf login", path.display())),
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(err) => Err(err).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Writes the file atomically, readable by its owner only.
    pub fn save(&self) -> Result<()> {
        self.write(&path()?)
    }

    fn write(&self, path: &Path) -> Result<()> {
        let says = || format!("write {}", path.display());
        let dir = path.parent().with_context(says)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(says)?;
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        fs::remove_file(&temporary).ok();
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).with_context(says)?;
        let mut text = serde_json::to_vec_pretty(self).with_context(says)?;
        text.push(b'\n');
        file.write_all(&text).with_context(says)?;
        fs::rename(&temporary, path).with_context(says)
    }

    /// The login at exactly this address.
    pub fn at(&self, address: &Address) -> Option<&Login> {
        self.logins.get(&address.to_string())
    }
}

/// An environment variable, unless it is empty.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
}

/// The address that commands use: `WHARF_URL`, else the current login's.
pub fn current_address(credentials: &Credentials) -> Result<Option<Address>> {
    let text = variable("WHARF_URL").or_else(|| credentials.current.clone());
    text.map(|text| Address::parse(&text)).transpose()
}

/// The token in the environment. `WHARF_TOKEN` is another name of `WHARF_API_KEY`, which takes precedence.
fn token_in_environment() -> Option<String> {
    variable("WHARF_API_KEY").or_else(|| variable("WHARF_TOKEN"))
}

/// The token for `address`. One in the environment takes precedence over a login, and applies only to the address
/// that commands use, so that it is never sent anywhere else.
pub fn token_for(credentials: &Credentials, address: &Address) -> Option<String> {
    let key = token_in_environment().filter(|_| {
        let current = current_address(credentials).ok().flatten();
        current.as_ref().map_or_else(|| address.to_string() == DEFAULT_URL, |current| current == address)
    });
    key.or_else(|| credentials.at(address).map(|login| login.token.clone()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn logins_are_private_and_round_trip() {
        let dir = env::temp_dir().join(format!("wharf-credentials-{}", std::process::id()));
        let path = dir.join("a/credentials.json");
        assert_eq!(Credentials::read(&path).unwrap(), Credentials::default());

        let login = Login { email: "admin@wharf.localhost".into(), token: "secret".into() };
        let mut credentials = Credentials { current: Some("http://localhost:5000".into()), ..Default::default() };
        credentials.logins.insert("http://localhost:5000".into(), login.clone());
        credentials.write(&path).unwrap();

        assert_eq!(Credentials::read(&path).unwrap(), credentials);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let at = |s: &str| Address::parse(s).unwrap();
        assert_eq!(credentials.at(&at("localhost:5000")), Some(&login));
        assert_eq!(credentials.at(&at("localhost:5001")), None);
        assert_eq!(credentials.at(&at("https://localhost:5000")), None);

        fs::write(&path, "{").unwrap();
        let err = Credentials::read(&path).unwrap_err();
        assert!(err.to_string().contains("log in again"), "{err}");
        fs::remove_dir_all(dir).unwrap();
    }
}
