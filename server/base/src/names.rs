//! Ids derived from names.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The id for a name; always the same.
pub fn named_id(name: &str) -> Uuid {
    let hash = Sha256::digest(name.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
