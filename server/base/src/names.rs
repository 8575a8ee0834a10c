//! Ids of what has only a name.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// An id for something that has only a name: the same name has the same id for ever.
pub fn named_id(name: &str) -> Uuid {
    let hash = Sha256::digest(name.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
