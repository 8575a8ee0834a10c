//! Secrets: encryption at rest, keyed hashes for comparing, and signed URLs.
//!
//! The master key is stored outside the database (`master.key` in the data directory, or an environment variable), so
//! that a copy of the database alone reveals nothing. Keyed hashes and signatures are HMAC-SHA256, each with a separate
//! key that HKDF derives from the master key. `legacy.rs` verifies those of the first version.

mod legacy;

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use api::ids::AccountId;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chacha20poly1305::{
    AeadCore as _, Key, KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, OsRng, Payload},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// Encrypts, decrypts and signs with the master key.
#[derive(Clone)]
pub struct Secrets {
    pub(crate) key: [u8; 32],
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Reads the key from `WHARF_MASTER_KEY` (base64 of 32 bytes) or `file`, which is created at the first start.
    pub fn load(file: &Path, from_environment: Option<&str>) -> anyhow::Result<Self> {
        if let Some(text) = from_environment {
            return Self::from_base64(text).context("read WHARF_MASTER_KEY");
        }
        match std::fs::read_to_string(file) {
            Ok(text) => Self::from_base64(text.trim()).with_context(|| {
                format!(
                    "read {}: restore the file from a backup; it is needed to decrypt the secrets in the database",
                    file.display()
                )
            }),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Self::make(file),
            Err(err) => Err(err).with_context(|| format!("read {}", file.display())),
        }
    }

    /// Uses the key in `text`, base64 of 32 bytes.
    ///
    /// # Errors
    /// If it is not such a key.
    pub fn from_base64(text: &str) -> anyhow::Result<Self> {
        let bytes = BASE64_STANDARD.decode(text).context("decode the key")?;
        let key = bytes.try_into().map_err(|_| anyhow!("the key is not 32 bytes long"))?;
        Ok(Self { key })
    }

    fn make(file: &Path) -> anyhow::Result<Self> {
        let mut key = [0; 32];
        rand::rng().fill_bytes(&mut key);
        write_private(file, &BASE64_STANDARD.encode(key))?;
        Ok(Self { key })
    }

    /// Encrypts `plain` for `purpose`, which is needed to decrypt it.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let sealed = XChaCha20Poly1305::new(Key::from_slice(&self.key))
            .encrypt(&nonce, Payload { msg: plain, aad: purpose.as_bytes() })
            .expect("sealing fails only for plaintexts of gigabytes");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Decrypts what [`Secrets::seal`] has encrypted for the same purpose.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> anyhow::Result<Vec<u8>> {
        if sealed.len() < 24 {
            bail!("decrypt a secret ({purpose}): it is truncated");
        }
        let (nonce, sealed) = sealed.split_at(24);
        XChaCha20Poly1305::new(Key::from_slice(&self.key))
            .decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: purpose.as_bytes() })
            .map_err(|_| anyhow!("decrypt a secret ({purpose}): it was encrypted with another master key"))
    }

    /// The keyed hash of `bytes`, with a key that is used for `purpose` only.
    pub fn mac(&self, purpose: &str, bytes: &[u8]) -> Vec<u8> {
        self.hmac("keyed hash", purpose, bytes)
    }

    /// The keyed hash of the first version, for lookups of stored ones. New values use [`Secrets::mac`].
    pub fn legacy_mac(&self, purpose: &str, bytes: &[u8]) -> Vec<u8> {
        legacy::mac(&self.key, purpose, bytes)
    }

    /// Whether `mac` is the keyed hash of `bytes` for `purpose`, of this version or of the first one.
    pub fn is_mac(&self, purpose: &str, bytes: &[u8], mac: &[u8]) -> bool {
        same(&self.mac(purpose, bytes), mac) || same(&self.legacy_mac(purpose, bytes), mac)
    }

    fn hmac(&self, usage: &str, purpose: &str, bytes: &[u8]) -> Vec<u8> {
        // The master key is random and as long as a hash: it needs no HKDF-Extract. No usage contains a colon.
        let mut key = [0; 32];
        Hkdf::<Sha256>::from_prk(&self.key)
            .expect("the master key is as long as a hash")
            .expand_multi_info(&[usage.as_bytes(), b": ", purpose.as_bytes()], &mut key)
            .expect("HKDF derives keys of 32 bytes");
        let hmac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&key).expect("HMAC takes keys of any length");
        hmac.chain_update(bytes).finalize().into_bytes().to_vec()
    }

    /// The secret part of a URL that opens without credentials.
    pub fn sign(&self, purpose: &str, id: impl Into<Uuid>) -> String {
        let id = id.into();
        signed_id(id, &self.hmac("signature", purpose, id.as_bytes())[..20])
    }

    /// The id in a URL that [`Secrets::sign`] made for the same purpose, in this version or the first one.
    pub fn signed(&self, purpose: &str, text: &str) -> Option<Uuid> {
        let id: Uuid = text.split('-').next()?.parse().ok()?;
        let legacy = signed_id(id, &legacy::signature(&self.key, purpose, id));
        let is = |right: &str| same(right.as_bytes(), text.as_bytes());
        (is(&self.sign(purpose, id)) || is(&legacy)).then_some(id)
    }

    /// Like [`Secrets::sign`], for one bearer: the URL opens while the account has access, and while the token or
    /// session that requested it is valid.
    pub fn sign_for(&self, purpose: &str, bearer: Bearer, id: impl Into<Uuid>) -> String {
        let Bearer { account, credential } = bearer;
        let signed = self.sign(&format!("{purpose} for {account} with {credential}"), id);
        format!("{}-{}-{signed}", account.get().simple(), credential.simple())
    }

    /// The bearer and the id in a URL that [`Secrets::sign_for`] made for the same purpose.
    pub fn signed_for(&self, purpose: &str, text: &str) -> Option<(Bearer, Uuid)> {
        let (account, rest) = text.split_once('-')?;
        let (credential, rest) = rest.split_once('-')?;
        let bearer = Bearer { account: account.parse().ok()?, credential: credential.parse().ok()? };
        let Bearer { account, credential } = bearer;
        Some((bearer, self.signed(&format!("{purpose} for {account} with {credential}"), rest)?))
    }
}

