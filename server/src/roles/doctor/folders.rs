//! Folders whose owner matters: of the audit log's anchor, which others must not be able to change, and
//! of the router, which must be able to write.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use dyno::uids;

use super::Verdict::{self, Bad, Good, Warn};

/// Whether the file that the audit log is compared with is where only root can change it, and apart from
/// the database.
pub fn anchor(file: &Path, data: &Path) -> Verdict {
    let (shown, advice) = (file.display(), "name another with --audit-anchor");
    let Some(folder) = file.parent() else { return Bad(format!("{shown} is no file; {advice}")) };
    if !folder.exists() && folder.starts_with(data) {
        return Good(format!("{shown} will be made"));
    }
    let Ok(folder) = folder.canonicalize() else {
        return Bad(format!("the folder of {shown} is not there; make it (mkdir -p -m 700 {})", folder.display()));
    };
    if ["postgres", "postgres.new"].iter().any(|cluster| folder.starts_with(data.join(cluster))) {
        return Bad(format!(
            "{shown} is in the database's own directory, and would be put back together with it; {advice}"
        ));
    }
    if let Some(open) = folder.ancestors().find(|folder| is_of_others(folder)) {
        return Bad(format!(
            "{shown} could be replaced by others than root, who may write to {}; close it (chown root, chmod go-w), or {advice}",
            open.display()
        ));
    }
    match fs::symlink_metadata(file) {
        Ok(meta) if !meta.is_file() => Bad(format!("{shown} is no regular file; {advice}")),
        Ok(meta) if meta.uid() != 0 || meta.mode() & 0o022 != 0 => Bad(format!(
            "{shown} can be changed by others than root; close it with: chown root: {shown} && chmod 600 {shown}"
        )),
        _ if folder.starts_with(data) => {
            Good(format!("{shown}; --audit-anchor can name one that whoever restores the data does not restore, too"))
        }
        _ => Good(shown.to_string()),
    }
}

/// Whether somebody else than root may put things into a folder in place of what is there. Where the
/// sticky bit is, they cannot replace what is root's.
fn is_of_others(folder: &Path) -> bool {
    let Ok(meta) = fs::metadata(folder) else { return false };
    meta.uid() != 0 || (meta.mode() & 0o022 != 0 && meta.mode() & 0o1000 == 0)
}

/// Whether the router, which is a user of its own, can write to its folders, and nobody else.
pub fn router(data: &Path) -> Verdict {
    let folders = [router::table_dir(data), router::spool_dir(data)];
    if folders.iter().any(|folder| !folder.exists()) {
        return Good("will be made at the router's next start".into());
    }
    let is_its = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| meta.uid() == uids::ROUTER);
    let is_open = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o077 != 0);
    let within = |folder: &PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let strange = folders.iter().cloned().chain(folders.iter().flat_map(within)).find(|path| !is_its(path));
    let shown = folders.each_ref().map(|folder| folder.display().to_string()).join(" ");
    match (strange, folders.iter().any(|folder| is_open(folder))) {
        (Some(path), _) => Bad(format!(
            "{} does not belong to the router, which cannot write to it; put it right with: chown -hR {1}:{1} {shown}",
            path.display(),
            uids::ROUTER
        )),
        (None, true) => Warn(format!("others can look into what the router writes; close it with: chmod 700 {shown}")),
        (None, false) => Good(format!("{shown} are the router's, user {}", uids::ROUTER)),
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
    fn an_anchor_that_others_could_change_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().canonicalize().unwrap().join("data");
        assert!(matches!(anchor(&data.join("audit-anchor"), &data), Good(text) if text.contains("will be made")));
        fs::create_dir_all(data.join("postgres")).unwrap();
        assert!(matches!(anchor(&data.join("audit-anchor"), &data), Good(_)));
        bad(anchor(&data.join("postgres/anchor"), &data), "database's own directory");
        let apart = dir.path().join("apart");
        bad(anchor(&apart.join("anchor"), &data), "is not there");
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
            bad(anchor(&file, &data), "replaced by others");
        }
        mode(&apart, 0o755);
        chown(&apart, Some(uids::ROUTER), None).unwrap();
        bad(anchor(&file, &data), "replaced by others");
        chown(&apart, Some(0), None).unwrap();
        fs::remove_file(&file).unwrap();
        symlink("/etc/passwd", &file).unwrap();
        bad(anchor(&file, &data), "no regular file");
    }

    #[test]
    fn folders_that_the_router_cannot_write_to_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path();
        assert!(matches!(router(data), Good(text) if text.contains("will be made")));
        crate::roles::router::files::prepare(data, uids::ROUTER).unwrap();
        assert!(matches!(router(data), Good(_)));
        mode(&router::table_dir(data), 0o755);
        assert!(matches!(router(data), Warn(text) if text.contains("chmod 700")));
        mode(&router::table_dir(data), 0o700);
        fs::write(router::spool_dir(data).join("line"), "").unwrap();
        bad(router(data), "does not belong to the router");
    }
}
