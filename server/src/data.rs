//! The data directory and the run directory: created and checked.
//!
//! ```text
//! DIR  0711 root       master.key, admin-token, server-id, routes.json  0600
//!   postgres/  0700 postgres   the platform's own cluster, which will not run as root
//!   git/ slugs/ dynos/ logs/ …  0700 root
//!   router-table/ router-spool/  0700 the router's user
//! RUN  0711 root       sockets and locks  0600
//!   pg/        0700 postgres
//! ```
//!
//! DIR and RUN can be traversed, because the user `postgres` has to reach its folders; nothing in them can
//! be listed, read or opened by other users, even if an earlier version left it open.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{config::Settings, machine};

/// Folders private to root.
const PRIVATE: [&str; 12] = [
    "git",
    "slugs",
    "cache",
    "unpacked",
    "dynos",
    "logs",
    "spool",
    "buildpacks",
    "tmp",
    "builds",
    "sources",
    "metrics",
];
/// The folder of a restore, which is removed at its end.
pub const RESTORING: &str = "restoring";
/// Other known entries of a data directory.
const KNOWN: [&str; 8] =
    ["master.key", "admin-token", "server-id", "postgres", "postgres.new", RESTORING, "routes.json", "lost+found"];
/// Entries of the user `postgres`, which sets their permissions itself.
const OF_POSTGRES: [&str; 3] = ["postgres", "postgres.new", "pg"];
/// The directory of all RUNs, and the folder shared by them.
const RUNS: &str = "/run/wharf";
const NETWORK: &str = "/run/wharf/network";

/// Creates the data directory and the run directory; an error says what is wrong with them. Stores
/// the real path of the data directory in `settings`.
pub fn prepare(settings: &mut Settings) -> Result<()> {
    settings.resolve()?;
    if let Some(why) = trouble(&settings.data, settings.master_key.is_some()) {
        bail!(why);
    }
    prepare_without_secrets(settings)
}

/// Like [`prepare`], for a role that gets neither the key nor the database.
pub fn prepare_without_secrets(settings: &mut Settings) -> Result<()> {
    settings.resolve()?;
    make(&settings.data, 0o711)?;
    settings.resolve()?;
    let data = &settings.data;
    if let Some(why) = machine::disk_trouble(data) {
        bail!(why);
    }
    for folder in PRIVATE {
        make(&data.join(folder), 0o700)?;
    }
    make(Path::new(RUNS), 0o711)?;
    make(&settings.run(), 0o711)?;
    // The folder shared by all RUNs is fixed by the process that takes its lock.
    let open = open_places(data, &settings.run());
    open.iter().filter(|place| !place.starts_with(NETWORK)).try_for_each(|place| close(place))
}

/// Entries accessible to other users, in the data directory, RUN and the folder shared by all RUNs.
pub fn open_places(data: &Path, run: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in [data, run, Path::new(RUNS), Path::new(NETWORK)] {
        let Ok(meta) = fs::metadata(folder) else { continue };
        let wanted = if is_passed(folder, data, run) { 0o711 } else { 0o700 };
        if meta.permissions().mode() & 0o777 & !wanted != 0 {
            found.push(folder.to_owned());
        }
        // The RUNs of other data directories can be traversed like this one.
        if folder != Path::new(RUNS) {
            found.extend(fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).filter(|p| is_open(p)));
        }
    }
    found
}

/// Whether the user `postgres` has to traverse the folder.
pub fn is_passed(folder: &Path, data: &Path, run: &Path) -> bool {
    [data, run, Path::new(RUNS)].contains(&folder)
}

fn is_open(entry: &Path) -> bool {
    let of_postgres = entry.file_name().is_some_and(|name| OF_POSTGRES.iter().any(|ours| name == *ours));
    let Ok(meta) = fs::symlink_metadata(entry) else { return false };
    !of_postgres && !meta.is_symlink() && meta.permissions().mode() & 0o077 != 0
}

/// Removes the permissions of other users.
fn close(place: &Path) -> Result<()> {
    let closed = fs::symlink_metadata(place)
        .and_then(|meta| fs::set_permissions(place, fs::Permissions::from_mode(meta.permissions().mode() & 0o700)));
    match closed {
        Err(err) if err.kind() != ErrorKind::NotFound => {
            Err(err).with_context(|| format!("restrict the permissions of {}", place.display()))
        }
        _ => Ok(()),
    }
}

