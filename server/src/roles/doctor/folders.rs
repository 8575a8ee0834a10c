//! Folders whose owner matters: the one of the audit anchor, which others must not be able to change, and
//! those of the router, which must be able to write to them. And what the data directory says about backups.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use dyno::uids;

use super::Verdict::{self, Bad, Good, Warn};

/// The maximum age of the newest verified backup: a daily one, and a failure.
const MOST_AGE: Duration = Duration::from_secs(50 * 3600);

/// Whether there is a recent backup that was verified, as the server has noted in the data directory.
pub fn backup(data: &Path) -> Verdict {
    let advice = "set a target for backups on the page Platform, or run wharfd backup; README explains both";
    if !data.join("admin-token").exists() {
        return Good("none yet; nothing has been stored".into());
    }
    let file = data.join(recovery::VERIFIED);
    let verified = fs::metadata(&file).and_then(|meta| meta.modified());
    match (verified, fs::read_to_string(&file)) {
        (Ok(at), Ok(time)) => match at.elapsed().unwrap_or_default() > MOST_AGE {
            false => Good(format!("the newest verified backup was made at {time}")),
            true => Warn(format!("the newest verified backup was made at {time}; the page Platform shows why")),
        },
        _ => Warn(format!("there is no verified backup; {advice}")),
    }
}

/// Whether only root can change the audit anchor, and whether it is separate from
/// the database.
pub fn anchor(file: &Path, data: &Path) -> Verdict {
    let (shown, advice) = (file.display(), "choose another with --audit-anchor");
    let Some(folder) = file.parent() else { return Bad(format!("{shown} is not a file; {advice}")) };
    if !folder.exists() && folder.starts_with(data) {
        return Good(format!("{shown} will be created"));
    }
    let Ok(folder) = folder.canonicalize() else {
        return Bad(format!("the folder of {shown} does not exist; create it (mkdir -p -m 700 {})", folder.display()));
    };
    if ["postgres", "postgres.new"].iter().any(|cluster| folder.starts_with(data.join(cluster))) {
        return Bad(format!(
            "{shown} is in the database's own directory and would be restored together with it; {advice}"
        ));
    }
    if let Some(open) = folder.ancestors().find(|folder| is_of_others(folder)) {
        return Bad(format!(
            "{shown} could be replaced by other users than root, who can write to {}; fix that (chown root, chmod go-w), or {advice}",
            open.display()
        ));
    }
    match fs::symlink_metadata(file) {
        Ok(meta) if !meta.is_file() => Bad(format!("{shown} is not a regular file; {advice}")),
        Ok(meta) if meta.uid() != 0 || meta.mode() & 0o022 != 0 => Bad(format!(
            "{shown} can be changed by other users than root; fix it with: chown root: {shown} && chmod 600 {shown}"
        )),
        _ if folder.starts_with(data) => {
            Good(format!("{shown}; with --audit-anchor it can be kept apart from the backups of the data"))
        }
        _ => Good(shown.to_string()),
    }
}

/// Whether other users than root can replace the contents of a folder. With the
/// sticky bit they cannot replace root's files.
fn is_of_others(folder: &Path) -> bool {
    let Ok(meta) = fs::metadata(folder) else { return false };
    meta.uid() != 0 || (meta.mode() & 0o022 != 0 && meta.mode() & 0o1000 == 0)
}

/// Whether the router, which runs as its own user, and nobody else can write to its folders.
pub fn router(data: &Path) -> Verdict {
    let folders = [router::table_dir(data), router::spool_dir(data)];
    if folders.iter().any(|folder| !folder.exists()) {
        return Good("will be created at the router's next start".into());
    }
    let is_its = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| meta.uid() == uids::ROUTER);
    let is_open = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o077 != 0);
    let within = |folder: &PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let strange = folders.iter().cloned().chain(folders.iter().flat_map(within)).find(|path| !is_its(path));
    let shown = folders.each_ref().map(|folder| folder.display().to_string()).join(" ");
    match (strange, folders.iter().any(|folder| is_open(folder))) {
        (Some(path), _) => Bad(format!(
            "{} does not belong to the router, which cannot write to it; fix it with: chown -hR {1}:{1} {shown}",
            path.display(),
            uids::ROUTER
        )),
        (None, true) => Warn(format!("other users can read the router's files; fix it with: chmod 700 {shown}")),
        (None, false) => Good(format!("{shown} belong to the router, user {}", uids::ROUTER)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[track_caller]
    fn bad(verdict: Verdict, part: &str) {
        match verdict {
            Bad(text) => assert!(text.contains(part), "{text}"),
            Good(text) | Warn(text) => panic!("{text} should be bad: {part}"),
        }
    }

    #[test]
    fn an_anchor_that_others_could_change_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().canonicalize().unwrap().join("data");
        assert!(matches!(anchor(&data.join("audit-anchor"), &data), Good(text) if text.contains("will be created")));
        fs::create_dir_all(data.join("postgres")).unwrap();
        assert!(matches!(anchor(&data.join("audit-anchor"), &data), Good(_)));
        bad(anchor(&data.join("postgres/anchor"), &data), "database's own directory");
        let apart = dir.path().join("apart");
        bad(anchor(&apart.join("anchor"), &data), "does not exist");
        fs::create_dir(&apart).unwrap();
        mode(&apart, 0o755);
        let file = apart.join("anchor");
        assert!(matches!(anchor(&file, &data), Good(_)));
        fs::write(&file, "").unwrap();
        mode(&file, 0o620);
        bad(anchor(&file, &data), "chmod 600");
        mode(&file, 0o600);
        assert!(matches!(anchor(&file, &data), Good(_)));
        for wrong in [0o775, 0o757] {
            mode(&apart, wrong);
            bad(anchor(&file, &data), "replaced by other users");
        }
        mode(&apart, 0o755);
        chown(&apart, Some(uids::ROUTER), None).unwrap();
        bad(anchor(&file, &data), "replaced by other users");
        chown(&apart, Some(0), None).unwrap();
        fs::remove_file(&file).unwrap();
        symlink("/etc/passwd", &file).unwrap();
        bad(anchor(&file, &data), "not a regular file");
    }

    #[test]
    fn folders_that_the_router_cannot_write_to_are_reported() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path();
        assert!(matches!(router(data), Good(text) if text.contains("will be created")));
        crate::roles::router::files::prepare(data, uids::ROUTER).unwrap();
        assert!(matches!(router(data), Good(_)));
        mode(&router::table_dir(data), 0o755);
        assert!(matches!(router(data), Warn(text) if text.contains("chmod 700")));
        mode(&router::table_dir(data), 0o700);
        fs::write(router::spool_dir(data).join("line"), "").unwrap();
        bad(router(data), "does not belong to the router");
    }
}
