//! The router's files: folders that belong to its user, and files that an earlier version left elsewhere.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::{PermissionsExt, chown, lchown},
    path::Path,
};

use anyhow::{Context, Result};

/// Creates the router's folders. An earlier version, which ran as root, kept the table in DIR/routes.json and
/// its lines in DIR/spool/router: these are moved, so that apps are served immediately and no line is lost.
pub fn prepare(data: &Path, user: u32) -> Result<()> {
    let (table, spool) = (router::table_dir(data), router::spool_dir(data));
    for folder in [&table, &spool] {
        own(folder, user).with_context(|| format!("create the folder {}", folder.display()))?;
    }
    let old = data.join("routes.json");
    take_over(&old, &table.join("routes.json"), user).with_context(|| format!("move {}", old.display()))?;
    let old = data.join("spool/router");
    for file in fs::read_dir(&old).into_iter().flatten().flatten() {
        take_over(&file.path(), &spool.join(file.file_name()), user)
            .with_context(|| format!("move {}", file.path().display()))?;
    }
    let _ = fs::remove_dir(&old);
    Ok(())
}

fn own(folder: &Path, user: u32) -> std::io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    chown(folder, Some(user), Some(user))
}

/// Gives a file to the router and moves it, unless there is a newer one. Only root can write to the old locations, so
/// nobody else can have put a file there for us to hand over.
fn take_over(old: &Path, new: &Path, user: u32) -> std::io::Result<()> {
    let is_file = fs::symlink_metadata(old).is_ok_and(|meta| meta.is_file());
    if !is_file || new.exists() {
        return Ok(());
    }
    lchown(old, Some(user), Some(user))?;
    fs::rename(old, new)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn files_of_an_earlier_version_are_migrated() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path();
        let user = nix::unistd::geteuid().as_raw() + 1;
        fs::create_dir_all(data.join("spool/router")).unwrap();
        fs::write(data.join("spool/router/00000000000000000007.spool"), "a line").unwrap();
        fs::write(data.join("routes.json"), "old").unwrap();
        for _ in 0..2 {
            prepare(data, user).unwrap();
            let table = router::table_dir(data).join("routes.json");
            let lines = router::spool_dir(data).join("00000000000000000007.spool");
            assert_eq!((fs::read(&table).unwrap(), fs::read(&lines).unwrap()), (b"old".into(), b"a line".into()));
            let found = [table, lines, router::table_dir(data), router::spool_dir(data)].map(|path| {
                let meta = fs::metadata(path).unwrap();
                (meta.uid(), meta.mode() & 0o077)
            });
            assert!(found.iter().all(|(owner, _)| *owner == user), "{found:?}");
            assert_eq!((found[2].1, found[3].1), (0, 0));
            assert!(!data.join("routes.json").exists() && !data.join("spool/router").exists());
        }
        // Newer files are kept.
        fs::write(data.join("routes.json"), "older").unwrap();
        prepare(data, user).unwrap();
        assert_eq!(fs::read_to_string(router::table_dir(data).join("routes.json")).unwrap(), "old");
    }
}
