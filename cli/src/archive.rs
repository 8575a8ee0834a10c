//! Archives of source code, to be uploaded: a folder, a commit, or an archive that is already one.
//!
//! Of a git repository, a folder's archive has what git would add: tracked files as they are on disk, and new ones that
//! `.gitignore` does not exclude. `.slugignore` is applied by the platform.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Seek, SeekFrom},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt as _, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    pin::Pin,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    task::{Context as Poller, Poll},
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::body::{Body, Frame, SizeHint};

use crate::git;

/// How much of an archive is sent at once.
const CHUNK: usize = 64 * 1024;

/// An archive (tar, in most cases compressed) to be sent as the body of a request.
pub struct Archive {
    file: File,
    left: u64,
    /// What it contains: a commit, with `-dirty` if files differ from it. Absent outside of git.
    pub version: Option<String>,
    /// The first line of the commit's message.
    pub description: Option<String>,
    /// The paths of submodules whose files it lacks.
    pub submodules: Vec<String>,
}

impl Archive {
    /// The archive at `path` itself if it is a file, and otherwise one of the files in that folder.
    pub fn of_path(path: &Path) -> Result<Self> {
        let says = || format!("read {}", path.display());
        if fs::metadata(path).with_context(says)?.is_file() {
            return Self::of_file(File::open(path).with_context(says)?, None);
        }
        match listed(path)?.filter(|names| !names.is_empty()) {
            Some(names) => Self::of_file(packed(path, &names)?, revision(path)?),
            // Outside of a repository, or a folder that git ignores, such as that of a build's results.
            None => Self::of_file(packed(path, &walked(path)?)?, None),
        }
    }

    /// The files of a commit of this folder's repository.
    pub fn of_commit(reference: &str) -> Result<Self> {
        let wanted = format!("{reference}^{{commit}}");
        let found = if reference.starts_with('-') { None } else { git::ask(&["rev-parse", "--verify", &wanted])? };
        let Some(commit) = found else {
            bail!("{reference} is not a commit of this folder's git repository. See: git log");
        };
        let (folder, commit) = (Path::new("."), commit.trim().to_owned());
        let (submodules, file) = (submodules(folder, &commit)?, archived(folder, &commit)?);
        let description = subject(".", &commit)?;
        Ok(Self { submodules, ..Self::of_file(file, Some((commit, description)))? })
    }

    fn of_file(mut file: File, of_git: Option<(String, Option<String>)>) -> Result<Self> {
        let left = file.seek(SeekFrom::End(0)).context("measure the archive")?;
        file.rewind().context("read the archive")?;
        let (version, description) = of_git.map_or((None, None), |(version, subject)| (Some(version), subject));
        Ok(Self { file, left, version, description, submodules: Vec::new() })
    }

    /// Its size in bytes, until it is sent.
    pub fn size(&self) -> u64 {
        self.left
    }
}

/// The archive of a commit of the repository of `folder`.
fn archived(folder: &Path, commit: &str) -> Result<File> {
    let objects = Objects::of(folder)?;
    match objects.archive(commit) {
        Err(_) if fetched(folder, commit)? => objects.archive(commit),
        archive => archive,
    }
}

/// Fetches the files of a commit that a partial clone lacks. git does so where it uses them, but a directory with nothing
/// but the objects has no remote to fetch from. Returns whether all are there.
fn fetched(folder: &Path, commit: &str) -> Result<bool> {
    let at = folder.to_string_lossy();
    let Some(empty) = git::ask(&["-C", &at, "hash-object", "-t", "tree", "/dev/null"])? else { return Ok(false) };
    // It reads the contents of all files, and fetches the missing ones together.
    Ok(git::ask(&["-C", &at, "diff-tree", "-r", "--no-relative", "--numstat", empty.trim(), commit])?.is_some())
}

/// The paths of the submodules of a commit.
fn submodules(folder: &Path, commit: &str) -> Result<Vec<String>> {
    let at = folder.to_string_lossy();
    let entries = git::ask(&["-C", &at, "ls-tree", "-r", "-z", "--full-tree", commit])?.unwrap_or_default();
    let path = |entry: &str| entry.strip_prefix("160000 ")?.split_once('\t').map(|(_, path)| path.to_owned());
    Ok(entries.split('\0').filter_map(path).collect())
}

