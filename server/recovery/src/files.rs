//! The files of a backup: which ones, and how those of a changing directory are read consistently.
//!
//! Everything in a directory that is small goes into one archive per directory, so that a backup has few objects; the
//! others, such as packs of git and segments of logs, are blobs of their own, which later backups share.
//!
//! A repository is read in two parts. Its refs are read before the database is dumped, and its objects afterwards: so
//! every object that a ref needs is there, and no ref is newer than the database. Packs that git replaces meanwhile are
//! found by listing them again.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};
use trees::{Bounds, Dir, Walk};

/// Files from this size on are blobs of their own.
const LARGE: u64 = 1 << 20;
/// No limit that a tree of ours reaches.
const BOUNDS: Bounds = Bounds { depth: 100, path: 4000, entries: 100_000_000 };
/// Attempts at a repository that git is packing.
const ATTEMPTS: usize = 10;

/// Single files of the data directory. The master key is not among them, and the audit anchor must not be older than the
/// log it is compared with.
pub const SINGLE: [&str; 2] = ["server-id", "admin-token"];
/// Folders whose subfolders belong to one app each, and which are left out on request.
const LOGS: [&str; 3] = ["logs", "builds", "metrics"];
const GIT: &str = "git";

/// The content of a directory, read as far as possible: open files do not vanish.
pub struct Content {
    /// In the data directory.
    pub path: String,
    /// A tar archive of the small files.
    pub archive: File,
    /// The large files: path in the data directory, content, bytes at the time of reading.
    pub large: Vec<(String, File, u64)>,
}

/// A repository's files outside its objects.
pub struct Refs {
    /// Its folder in the data directory.
    pub path: String,
    files: Vec<(PathBuf, Vec<u8>)>,
}

/// The refs of all repositories.
///
/// # Errors
/// If a file cannot be read.
pub fn refs(data: &Path) -> anyhow::Result<Vec<Refs>> {
    let mut all = Vec::new();
    for name in names(&data.join(GIT))?.into_iter().filter(|name| name.ends_with(".git")) {
        let path = format!("{GIT}/{name}");
        let mut refs = Refs { path, files: Vec::new() };
        let read = refs.read(&data.join(&refs.path));
        if was_found(read).with_context(|| format!("read the refs in {}", refs.path))?.is_some() {
            all.push(refs);
        }
    }
    Ok(all)
}

impl Refs {
    fn read(&mut self, folder: &Path) -> io::Result<()> {
        let mut walk = Walk::new(&Dir::open(folder)?, BOUNDS)?;
        while let Some(found) = walk.next()? {
            if found.is_dir() && found.path == Path::new("objects") {
                walk.pass_over();
            } else if found.is_file() && found.path.extension().is_none_or(|ending| ending != "lock") {
                // A ref can be packed or deleted while they are read.
                let Some(mut file) = was_found(walk.here().file(found.name.as_ref()))? else { continue };
                let mut content = Vec::new();
                file.read_to_end(&mut content)?;
                self.files.push((found.path, content));
            }
        }
        // A ref that was packed during the walk is in the file that is read last.
        if let Some(mut file) = was_found(Dir::open(folder)?.file(Path::new("packed-refs")))? {
            let mut content = Vec::new();
            file.read_to_end(&mut content)?;
            self.files.retain(|(path, _)| path != Path::new("packed-refs"));
            self.files.push(("packed-refs".into(), content));
        }
        Ok(())
    }

    /// The whole repository: these refs, and its objects as they are now. Nothing if it was removed.
    ///
    /// # Errors
    /// If a file cannot be read, or git packs it all the time.
    pub fn with_objects(&self, data: &Path, temporary: &Path) -> anyhow::Result<Option<Content>> {
        let folder = data.join(&self.path);
        for _ in 0..ATTEMPTS {
            let Some(before) = was_found(packs(&folder))? else { return Ok(None) };
            let mut content = Reader::new(&self.path, temporary)?;
            for (path, bytes) in &self.files {
                content.add(path, bytes)?;
            }
            let read = content.walk(&folder, true, &|path| path.starts_with("objects") && !is_temporary(path));
            if was_found(read)?.is_none() {
                return Ok(None);
            }
            if was_found(packs(&folder))?.is_some_and(|after| after == before) {
                return content.finish().map(Some);
            }
        }
        Err(anyhow!("git does not stop packing it"))
    }
}

/// The names of the packs of a repository.
fn packs(repository: &Path) -> io::Result<Vec<String>> {
    let packs = repository.join("objects/pack");
    fs::metadata(repository)?;
    let mut found = names(&packs)?;
    found.retain(|name| !is_temporary(Path::new(name)));
    Ok(found)
}

/// Names of what git has not completed.
fn is_temporary(path: &Path) -> bool {
    path.iter().any(|part| {
        let part = part.to_string_lossy();
        part.starts_with("tmp_") || part.starts_with(".tmp-") || part.ends_with(".lock") || part.ends_with(".keep")
    })
}

/// The folders of logs, metrics and outputs.
///
/// # Errors
/// If one cannot be listed.
pub fn log_folders(data: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for top in LOGS {
        found.push(top.to_owned());
        for name in names(&data.join(top))? {
            if data.join(top).join(&name).is_dir() {
                found.push(format!("{top}/{name}"));
            }
        }
    }
    Ok(found)
}

