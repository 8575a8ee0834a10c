//! The input of a build.

use std::collections::BTreeMap;
use std::path::PathBuf;

use api::ids::BuildId;

/// One build.
#[derive(Clone, Debug)]
pub struct Request {
    /// Also the id of the build dyno: a retry after a crash replaces what the first attempt left.
    pub build_id: BuildId,
    /// The app's user and group.
    pub uid: u32,
    /// The stack of the app, for display and for `STACK`.
    pub stack: String,
    /// The unpacked source. It is only read; the caller removes it.
    pub source: PathBuf,
    /// The folder for the unpacked slug, as [`unpack`](crate::unpack) would make it. Created if the build succeeds; an
    /// existing one is kept.
    pub unpacked: PathBuf,
    /// `CACHE_DIR`, created if missing.
    pub cache: PathBuf,
    /// Names or URLs, in order; if empty, a built-in one is detected.
    pub buildpacks: Vec<String>,
    /// Whether buildpacks in folders of this host (`file://`) can be used: only for administrators.
    pub may_use_host: bool,
    /// Config vars, for `ENV_DIR`.
    pub env: BTreeMap<String, String>,
    /// The commit or version of the source, for `SOURCE_VERSION`.
    pub source_version: String,
}
