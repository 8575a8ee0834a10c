//! The keyed hash of the first version, `H(key ‖ H(key ‖ message))` with SHA-256, which HMAC has replaced.
//!
//! Written by hand, because no crate has it: seals of the audit log, fingerprints of log drains, recovery codes,
//! device cookies and URLs that were made with it still have to be verified. The audit log is the only place where
//! new ones are made. The previous version, which may run next to this one or after it, would take any other seal for
//! tampering, and the chain of the log would be broken for good.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The keyed hash of `bytes` for `purpose`.
pub(super) fn mac(key: &[u8; 32], purpose: &str, bytes: &[u8]) -> Vec<u8> {
    keyed(key, &[&Sha256::digest(purpose.as_bytes()), bytes])
}

/// The signature of `id` for `purpose`.
pub(super) fn signature(key: &[u8; 32], purpose: &str, id: Uuid) -> [u8; 20] {
    let mut signature = [0; 20];
    signature.copy_from_slice(&keyed(key, &[purpose.as_bytes(), id.as_bytes()])[..20]);
    signature
}

fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> Vec<u8> {
    let inner = parts.iter().fold(Sha256::new_with_prefix(key), |hash, part| hash.chain_update(part)).finalize();
    Sha256::new_with_prefix(key).chain_update(inner).finalize().to_vec()
}
