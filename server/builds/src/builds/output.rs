//! The output of builds.

use std::path::Path;

use anyhow::Context as _;
use api::ids::{AppId, BuildId};
use platform::{
    Platform,
    outputs::{self, MOST_OUTPUT},
};
use tokio::io::AsyncWriteExt as _;

/// How many bytes a build may still print, counting what its earlier attempts have printed.
pub(super) async fn left(platform: &Platform, app: AppId, build: BuildId) -> u64 {
    MOST_OUTPUT.saturating_sub(length(&outputs::build_file(platform, app, build)).await)
}

async fn length(file: &Path) -> u64 {
    tokio::fs::metadata(file).await.map_or(0, |meta| meta.len())
}

/// Appends a line to the output of a build.
pub(super) async fn print(platform: &Platform, app: AppId, build: BuildId, line: &str) -> anyhow::Result<()> {
    let file = outputs::build_file(platform, app, build);
    let folder = file.parent().context("the output has a folder")?;
    tokio::fs::create_dir_all(folder).await.context("create the folder of outputs")?;
    let mut out =
        tokio::fs::OpenOptions::new().create(true).append(true).open(&file).await.context("open the output")?;
    out.write_all(format!("{line}\n").as_bytes()).await.context("write the output")?;
    out.flush().await.context("write the output")?;
    Ok(())
}
