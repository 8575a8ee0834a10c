//! Sources: a place to upload an archive to, and to build it from.

use serde::{Deserialize, Serialize};

/// Two addresses that open without credentials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub source_blob: SourceUrls,
}

/// Where to put the archive, and where it is got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceUrls {
    pub get_url: String,
    pub put_url: String,
}