/// Creates a folder if necessary, with exactly these permissions.
pub fn make(folder: &Path, mode: u32) -> Result<()> {
    let explain = |err: std::io::Error| match err.kind() {
        ErrorKind::StorageFull => {
            anyhow::anyhow!("The disk of {} is full. Free some space and start again.", folder.display())
        }
        ErrorKind::ReadOnlyFilesystem => {
            anyhow::anyhow!("{} is on a read-only disk. Choose another with --data.", folder.display())
        }
        _ => anyhow::Error::new(err).context(format!("create the folder {}", folder.display())),
    };
    fs::create_dir_all(folder).map_err(explain)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).map_err(explain)
}

/// Creates a folder owned by the system user `postgres`.
pub fn make_for_postgres(folder: &Path) -> Result<()> {
    let user = machine::postgres_user()?;
    make(folder, 0o700)?;
    chown(folder, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
        .with_context(|| format!("change the owner of {} to postgres", folder.display()))
}

/// A problem with a data directory, and how to fix it. `None` if it does not exist yet. Its key is not
/// required if another is given.
pub fn trouble(data: &Path, key_is_given: bool) -> Option<String> {
    incomplete(data).or_else(|| unusable(data, key_is_given))
}

/// A restore that has not ended, or never will.
fn incomplete(data: &Path) -> Option<String> {
    data.join(RESTORING).exists().then(|| {
        format!(
            "{} has an incomplete restore of a backup. Wait until it has ended; if it was interrupted, run wharfd restore \
             again, into an empty directory.",
            data.display()
        )
    })
}

/// Like [`trouble`], for a restore, which can follow an interrupted one.
pub fn unusable(data: &Path, key_is_given: bool) -> Option<String> {
    let shown = data.display();
    let entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(err) if err.kind() == ErrorKind::NotFound => return closed_parent(data),
        Err(err) if err.kind() == ErrorKind::NotADirectory => {
            return Some(format!("{shown} is a file. Set the data directory with --data."));
        }
        Err(err) => {
            return Some(format!("{shown} cannot be read ({err}). Repair the disk, or choose another with --data."));
        }
    };
    let ours = |name: &str| PRIVATE.contains(&name) || KNOWN.contains(&name) || name.starts_with("route");
    let names: Vec<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    if !names.is_empty() && !names.iter().any(|name| ours(name)) {
        return Some(format!(
            "{shown} is not a data directory of Wharf: it contains other files ({}). Choose an empty or new one with --data.",
            names[0]
        ));
    }
    let bad_key = || if key_is_given { None } else { bad_key(data) };
    closed_parent(data).or_else(bad_key).or_else(|| bad_cluster(data))
}

/// A key that is unreadable, or missing although secrets were encrypted with it.
fn bad_key(data: &Path) -> Option<String> {
    let key = data.join("master.key");
    let restore = "Restore it from your backup: the secrets in the database cannot be decrypted without it. \
                   To start over, choose a new directory with --data";
    match fs::read_to_string(&key) {
        Ok(text) if text.trim().is_empty() => Some(format!("{} is empty. {restore}.", key.display())),
        Ok(_) => None,
        Err(err) if err.kind() == ErrorKind::NotFound => {
            // The token is written at the end of the first start, after the key.
            let started_once = data.join("admin-token").exists() && data.join("postgres/PG_VERSION").exists();
            started_once.then(|| format!("{} is missing. {restore}, or set WHARF_MASTER_KEY.", key.display()))
        }
        Err(err) => Some(format!("{} cannot be read ({err}). {restore}.", key.display())),
    }
}

fn bad_cluster(data: &Path) -> Option<String> {
    let cluster = data.join("postgres");
    let empty = fs::read_dir(&cluster).map_or(true, |mut entries| entries.next().is_none());
    if empty {
        return None;
    }
    match fs::read_to_string(cluster.join("PG_VERSION")) {
        Ok(text) if text.trim().parse::<u32>().is_ok() => None,
        _ => Some(format!(
            "{} is damaged: its file PG_VERSION is missing or cannot be read. Restore the folder from a backup, or move it \
             away to start without the old data.",
            cluster.display()
        )),
    }
}

