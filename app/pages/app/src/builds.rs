//! How builds are called.

use api::builds::Build;
use ui::words;

/// `Build 12` in a list: commit and who.
pub fn build_title(build: &Build) -> String {
    build
        .source_blob
        .version_description
        .clone()
        .or_else(|| build.source_blob.version.as_deref().map(words::short_commit))
        .unwrap_or_else(|| "from an archive".into())
}
