//! Checks out a commit: its files, as a tar archive, and what is not in it, such as submodules.
//!
//! The archive is made by `git archive`, but it is that of a clone: attributes that leave files out of the archives of
//! releases, or rewrite them, do not apply. It is written to an open file, from its current position on, so that the
//! archives of a commit and of its submodules become one.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::Stdio,
};

use anyhow::{Context as _, anyhow, bail};
use api::ids::AppId;
use serde::{Deserialize, Serialize};
use worker::{Lines, Task, TaskFiles, Work};

use crate::{
    branches::is_id,
    handle::Repositories,
    inside::{command, run},
    plumbing::{self, REPOSITORY},
};

/// Takes precedence over the attributes of the commit.
const ATTRIBUTES: &str = "* -export-ignore -export-subst\n";
/// The maximum number of submodules of one repository that are reported, and of bytes of their URLs: an answer of a worker
/// is limited, and URLs are part of the build's output.
const MOST_SUBMODULES: usize = 200;
const MOST_URL: usize = 2048;
/// Bytes of an entry in a list. Longer paths cannot be checked out.
const MOST_LINE: u64 = 8 << 10;
/// The mode of a submodule in a tree.
const SUBMODULE: &str = "160000";
/// The beginning of a Git LFS pointer, and the possible sizes of one, which differ in the digits of a number.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
const POINTER_BYTES: std::ops::RangeInclusive<u64> = 126..=144;
/// The number of files of that size that are read.
const MOST_POINTERS: usize = 10_000;
/// The number of pointers whose paths are reported.
const NAMED: usize = 5;

/// What is special about the files of a commit. It comes from a worker: texts are untrusted.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The submodules, whose folders are empty in the archive.
    pub submodules: Vec<Submodule>,
    /// The number of files that are Git LFS pointers, and the paths of the first ones.
    pub pointers: usize,
    /// The paths of some of them.
    pub pointer_paths: Vec<String>,
}

/// A submodule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submodule {
    /// Its folder.
    pub path: String,
    /// Its commit.
    pub commit: String,
    /// Its URL in `.gitmodules`, if it has one.
    pub url: Option<String>,
}

impl Submodule {
    /// Whether its path is one within the tree, and its commit an id, so that both can be arguments of git.
    pub fn is_valid(&self) -> bool {
        let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(char::is_control);
        is_id(&self.commit) && self.path.len() < 4096 && self.path.split('/').all(is_name)
    }
}

/// Writes the archive of a commit to the file that it gets.
#[derive(Serialize, Deserialize)]
pub(crate) struct Checkout {
    pub commit: String,
}

impl Task for Checkout {
    const NAME: &'static str = "git_checkout";
    type Answer = Result<Contents, String>;

    fn run(self, given: TaskFiles) -> Self::Answer {
        let file = given.files.into_iter().next().ok_or("there is no file to write to")?;
        write(&self.commit, "", file)?;
        contents(&self.commit)
    }
}

impl Repositories {
    /// Writes the files of a commit to a tar archive, unchanged; the folders of submodules are empty.
    pub async fn checkout(&self, app: AppId, commit: &str, file: &File) -> anyhow::Result<Contents> {
        if !is_id(commit) {
            bail!("{commit} is not a commit");
        }
        let repository = self.ensure(app).await?;
        let mut order = self.order(&repository, Work::Program(plumbing::git(&[])));
        order.limits.file_bytes = self.limits().archive_bytes();
        let file = file.try_clone().context("duplicate the archive")?;
        let lines = Lines { more: vec![file.into()], ..Lines::default() };
        let sent = self.workers().send(&Checkout { commit: commit.to_owned() }, order, lines).await;
        let answer = sent.context("extract the files of the commit")?;
        answer.map_err(|why| anyhow!("git: {why}").context("extract the files of the commit"))
    }
}

/// Writes the archive of a commit, with its files below `prefix`.
pub(crate) fn write(commit: &str, prefix: &str, file: File) -> Result<(), String> {
    let info = Path::new(REPOSITORY).join("info");
    let attributes = fs::create_dir_all(&info).and_then(|()| fs::write(info.join("attributes"), ATTRIBUTES));
    attributes.map_err(|e| format!("could not write the attributes: {e}"))?;
    let mut git = command(&["archive", "--format=tar", &format!("--prefix={prefix}"), commit]);
    let done = git.stdout(file).stderr(Stdio::piped()).spawn().and_then(std::process::Child::wait_with_output);
    let done = done.map_err(|e| e.to_string())?;
    match done.status.success() {
        true => Ok(()),
        false => Err(format!("archive: {} {}", done.status, String::from_utf8_lossy(&done.stderr).trim())),
    }
}

/// Finds the submodules and the Git LFS pointers of a commit.
pub(crate) fn contents(commit: &str) -> Result<Contents, String> {
    let (mut found, mut small, mut urls) = (Contents::default(), Vec::new(), None);
    let listed = each_entry(commit, |entry| {
        if entry.mode == SUBMODULE && found.submodules.len() < MOST_SUBMODULES {
            let urls = urls.get_or_insert_with(|| urls_of(commit));
            let url = urls.get(entry.path).filter(|url| url.len() <= MOST_URL).cloned();
            found.submodules.push(Submodule { path: entry.path.to_owned(), commit: entry.id.to_owned(), url });
        } else if entry.size.is_some_and(|size| POINTER_BYTES.contains(&size)) && small.len() < MOST_POINTERS {
            small.push((entry.id.to_owned(), entry.path.to_owned()));
        }
    });
    listed.map_err(|e| format!("ls-tree: {e}"))?;
    for path in pointers(&small).map_err(|e| format!("cat-file: {e}"))? {
        found.pointers += 1;
        if found.pointers <= NAMED {
            found.pointer_paths.push(path.to_owned());
        }
    }
    Ok(found)
}

