//! Sources: uploaded archives to build from.

use serde::{Deserialize, Serialize};

/// Two pre-signed URLs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub source_blob: SourceUrls,
}

/// Where to upload the archive, and where to download it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceUrls {
    pub get_url: String,
    pub put_url: String,
}