/// An ancestor of the data directory that the user `postgres` cannot traverse.
fn closed_parent(data: &Path) -> Option<String> {
    let above: Vec<PathBuf> = data.ancestors().skip(1).map(Path::to_owned).collect();
    let closed = |folder: &&PathBuf| fs::metadata(folder).is_ok_and(|m| m.permissions().mode() & 0o001 == 0);
    above.iter().find(closed).map(|folder| {
        format!(
            "{} is in {}, which the system users of Postgres and apps cannot traverse. Choose another directory with --data, \
             or allow it: chmod o+x {1}",
            data.display(),
            folder.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(make: impl Fn(&Path), expected: Option<&str>) {
        let dir = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o711)).tempdir().unwrap();
        make(dir.path());
        let why = trouble(dir.path(), false);
        match expected {
            None => assert_eq!(why, None),
            Some(part) => {
                assert!(why.as_ref().is_some_and(|why| why.contains(part)), "{why:?} should contain {part:?}")
            }
        }
    }

    #[test]
    fn problems_of_a_data_directory_are_described() {
        let write = |file: PathBuf, text: &str| {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        check(|_| {}, None);
        check(|dir| write(dir.join("photo.jpg"), ""), Some("is not a data directory of Wharf"));
        check(|dir| write(dir.join("master.key"), "\n"), Some("master.key is empty"));
        check(|dir| fs::create_dir(dir.join("master.key")).unwrap(), Some("master.key cannot be read"));
        check(|dir| write(dir.join("postgres/base"), ""), Some("is damaged: its file PG_VERSION"));
        let started = |dir: &Path| {
            write(dir.join("postgres/PG_VERSION"), "15\n");
            write(dir.join("admin-token"), "x");
        };
        check(started, Some("master.key is missing"));
        let dir = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o711)).tempdir().unwrap();
        started(dir.path());
        assert_eq!(trouble(dir.path(), true), None, "another key is given");
        check(|dir| (started(dir), write(dir.join("master.key"), "x")).1, None);
        // Killed while it was moved into place, or just before the end.
        check(|dir| fs::create_dir_all(dir.join("restoring/postgres")).unwrap(), Some("an incomplete restore"));
        fs::create_dir(dir.path().join("restoring")).unwrap();
        assert!(trouble(dir.path(), true).is_some_and(|why| why.contains("an incomplete restore")));
        assert_eq!(unusable(dir.path(), true), None, "for another restore");
    }

    #[test]
    fn permissions_of_an_earlier_version_are_restricted() {
        let dir = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
        let (data, run) = (dir.path().join("data"), dir.path().join("run"));
        for folder in [&data, &run, &data.join("builds"), &data.join("postgres"), &run.join("pg")] {
            make(folder, 0o755).unwrap();
        }
        let socket = run.join("server.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(data.join("routes.json"), "{}").unwrap();
        fs::set_permissions(data.join("routes.json"), fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", data.join("link")).unwrap();

        let mine = |places: Vec<PathBuf>| places.into_iter().filter(|p| p.starts_with(dir.path())).collect::<Vec<_>>();
        let mut open = mine(open_places(&data, &run));
        open.sort();
        assert_eq!(open, [data.clone(), data.join("builds"), data.join("routes.json"), run.clone(), socket.clone()]);
        make(&data, 0o711).unwrap();
        make(&run, 0o711).unwrap();
        open.iter().filter(|place| **place != data && **place != run).for_each(|place| close(place).unwrap());
        assert_eq!(mine(open_places(&data, &run)), Vec::<PathBuf>::new());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&data.join("builds")), mode(&socket) & 0o077), (0o711, 0o700, 0));
        assert_eq!(mode(&data.join("postgres")), 0o755, "it is closed by postgres");
    }

    #[test]
    fn a_file_is_no_directory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(trouble(file.path(), false).unwrap().contains("is a file"));
    }

    #[test]
    fn a_closed_folder_above_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let why = trouble(&dir.path().join("data"), false).unwrap();
        assert!(why.contains(&format!("chmod o+x {}", dir.path().display())), "{why}");
    }
}