/// The account that a URL was signed for, and the token or session that requested it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearer {
    pub account: AccountId,
    pub credential: Uuid,
}

fn signed_id(id: Uuid, signature: &[u8]) -> String {
    format!("{}-{}", id.simple(), hex::encode(signature))
}

/// Compares in constant time.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// A hash for comparing tokens. They are random and long, so it needs no salt.
pub fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// 40 random hexadecimal digits.
pub fn random() -> String {
    let mut bytes = [0; 20];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

/// Writes a file that only its owner can read, atomically.
pub fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let temporary = file.with_extension("new");
    let _ = std::fs::remove_file(&temporary);
    let mut out = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .with_context(|| format!("write {}", temporary.display()))?;
    out.write_all(text.as_bytes())
        .and_then(|()| out.sync_all())
        .with_context(|| format!("write {}", file.display()))?;
    std::fs::rename(&temporary, file).with_context(|| format!("write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        Secrets { key: [7; 32] }
    }

    #[test]
    fn encrypted_values_can_only_be_decrypted_for_their_purpose() {
        let sealed = secrets().seal("config", b"hello");
        assert_eq!(secrets().open("config", &sealed).unwrap(), b"hello");
        assert!(secrets().open("token", &sealed).is_err());
        assert!(Secrets { key: [8; 32] }.open("config", &sealed).is_err());
        assert!(secrets().open("config", b"short").is_err());
    }

    /// Made by the first version with the key of [`secrets`]; databases, files and browsers hold such values.
    #[test]
    fn values_of_the_first_version_are_still_valid() {
        let id = Uuid::from_u128(0x0198_a5b3_7c4e_7d10_8000_0123_4567_89ab);
        let bearer = Bearer {
            account: AccountId::from_u128(0x0198_a5b3_0000_7000_8000_0000_0000_000a),
            credential: Uuid::from_u128(0x0198_a5b3_0000_7000_8000_0000_0000_000c),
        };
        let signed = "0198a5b37c4e7d1080000123456789ab-35c0cdc9303116bf3b597527879b00466eebeecd";
        assert_eq!(secrets().signed("build output", signed), Some(id));
        let signed_for = "0198a5b300007000800000000000000a-0198a5b300007000800000000000000c-\
                          0198a5b37c4e7d1080000123456789ab-fbea30901c9977ec328a5cecca6e2481d65555b5";
        assert_eq!(secrets().signed_for("build output", signed_for), Some((bearer, id)));
        let mac = "a549ec17c1e7d41a01bb0ac60028ce5dcc47a0f703b8fbb07f2a77ed3553d76f";
        assert_eq!(hex::encode(secrets().legacy_mac("audit log", b"wharf")), mac);
        assert!(secrets().is_mac("audit log", b"wharf", &hex::decode(mac).unwrap()));
        assert!(!secrets().is_mac("audit log", b"Wharf", &hex::decode(mac).unwrap()));
        let sealed = "000102030405060708090a0b0c0d0e0f1011121314151617c072c7e99524f8193f9c93f77d013b068ad7207d33";
        assert_eq!(secrets().open("config", &hex::decode(sealed).unwrap()).unwrap(), b"hello");
    }

    /// HKDF-Expand and HMAC as RFC 5869 and RFC 2104 define them, computed independently.
    #[test]
    fn keyed_hashes_and_signatures_stay_the_same() {
        let id = Uuid::from_u128(0x0198_a5b3_7c4e_7d10_8000_0123_4567_89ab);
        let mac = "c9b221f03c325127ece5658afecc5673bc2eb2ebae953fd03ce9cce6d3074dc4";
        assert_eq!(hex::encode(secrets().mac("audit log", b"wharf")), mac);
        assert!(secrets().is_mac("audit log", b"wharf", &hex::decode(mac).unwrap()));
        assert_ne!(secrets().mac("audit", b"wharf"), secrets().mac("audit log", b"wharf"));
        let signed = "0198a5b37c4e7d1080000123456789ab-3c10cc06dc5340273ea1fef407476083a4f6b65c";
        assert_eq!(secrets().sign("build output", id), signed);
    }

    #[test]
    fn a_signed_address_cannot_be_guessed_or_reused() {
        let id = Uuid::now_v7();
        let text = secrets().sign("build", id);
        assert_eq!(secrets().signed("build", &text), Some(id));
        assert_eq!(secrets().signed("release", &text), None);
        assert_eq!(secrets().signed("build", &text.replace('-', "-0")), None);
        assert_eq!(secrets().signed("build", &id.to_string()), None);

        let bearer = Bearer { account: AccountId::now_v7(), credential: Uuid::now_v7() };
        let text = secrets().sign_for("build", bearer, id);
        assert_eq!(secrets().signed_for("build", &text), Some((bearer, id)));
        assert_eq!(secrets().signed_for("release", &text), None);
        for part in [bearer.account.get(), bearer.credential] {
            let other = text.replace(&part.simple().to_string(), &id.simple().to_string());
            assert_eq!(secrets().signed_for("build", &other), None);
        }
        assert_eq!(secrets().signed_for("build", &secrets().sign("build", id)), None);
    }
}
