//! The master key, encrypted with a passphrase, so that it can be stored next to what it protects.
//!
//! The passphrase itself is never stored. The parameters of Argon2 are, so that they can be raised later.

use std::path::Path;

use anyhow::{anyhow, bail};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rand::RngCore as _;
use serde::{Deserialize, Serialize};

use crate::secrets::{Secrets, write_private};

/// The minimum length of a passphrase, in characters: whoever can read it offline can try many.
const SHORTEST: usize = 12;
/// Memory of Argon2, in KiB, and its passes.
const MEMORY: u32 = 64 << 10;
const PASSES: u32 = 3;
/// More than this was not written by Wharf, and would occupy the machine.
const MOST_MEMORY: u32 = 1 << 20;
const MOST_PASSES: u32 = 100;
const PURPOSE: &str = "wrapped master key";

/// A master key that a passphrase decrypts. Text is hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    salt: String,
    memory_kib: u32,
    passes: u32,
    sealed: String,
}

impl WrappedKey {
    /// The master key.
    ///
    /// # Errors
    /// If the passphrase is a different one, or the key was changed.
    pub fn unwrap(&self, passphrase: &str) -> anyhow::Result<Secrets> {
        if self.memory_kib > MOST_MEMORY || self.passes > MOST_PASSES {
            bail!("the encrypted master key was not written by Wharf");
        }
        let (salt, sealed) = (hex::decode(&self.salt)?, hex::decode(&self.sealed)?);
        let opened = derived(passphrase, &salt, (self.memory_kib, self.passes))?.open(PURPOSE, &sealed);
        let key = opened.map_err(|_| anyhow!("The passphrase is wrong."))?;
        let key = key.try_into().map_err(|_| anyhow!("the encrypted master key is not 32 bytes long"))?;
        Ok(Secrets { key })
    }
}

impl Secrets {
    /// Encrypts the master key with a passphrase. Takes about a tenth of a second of a processor.
    ///
    /// # Errors
    /// If the passphrase is too short.
    pub fn wrap(&self, passphrase: &str) -> anyhow::Result<WrappedKey> {
        if passphrase.chars().count() < SHORTEST {
            bail!("The passphrase must have at least {SHORTEST} characters.");
        }
        let mut salt = [0; 16];
        rand::rng().fill_bytes(&mut salt);
        let sealed = derived(passphrase, &salt, (MEMORY, PASSES))?.seal(PURPOSE, &self.key);
        Ok(WrappedKey { salt: hex::encode(salt), memory_kib: MEMORY, passes: PASSES, sealed: hex::encode(sealed) })
    }

    /// Writes the master key to `file`, as [`Secrets::load`] reads it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        write_private(file, &BASE64_STANDARD.encode(self.key))
    }
}

fn derived(passphrase: &str, salt: &[u8], (memory, passes): (u32, u32)) -> anyhow::Result<Secrets> {
    let params = Params::new(memory, passes, 1, Some(32)).map_err(|err| anyhow!("derive a key: {err}"))?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut key)
        .map_err(|err| anyhow!("derive a key: {err}"))?;
    Ok(Secrets { key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_and_nothing_else_unwraps_the_key() {
        let secrets = Secrets { key: [7; 32] };
        let wrapped = secrets.wrap("correct horse battery").unwrap();
        let text = serde_json::to_string(&wrapped).unwrap();
        let wrapped: WrappedKey = serde_json::from_str(&text).unwrap();
        assert_eq!(wrapped.unwrap("correct horse battery").unwrap().key, secrets.key);
        assert_eq!(wrapped.unwrap("correct horse battery ").unwrap_err().to_string(), "The passphrase is wrong.");
        assert!(secrets.wrap("short").unwrap_err().to_string().contains("at least 12 characters"));
        let expensive = WrappedKey { memory_kib: u32::MAX, ..wrapped };
        assert!(expensive.unwrap("correct horse battery").is_err());
    }

    #[test]
    fn a_written_key_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("master.key");
        Secrets { key: [9; 32] }.write(&file).unwrap();
        assert_eq!(Secrets::load(&file, None).unwrap().key, [9; 32]);
    }
}
