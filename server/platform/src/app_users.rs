//! The system users of apps, and migrating an app's files to another one.
//!
//! An unpacked slug that is owned by another user is moved aside, so that it is unpacked again for the app's user;
//! running dynos continue with the moved one, which is removed when that user has no processes left. Build caches are
//! migrated by the next build, which has exclusive access to them.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::Platform;

/// Moved slugs in the temporary directory: `former-<uid>-<slug>`.
const FORMER: &str = "former-";

/// Moves unpacked files aside that belong to a user other than the app's. Call it before dynos are started; if it is
/// interrupted, the next start completes it.
pub(crate) async fn renew(platform: &Platform) -> anyhow::Result<()> {
    let data = &platform.config().data;
    for app in store::apps::app_all(platform.db(), None).await.context("read the apps")? {
        let unpacked = data.join("unpacked").join(app.id.to_string());
        put_aside(&unpacked, &data.join("tmp"), app.uid as u32)
            .with_context(|| format!("move the unpacked files in {} aside", unpacked.display()))?;
    }
    Ok(())
}

fn put_aside(unpacked: &Path, aside: &Path, uid: u32) -> io::Result<()> {
    for slug in entries(unpacked)? {
        let owner = fs::symlink_metadata(&slug)?.uid();
        if owner != uid {
            let name = slug.file_name().unwrap_or_default().to_string_lossy();
            fs::rename(&slug, aside.join(format!("{FORMER}{owner}-{name}")))?;
        }
    }
    Ok(())
}

/// Removes moved files that no dyno uses any more. Returns a line for each.
pub(crate) fn sweep(data: &Path) -> anyhow::Result<Vec<String>> {
    let mut done = Vec::new();
    for path in entries(&data.join("tmp")).context("find moved files")? {
        if former_user(&path).is_some_and(|uid| !dyno::uids::is_running(uid)) {
            trees::remove(&path).with_context(|| format!("remove {}", path.display()))?;
            done.push(format!("removed {}", path.display()));
        }
    }
    Ok(done)
}

fn former_user(path: &Path) -> Option<u32> {
    let (uid, _) = path.file_name()?.to_str()?.strip_prefix(FORMER)?.split_once('-')?;
    uid.parse().ok()
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found?.map(|entry| entry.map(|entry| entry.path())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_another_user_are_moved_aside_until_unused() {
        let data = tempfile::tempdir().unwrap();
        let (unpacked, tmp) = (data.path().join("unpacked/app"), data.path().join("tmp"));
        fs::create_dir_all(unpacked.join("old")).unwrap();
        fs::create_dir_all(unpacked.join("new")).unwrap();
        fs::create_dir_all(&tmp).unwrap();
        let (me, gone) = (fs::metadata(&unpacked).unwrap().uid(), *dyno::uids::APPS.end());
        std::os::unix::fs::chown(unpacked.join("new"), Some(gone), None).unwrap();

        put_aside(&unpacked, &tmp, gone).unwrap();
        assert_eq!(entries(&unpacked).unwrap(), [unpacked.join("new")]);
        assert_eq!(entries(&tmp).unwrap(), [tmp.join(format!("former-{me}-old"))]);
        assert_eq!(sweep(data.path()).unwrap(), Vec::<String>::new(), "we run as that user");

        put_aside(&unpacked, &tmp, me).unwrap();
        assert_eq!(sweep(data.path()).unwrap().len(), 1);
        assert_eq!(entries(&tmp).unwrap(), [tmp.join(format!("former-{me}-old"))]);
    }
}