/// The content of one of [`log_folders`]. Nothing if it was removed.
///
/// # Errors
/// If a file cannot be read.
pub fn log_folder(data: &Path, path: &str, temporary: &Path) -> anyhow::Result<Option<Content>> {
    let mut content = Reader::new(path, temporary)?;
    // The subfolders of a top folder are listed themselves.
    let is_top = !path.contains('/');
    let read = content.walk(&data.join(path), !is_top, &|_| true);
    match was_found(read)? {
        Some(()) => content.finish().map(Some),
        None => Ok(None),
    }
}

/// The path of the archive of a slug, and its checksum without the prefix.
///
/// # Errors
/// If it is not a checksum.
pub fn slug(checksum: &str) -> anyhow::Result<(String, String)> {
    let hex = checksum.strip_prefix("SHA256:").unwrap_or(checksum).to_owned();
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        bail!("{checksum} is not a SHA-256 checksum");
    }
    Ok((format!("slugs/{}/{hex}.slug", &hex[..2]), hex))
}

/// The names in a folder, in order; none if it does not exist.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let Some(entries) = was_found(fs::read_dir(folder))? else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Nothing if it does not exist (any more).
fn was_found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

/// Reads a directory.
struct Reader {
    path: String,
    archive: tar::Builder<File>,
    large: Vec<(String, File, u64)>,
}

impl Reader {
    fn new(path: &str, temporary: &Path) -> anyhow::Result<Self> {
        let archive = tempfile::tempfile_in(temporary).context("create a temporary file")?;
        Ok(Self { path: path.to_owned(), archive: tar::Builder::new(archive), large: Vec::new() })
    }

    /// Reads the files whose paths in `folder` are `wanted`, with `deep` also those in its subfolders.
    fn walk(&mut self, folder: &Path, deep: bool, wanted: &dyn Fn(&Path) -> bool) -> io::Result<()> {
        let mut walk = Walk::new(&Dir::open(folder)?, BOUNDS)?;
        while let Some(found) = walk.next()? {
            if found.is_dir() && !deep {
                walk.pass_over();
            }
            if !found.is_file() || !wanted(&found.path) {
                continue;
            }
            let Some(file) = was_found(walk.here().file(found.name.as_ref()))? else { continue };
            let size = file.metadata()?.len();
            if size >= LARGE {
                let path = found.path.to_str().ok_or_else(|| io::Error::other("a name is not UTF-8"))?;
                self.large.push((format!("{}/{path}", self.path), file, size));
                continue;
            }
            let mut content = Vec::new();
            file.take(size).read_to_end(&mut content)?;
            self.add(&found.path, &content)?;
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        // The same content is the same archive, whenever it is read.
        header.set_mtime(0);
        self.archive.append_data(&mut header, path, content)
    }

    fn finish(self) -> anyhow::Result<Content> {
        let archive = self.archive.into_inner().context("write a temporary file")?;
        Ok(Content { path: self.path, archive, large: self.large })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, content: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn unpacked(content: &Content) -> Vec<(String, String)> {
        let mut archive = content.archive.try_clone().unwrap();
        io::Seek::rewind(&mut archive).unwrap();
        let mut found = Vec::new();
        for entry in tar::Archive::new(archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.push((entry.path().unwrap().display().to_string(), text));
        }
        found.sort();
        found
    }

    #[test]
    fn refs_are_older_than_objects() {
        let dir = tempfile::tempdir().unwrap();
        let repository = dir.path().join("git/a.git");
        write(&repository.join("HEAD"), b"ref: refs/heads/main\n");
        write(&repository.join("refs/heads/main"), b"1");
        write(&repository.join("refs/heads/main.lock"), b"2");
        write(&repository.join("objects/aa/01"), b"object");
        let all = refs(dir.path()).unwrap();
        write(&repository.join("refs/heads/main"), b"2");
        write(&repository.join("objects/bb/02"), b"later");
        write(&repository.join("objects/pack/tmp_pack_x"), b"incomplete");
        write(&repository.join("objects/pack/pack-1.pack"), &vec![7; LARGE as usize]);
        let content = all[0].with_objects(dir.path(), dir.path()).unwrap().unwrap();
        let pairs =
            |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        let head = ("HEAD", "ref: refs/heads/main\n");
        let objects = [("objects/aa/01", "object"), ("objects/bb/02", "later")];
        assert_eq!(unpacked(&content), pairs(&[head, objects[0], objects[1], ("refs/heads/main", "1")]));
        let large: Vec<_> = content.large.iter().map(|(path, _, size)| (path.as_str(), *size)).collect();
        assert_eq!(large, [("git/a.git/objects/pack/pack-1.pack", LARGE)]);
        fs::remove_dir_all(&repository).unwrap();
        assert!(all[0].with_objects(dir.path(), dir.path()).unwrap().is_none());
    }

    #[test]
    fn folders_of_logs_are_read_once() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("logs/index"), b"top");
        write(&dir.path().join("logs/app/1"), b"lines");
        assert_eq!(log_folders(dir.path()).unwrap(), ["logs", "logs/app", "builds", "metrics"]);
        let read = |path: &str| log_folder(dir.path(), path, dir.path()).unwrap().map(|content| unpacked(&content));
        assert_eq!(read("logs").unwrap(), [("index".to_owned(), "top".to_owned())]);
        assert_eq!(read("logs/app").unwrap(), [("1".to_owned(), "lines".to_owned())]);
        assert_eq!(read("builds"), None);
    }

    #[test]
    fn slugs_are_named_by_their_checksum() {
        let hex = "ab".repeat(32);
        assert_eq!(slug(&format!("SHA256:{hex}")).unwrap(), (format!("slugs/ab/{hex}.slug"), hex));
        assert!(slug("SHA256:../../etc").is_err());
    }
}
