//! Leftovers: folders of deleted apps.
//!
//! The job that destroys an app removes its folders. Work for the app that is in progress at that moment may create one
//! again afterwards, as may a server that was killed in the middle; nothing else would ever remove it.

use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use api::ids::AppId;
use chrono::{DateTime, Duration, Utc};

use crate::Platform;

/// The folders with a subfolder for each app, whose name is the app's id with this suffix.
const FOLDERS: [(&str, &str); 5] = [("git", ".git"), ("cache", ""), ("unpacked", ""), ("builds", ""), ("metrics", "")];
/// Like these, but removed only by [`logs::History`].
const LOGS: &str = "logs";

/// How long a folder without an app is kept: long enough for an operator who has restored an older database to notice.
const AGE: Duration = Duration::days(1);

/// Removes all folders of an app, and its log.
pub(crate) async fn remove(platform: &Platform, app: AppId) -> anyhow::Result<()> {
    remove_log(platform, app).await?;
    let data = &platform.config().data;
    for (folder, ending) in FOLDERS {
        remove_folder(data.join(folder).join(format!("{app}{ending}"))).await?;
    }
    Ok(())
}

/// Removes folders without an app that are a day old at the time `now`. Returns a line for each.
pub(crate) async fn sweep(platform: &Platform, now: DateTime<Utc>) -> anyhow::Result<Vec<String>> {
    let data = platform.config().data.clone();
    let found = tokio::task::spawn_blocking(move || old(&data, now)).await?.context("find folders of apps")?;
    let apps: Vec<AppId> = found.iter().map(|(app, _)| *app).collect();
    // An app has a row before it has a folder, so the rows are read last. An app that is being destroyed has a job for
    // that.
    let known = store::apps::app_among(platform.db(), &apps).await.context("read the apps")?;
    let known: HashSet<AppId> = known.into_iter().collect();
    let mut done = Vec::new();
    for (app, path) in found.into_iter().filter(|(app, _)| !known.contains(app)) {
        done.push(format!("removed {}, which belongs to no app", path.display()));
        match path.parent().is_some_and(|folder| folder.ends_with(LOGS)) {
            true => remove_log(platform, app).await?,
            false => remove_folder(path).await?,
        }
    }
    Ok(done)
}

async fn remove_log(platform: &Platform, app: AppId) -> anyhow::Result<()> {
    let history = platform.history().clone();
    tokio::task::spawn_blocking(move || history.delete(app)).await?.map_err(anyhow::Error::new)
}

async fn remove_folder(path: PathBuf) -> anyhow::Result<()> {
    let remove = move || trees::remove(&path).with_context(|| format!("remove {}", path.display()));
    tokio::task::spawn_blocking(remove).await?
}

/// The folders named after apps that have not changed for long, with the ids of these apps.
fn old(data: &Path, now: DateTime<Utc>) -> io::Result<Vec<(AppId, PathBuf)>> {
    let mut found = Vec::new();
    for folder in FOLDERS.iter().map(|(folder, _)| *folder).chain([LOGS]) {
        let entries = match fs::read_dir(data.join(folder)) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            // Without the suffix: a repository may also be incomplete.
            let app = path.file_stem().and_then(|name| name.to_str()?.parse().ok());
            // It may have been removed meanwhile. Its owner can change all of its timestamps except this one.
            if let (Some(app), Ok(meta)) = (app, fs::symlink_metadata(&path))
                && now.timestamp() - meta.ctime() >= AGE.num_seconds()
            {
                found.push((app, path));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_folders_named_after_apps_are_found() {
        let data = tempfile::tempdir().unwrap();
        let app = AppId::now_v7();
        let called = [("git", ".git"), ("git", ".unfinished"), ("cache", ""), ("unpacked", ""), ("metrics", "")];
        let mut paths: Vec<_> = called.iter().map(|(f, e)| data.path().join(f).join(format!("{app}{e}"))).collect();
        paths.extend(["builds", "logs"].map(|folder| data.path().join(folder).join(app.to_string())));
        let others = ["git/hooks", "cache/shared", "tmp/01"].map(|path| data.path().join(path));
        paths.iter().chain(&others).for_each(|path| fs::create_dir_all(path).unwrap());
        assert_eq!(old(data.path(), Utc::now()).unwrap(), []);
        let mut found = old(data.path(), Utc::now() + AGE + Duration::minutes(1)).unwrap();
        found.sort();
        paths.sort();
        assert_eq!(found, paths.into_iter().map(|path| (app, path)).collect::<Vec<_>>());
    }
}