/// A git directory with the objects of a repository, whose attributes take precedence over those of its commits: what is
/// left out of the archives of releases, or rewritten in them, is needed as it is.
struct Objects(PathBuf);

impl Objects {
    const FOLDERS: [&'static str; 4] = ["info", "refs", "objects", "objects/info"];
    const FILES: [&'static str; 4] = ["HEAD", "config", "info/attributes", "objects/info/alternates"];

    /// The objects of the repository of `folder`.
    fn of(folder: &Path) -> Result<Self> {
        let at = folder.to_string_lossy();
        let path = git::ask(&["-C", &at, "rev-parse", "--path-format=absolute", "--git-path", "objects"])?;
        let path = path.context("this version of git is too old; it has to be 2.31 or newer")?;
        let format = git::ask(&["-C", &at, "rev-parse", "--show-object-format"])?.unwrap_or_default();
        let config = match format.trim() {
            "sha256" => "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = sha256\n",
            _ => "[core]\n\trepositoryformatversion = 0\n",
        };
        let objects = Self(temporary_path());
        let says = || format!("create {}", objects.0.display());
        fs::DirBuilder::new().mode(0o700).create(&objects.0).with_context(says)?;
        for name in Self::FOLDERS {
            fs::create_dir(objects.0.join(name)).with_context(says)?;
        }
        let texts = ["ref: refs/heads/main\n", config, "* -export-ignore -export-subst\n", &path];
        for (name, text) in Self::FILES.iter().zip(texts) {
            fs::write(objects.0.join(name), text).with_context(says)?;
        }
        Ok(objects)
    }

    /// The archive of a commit.
    fn archive(&self, commit: &str) -> Result<File> {
        let file = temporary()?;
        let mut git = Command::new("git");
        // With `./`, the platform does not take a single folder for the whole source.
        git.arg("--git-dir").arg(&self.0).args(["archive", "--format=tar.gz", "--prefix=./", commit]);
        let copy = file.try_clone().context("write the archive")?;
        let done = git.stdin(Stdio::null()).stdout(copy).output().context("start git")?;
        if !done.status.success() {
            bail!("git archive failed: {}", String::from_utf8_lossy(&done.stderr).trim());
        }
        Ok(file)
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        for name in Self::FILES {
            let _ = fs::remove_file(self.0.join(name));
        }
        for name in Self::FOLDERS.iter().rev() {
            let _ = fs::remove_dir(self.0.join(name));
        }
        let _ = fs::remove_dir(&self.0);
    }
}

impl Body for Archive {
    type Data = Bytes;
    type Error = std::io::Error;

    /// Reads from a local file, and blocks for as long as that takes.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Poller<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut chunk = vec![0; CHUNK.min(usize::try_from(self.left).unwrap_or(CHUNK))];
        let read = match self.file.read(&mut chunk) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => Ok(read),
            Err(err) => Err(err),
        };
        Poll::Ready(Some(read.map(|read| {
            chunk.truncate(read);
            self.left -= read as u64;
            Frame::data(Bytes::from(chunk))
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The commit that is checked out in `folder`, with its subject if no file differs from it.
fn revision(folder: &Path) -> Result<Option<(String, Option<String>)>> {
    let at = folder.to_string_lossy();
    let Some(commit) = git::ask(&["-C", &at, "rev-parse", "--verify", "HEAD"])? else { return Ok(None) };
    let commit = commit.trim();
    let changes = git::ask(&["-C", &at, "status", "--porcelain", "--", "."])?;
    match changes.is_some_and(|changes| changes.is_empty()) {
        true => Ok(Some((commit.to_owned(), subject(&at, commit)?))),
        false => Ok(Some((format!("{commit}-dirty"), None))),
    }
}

fn subject(folder: &str, commit: &str) -> Result<Option<String>> {
    let subject = git::ask(&["-C", folder, "log", "-1", "--format=%s", commit])?;
    Ok(subject.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// The files that git would add, relative to `folder`; `None` outside of a repository.
fn listed(folder: &Path) -> Result<Option<Vec<PathBuf>>> {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "."]);
    let Ok(done) = git.stdin(Stdio::null()).stderr(Stdio::null()).output() else {
        // Without git, there are no repositories.
        return Ok(None);
    };
    if !done.status.success() {
        return Ok(None);
    }
    let mut names = Vec::new();
    for name in done.stdout.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let name = Path::new(std::ffi::OsStr::from_bytes(name));
        // A submodule, or another repository inside: what is in it.
        if fs::symlink_metadata(folder.join(name)).is_ok_and(|meta| meta.is_dir()) {
            names.extend(walked(&folder.join(name))?.into_iter().map(|inner| name.join(inner)));
        } else {
            names.push(name.to_owned());
        }
    }
    names.sort();
    names.dedup();
    Ok(Some(names))
}

/// All files in `folder`, relative to it, without those of git itself.
fn walked(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut left) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(inside) = left.pop() {
        let at = folder.join(&inside);
        for entry in fs::read_dir(&at).with_context(|| format!("read {}", at.display()))? {
            let entry = entry.with_context(|| format!("read {}", at.display()))?;
            let name = inside.join(entry.file_name());
            if entry.file_name() == ".git" {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) { left.push(name) } else { found.push(name) }
        }
    }
    found.sort();
    Ok(found)
}

/// An archive of these files of `folder`; what is neither a file nor a link is left out, and what has just been deleted.
fn packed(folder: &Path, names: &[PathBuf]) -> Result<File> {
    let file = temporary()?;
    let copy = file.try_clone().context("write the archive")?;
    let mut tar = tar::Builder::new(GzEncoder::new(copy, Compression::fast()));
    tar.follow_symlinks(false);
    tar.mode(tar::HeaderMode::Deterministic);
    // With an entry `./`, the platform does not take a single folder for the whole source.
    tar.append_dir("./", folder).context("write the archive")?;
    for name in names {
        let path = folder.join(name);
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_file() || meta.is_symlink() {
            tar.append_path_with_name(&path, name).with_context(|| format!("add {} to the archive", path.display()))?;
        }
    }
    tar.into_inner().and_then(GzEncoder::finish).context("write the archive")?;
    Ok(file)
}

/// A file without a name, which is gone when it is closed.
fn temporary() -> Result<File> {
    let path = temporary_path();
    let says = || format!("create {}", path.display());
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let file = options.open(&path).with_context(says)?;
    fs::remove_file(&path).with_context(says)?;
    Ok(file)
}

/// A path that nothing else of this process uses.
fn temporary_path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("wharf-source-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    std::env::temp_dir().join(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use flate2::read::GzDecoder;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("wharf-archive-{name}-{}", std::process::id()));
        fs::remove_dir_all(&dir).ok();
        fs::create_dir_all(dir.join("app/deep")).unwrap();
        fs::write(dir.join("Procfile"), "web: ./run\n").unwrap();
        fs::write(dir.join("app/deep/file"), "deep").unwrap();
        fs::write(dir.join("secret"), "secret").unwrap();
        fs::write(dir.join(".gitignore"), "secret\n").unwrap();
        symlink("Procfile", dir.join("link")).unwrap();
        dir
    }

    fn git(dir: &Path, args: &[&str]) {
        let mut git = Command::new("git");
        git.arg("-C").arg(dir).args(["-c", "user.name=a", "-c", "user.email=a@b.c"]).args(args);
        assert!(git.stdout(Stdio::null()).status().unwrap().success(), "{args:?}");
    }

    fn names(archive: Archive) -> Vec<String> {
        let mut tar = tar::Archive::new(GzDecoder::new(archive.file));
        let mut names: Vec<String> =
            tar.entries().unwrap().map(|e| e.unwrap().path().unwrap().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_outside_of_git_is_sent_as_it_is() {
        let dir = folder("plain");
        let archive = Archive::of_path(&dir).unwrap();
        assert!(archive.size() > 0 && archive.version.is_none());
        assert_eq!(names(archive), ["./", ".gitignore", "Procfile", "app/deep/file", "link", "secret"]);
        fs::remove_dir_all(dir).unwrap();
    }

    fn head(dir: &Path) -> String {
        let at = dir.to_string_lossy();
        git::ask(&["-C", &at, "rev-parse", "HEAD"]).unwrap().unwrap().trim().to_owned()
    }

    #[test]
    fn a_partial_clone_fetches_what_its_commit_needs() {
        let dir = folder("partial");
        fs::write(dir.join(".gitattributes"), "Procfile export-ignore\n").unwrap();
        fs::write(dir.join("picture"), b"\0\x01\x02").unwrap();
        for args in [
            &["init", "-q"][..],
            &["add", "."],
            &["commit", "-q", "-m", "First"],
            &["config", "uploadpack.allowFilter", "true"],
            &["config", "uploadpack.allowAnySHA1InWant", "true"],
        ] {
            git(&dir, args);
        }
        let url = format!("file://{}", dir.display());
        for filter in ["--filter=blob:none", "--filter=tree:0"] {
            git(&dir, &["clone", "-q", "--no-checkout", filter, &url, "clone"]);
            let clone = dir.join("clone");
            let commit = head(&clone);
            assert!(Objects::of(&clone).unwrap().archive(&commit).is_err(), "the clone has everything: {filter}");
            let found = names(Archive::of_file(archived(&clone, &commit).unwrap(), None).unwrap());
            for name in ["Procfile", "app/deep/file", "picture"] {
                assert!(found.iter().any(|found| found.trim_start_matches("./") == name), "{name}: {found:?}");
            }
            fs::remove_dir_all(clone).unwrap();
        }
        let nothing = archived(&dir, &"0".repeat(40)).unwrap_err().to_string();
        assert!(nothing.starts_with("git archive failed: "), "{nothing}");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn submodules_of_a_commit_are_named() {
        let dir = folder("submodules");
        git(&dir, &["init", "-q"]);
        git(&dir, &["add", "."]);
        git(&dir, &["commit", "-q", "-m", "First"]);
        assert!(submodules(&dir, &head(&dir)).unwrap().is_empty());
        for path in ["vendor/a b", "theme"] {
            let entry = format!("160000,{},{path}", head(&dir));
            git(&dir, &["update-index", "--add", "--cacheinfo", &entry]);
        }
        git(&dir, &["commit", "-q", "-m", "Second"]);
        // From a folder inside, too.
        assert_eq!(submodules(&dir.join("app"), &head(&dir)).unwrap(), ["theme", "vendor/a b"]);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn of_a_repository_ignored_files_stay_behind() {
        let dir = folder("git");
        git(&dir, &["init", "-q"]);
        git(&dir, &["add", "Procfile", ".gitignore"]);
        git(&dir, &["commit", "-q", "-m", "First"]);
        let archive = Archive::of_path(&dir).unwrap();
        assert!(archive.version.as_ref().unwrap().ends_with("-dirty"), "{:?}", archive.version);
        assert_eq!(names(archive), ["./", ".gitignore", "Procfile", "app/deep/file", "link"]);
        git(&dir, &["add", "."]);
        git(&dir, &["commit", "-q", "-m", "Second"]);
        let archive = Archive::of_path(&dir).unwrap();
        assert_eq!((archive.version.unwrap().len(), archive.description.as_deref()), (40, Some("Second")));
        // A commit is sent as a clone would have it.
        fs::write(dir.join(".gitattributes"), "app export-ignore\nProcfile export-subst\n").unwrap();
        git(&dir, &["add", "."]);
        git(&dir, &["commit", "-q", "-m", "Third"]);
        let objects = Objects::of(&dir.join("app")).unwrap();
        let archive = Archive::of_file(objects.archive(&head(&dir)).unwrap(), None).unwrap();
        let found = names(archive);
        for name in [".gitattributes", "Procfile", "app/deep/file", "link"] {
            assert!(found.iter().any(|found| found.trim_start_matches("./") == name), "{name}: {found:?}");
        }
        let path = objects.0.clone();
        drop(objects);
        assert!(!path.exists());
        // A folder inside, and one that is ignored as a whole.
        assert_eq!(names(Archive::of_path(&dir.join("app")).unwrap()), ["./", "deep/file"]);
        fs::write(dir.join(".gitignore"), "app\n").unwrap();
        git(&dir, &["rm", "-rq", "--cached", "app"]);
        let archive = Archive::of_path(&dir.join("app")).unwrap();
        assert_eq!((archive.version.clone(), names(archive)), (None, vec!["./".into(), "deep/file".into()]));
        fs::remove_dir_all(dir).unwrap();
    }
}
