//! What to build.

use std::collections::BTreeMap;
use std::path::PathBuf;

use uuid::Uuid;

/// One build.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose cache and build directory it is.
    pub app_id: Uuid,
    /// Also the id of the build dyno: the same request after a crash replaces what the first left.
    pub build_id: Uuid,
    /// The app's user and group.
    pub uid: u32,
    /// The stack that the app asked for, as it is shown and put into `STACK`.
    pub stack: String,
    /// The unpacked source. It is only read; the caller removes it.
    pub source: PathBuf,
    /// `CACHE_DIR`, made if missing.
    pub cache: PathBuf,
    /// Names or URLs, in order; empty: the built-in one that fits.
    pub buildpacks: Vec<String>,
    /// Whether buildpacks in folders of this host (`file://`) may be used: it is an administrator who builds.
    pub may_use_host: bool,
    /// Config vars, for `ENV_DIR`.
    pub env: BTreeMap<String, String>,
    /// The commit or version of the source, for `SOURCE_VERSION`.
    pub source_version: String,
}