/// Reads the entries of a commit one by one: all of them may not fit into memory.
fn each_entry(commit: &str, mut read: impl FnMut(Entry<'_>)) -> std::io::Result<()> {
    let mut git = command(&["ls-tree", "-r", "-l", "-z", "--full-tree", commit]);
    let mut git = git.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut entries = BufReader::new(git.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?);
    let mut line = Vec::new();
    while (&mut entries).take(MOST_LINE).read_until(0, &mut line)? > 0 {
        if let Some(entry) = Entry::read(String::from_utf8_lossy(&line).trim_end_matches('\0')) {
            read(entry);
        }
        line.clear();
    }
    match git.wait()?.success() {
        true => Ok(()),
        false => Err(std::io::Error::other("git could not list the files")),
    }
}

/// An entry of a tree.
#[derive(Debug, PartialEq, Eq)]
struct Entry<'a> {
    mode: &'a str,
    id: &'a str,
    /// For a file.
    size: Option<u64>,
    path: &'a str,
}

impl<'a> Entry<'a> {
    /// Reads a line of `ls-tree -l`.
    fn read(line: &'a str) -> Option<Self> {
        let (about, path) = line.split_once('\t')?;
        let mut words = about.split_whitespace();
        let (mode, _, id, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
        Some(Self { mode, id, size: size.parse().ok(), path })
    }
}

/// The URLs of submodules by path. Without a readable `.gitmodules`, there are none.
fn urls_of(commit: &str) -> BTreeMap<String, String> {
    let blob = format!("{commit}:.gitmodules");
    let pattern = r"^submodule\..*\.(path|url)$";
    urls_in(&run(&["config", "--blob", &blob, "-z", "--get-regexp", pattern]).unwrap_or_default())
}

/// Reads entries `submodule.NAME.path` and `submodule.NAME.url`, each followed by a line break, its value and a NUL.
fn urls_in(config: &str) -> BTreeMap<String, String> {
    let mut modules: BTreeMap<&str, [Option<&str>; 2]> = BTreeMap::new();
    for entry in config.split('\0') {
        let Some((key, value)) = entry.split_once('\n') else { continue };
        let Some((name, field)) = key.strip_prefix("submodule.").and_then(|rest| rest.rsplit_once('.')) else {
            continue;
        };
        modules.entry(name).or_default()[usize::from(field == "url")] = Some(value);
    }
    let modules = modules.into_values().filter_map(|[path, url]| Some((path?, url?)));
    modules.map(|(path, url)| (path.trim_end_matches('/').to_owned(), url.to_owned())).collect()
}

/// The paths of those of these files that are Git LFS pointers.
fn pointers(files: &[(String, String)]) -> std::io::Result<Vec<&str>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let mut git = command(&["cat-file", "--batch"]);
    let mut git = git.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (Some(mut ids), Some(output)) = (git.stdin.take(), git.stdout.take()) else { return Ok(Vec::new()) };
    let (mut output, mut head, mut body, mut found) = (BufReader::new(output), String::new(), Vec::new(), Vec::new());
    for (id, path) in files {
        // One at a time, so that neither side waits for the other with a full pipe.
        ids.write_all(format!("{id}\n").as_bytes())?;
        head.clear();
        output.read_line(&mut head)?;
        let size = head.split_whitespace().nth(2).and_then(|size| size.parse::<u64>().ok());
        let Some(size) = size.filter(|size| POINTER_BYTES.contains(size)) else { break };
        body.clear();
        // A line break follows.
        (&mut output).take(size + 1).read_to_end(&mut body)?;
        if body.starts_with(POINTER) {
            found.push(path.as_str());
        }
    }
    let _ = git.kill();
    git.wait()?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_trees_are_read() {
        let id = "78981922613b2afb6025042ff6bd878ac1994e85";
        let line = format!("100644 blob {id}     123\ta b");
        assert_eq!(Entry::read(&line), Some(Entry { mode: "100644", id, size: Some(123), path: "a b" }));
        let line = format!("160000 commit {id}       -\tlib/x");
        assert_eq!(Entry::read(&line), Some(Entry { mode: SUBMODULE, id, size: None, path: "lib/x" }));
        assert_eq!(Entry::read(""), None);
    }

    #[test]
    fn urls_of_submodules_are_found_by_path() {
        let config = "submodule.a.b.path\nlib/x/\0submodule.a.b.url\nhttps://a.example/x.git\0\
                      submodule.none.path\ny\0submodule.other.url\n../z.git\0submodule.\n\0junk\0";
        let urls: Vec<_> = urls_in(config).into_iter().collect();
        assert_eq!(urls, [("lib/x".to_owned(), "https://a.example/x.git".to_owned())]);
    }

    #[test]
    fn paths_of_submodules_stay_in_the_tree() {
        let is_valid =
            |path: &str, commit: &str| Submodule { path: path.into(), commit: commit.into(), url: None }.is_valid();
        let id = "0".repeat(40);
        assert!(is_valid("lib/words", &id) && is_valid("-x", &id));
        for bad in ["", "/lib", "lib/", "lib//x", "../x", "lib/../../x", "./x", "a\nb", "a\u{1b}[0m"] {
            assert!(!is_valid(bad, &id), "{bad}");
        }
        assert!(!is_valid("lib", "HEAD") && !is_valid("lib", "--output=x"));
    }

    #[test]
    fn a_pointer_has_one_of_these_sizes() {
        let pointer = |size: u64| format!("oid sha256:{}\nsize {size}\n", "0".repeat(64)).len() + POINTER.len();
        assert_eq!([pointer(1), pointer(u64::from(u32::MAX)), pointer(i64::MAX as u64)], [126, 135, 144]);
    }
}
