//! Queries of a repository, run inside a worker: several git commands at the cost of one worker, in which untrusted
//! data can do no harm.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
};

use serde::{Deserialize, Serialize};
use worker::{Task, TaskFiles};

use crate::plumbing::{ENVIRONMENT, settings};

type Answer<T> = Result<T, String>;

/// The kernel's limit; longer paths cannot be checked out.
const MOST_PATH_BYTES: u64 = 4096;

/// A git that reads no configuration except ours, without input.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").envs(ENVIRONMENT);
    git.args(settings()).args(args).stdin(Stdio::null());
    git
}

/// Runs git; returns its output if it succeeds.
pub(crate) fn run(args: &[&str]) -> Answer<String> {
    let done = command(args).output().map_err(|e| format!("{e}. Is the Debian package git installed?"))?;
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&done.stderr).chars().take(500).collect::<String>().trim().to_owned()),
    }
}

/// The commit of a ref. Exactly this ref: git's patterns match prefixes.
fn tip(name: &str) -> Answer<Option<String>> {
    let listed = run(&["for-each-ref", "--format=%(objectname) %(refname)", name])?;
    let found = listed.lines().filter_map(|line| line.split_once(' ')).find(|(_, found)| *found == name);
    Ok(found.map(|(id, _)| id.to_owned()))
}

/// Reads the commit of a ref.
#[derive(Serialize, Deserialize)]
pub(crate) struct Tip {
    pub name: String,
}

impl Task for Tip {
    const NAME: &'static str = "git_tip";
    type Answer = Answer<Option<String>>;

    fn run(self, _: TaskFiles) -> Self::Answer {
        tip(&self.name)
    }
}

/// Whether a branch is at this commit; all zeros mean that it does not exist.
fn is_tip(tip: Option<&str>, id: &str) -> bool {
    tip == Some(id).filter(|id| id.bytes().any(|b| b != b'0'))
}

/// Whether the history of the commit `new` contains the commit `old`.
fn contains(new: &str, old: &str) -> bool {
    let mut git = command(&["merge-base", "--is-ancestor", old, new]);
    git.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Whether moving a branch to the commit `new` would lose commits that whoever has seen it at `old` does not know.
fn is_stale(tip: Option<&str>, old: &str, new: &str) -> bool {
    !is_tip(tip, old) && !tip.is_some_and(|tip| contains(new, tip))
}

/// Compares a branch with a push.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stale {
    pub name: String,
    pub old: String,
    pub new: String,
}

impl Task for Stale {
    const NAME: &'static str = "git_stale";
    type Answer = Answer<bool>;

    fn run(self, _: TaskFiles) -> Self::Answer {
        Ok(is_stale(tip(&self.name)?.as_deref(), &self.old, &self.new))
    }
}

/// Compares two commits.
#[derive(Serialize, Deserialize)]
pub(crate) struct Contains {
    pub new: String,
    pub old: String,
}

impl Task for Contains {
    const NAME: &'static str = "git_contains";
    type Answer = Answer<bool>;

    fn run(self, _: TaskFiles) -> Self::Answer {
        Ok(contains(&self.new, &self.old))
    }
}

/// Moves a ref to `new`, from `old` or from any commit in the history of `new`, and HEAD to it: a clone gets the branch
/// that was deployed last.
#[derive(Serialize, Deserialize)]
pub(crate) struct Move {
    pub name: String,
    pub old: String,
    pub new: String,
}

impl Task for Move {
    const NAME: &'static str = "git_move";
    type Answer = Answer<()>;

    fn run(self, _: TaskFiles) -> Self::Answer {
        let tip = tip(&self.name)?;
        if tip.as_deref() != Some(&self.new) {
            // While the commit was built, another push from which it goes on may have moved the branch.
            let old = tip.filter(|tip| contains(&self.new, tip)).unwrap_or(self.old);
            run(&["update-ref", &self.name, &self.new, &old])?;
        }
        run(&["symbolic-ref", "HEAD", &self.name]).map(drop)
    }
}

/// Inspects a commit, or an annotated tag of one, that was pushed to this branch.
#[derive(Serialize, Deserialize)]
pub(crate) struct Inspect {
    pub name: String,
    /// The commit of the branch that the client has seen; zeros for none.
    pub old: String,
    pub id: String,
    /// The maximum number of files and folders of a commit, and of bytes of files.
    pub most_files: u64,
    pub most_bytes: u64,
}

/// The pushed objects.
#[derive(Serialize, Deserialize)]
pub(crate) struct Inspected {
    /// Whether the client has to fetch first.
    pub is_stale: bool,
    /// Whether the branch is at the commit already.
    pub is_deployed: bool,
    pub found: Found,
}

#[derive(PartialEq, Debug, Serialize, Deserialize)]
pub(crate) enum Found {
    /// A commit that can be deployed, and the beginning of its message.
    Commit {
        id: String,
        subject: String,
    },
    /// Something else, such as a file.
    NoCommit,
    TooManyFiles,
    TooManyBytes,
    TooLongPath,
    /// git cannot list its files, for example because its trees are nested too deeply.
    Unreadable,
}

impl Task for Inspect {
    const NAME: &'static str = "git_inspect";
    type Answer = Answer<Inspected>;

    fn run(self, _: TaskFiles) -> Self::Answer {
        let tip = tip(&self.name)?;
        let Ok(id) = run(&["rev-parse", "--verify", "--quiet", &format!("{}^{{commit}}", self.id)]) else {
            let is_stale = !is_tip(tip.as_deref(), &self.old);
            return Ok(Inspected { is_stale, is_deployed: false, found: Found::NoCommit });
        };
        let (is_stale, is_deployed) = (is_stale(tip.as_deref(), &self.old, &id), tip.as_ref() == Some(&id));
        if let Some(found) = self.is_too_much(&id)? {
            return Ok(Inspected { is_stale, is_deployed, found });
        }
        let subject = run(&["log", "--no-walk", "--format=%<(400,trunc)%s", &id])?;
        Ok(Inspected { is_stale, is_deployed, found: Found::Commit { id, subject } })
    }
}

impl Inspect {
    /// Counts what a checkout would write, and stops at the limits: a tree that contains the same tree ten times, nine
    /// levels deep, has a billion files and few bytes.
    fn is_too_much(&self, commit: &str) -> Answer<Option<Found>> {
        let mut list = command(&["ls-tree", "-r", "-t", "-l", "-z", "--full-tree", commit]);
        let mut list = list.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(|e| e.to_string())?;
        let mut entries = BufReader::new(list.stdout.take().ok_or("git has no output")?);
        let (mut files, mut bytes, mut entry) = (0, 0u64, Vec::new());
        let found = loop {
            entry.clear();
            let read = (&mut entries).take(2 * MOST_PATH_BYTES).read_until(0, &mut entry).map_err(|e| e.to_string())?;
            if read == 0 {
                break None;
            }
            let (about, path) = split(&entry);
            files += 1;
            bytes = bytes.saturating_add(about);
            if path > MOST_PATH_BYTES {
                break Some(Found::TooLongPath);
            } else if files > self.most_files {
                break Some(Found::TooManyFiles);
            } else if bytes > self.most_bytes {
                break Some(Found::TooManyBytes);
            }
        };
        let _ = list.kill();
        let status = list.wait().map_err(|e| e.to_string())?;
        match found {
            None if !status.success() => Ok(Some(Found::Unreadable)),
            found => Ok(found),
        }
    }
}

/// The size of the file in a line of `ls-tree -l`, 0 for entries without one, and the length of its path.
fn split(entry: &[u8]) -> (u64, u64) {
    let tab = entry.iter().position(|b| *b == b'\t').unwrap_or(entry.len());
    let about = String::from_utf8_lossy(&entry[..tab]);
    let size = about.split_whitespace().nth(3).and_then(|size| size.parse().ok()).unwrap_or(0);
    (size, (entry.len() - tab) as u64)
}

/// Lists the commits that are in `to` and not in `from`, newest first.
#[derive(Serialize, Deserialize)]
pub(crate) struct Commits {
    pub from: Option<String>,
    pub to: String,
    pub most: usize,
}

impl Task for Commits {
    const NAME: &'static str = "git_commits";
    /// Id, author, seconds and subject, separated by character 31, one commit per line.
    type Answer = Answer<String>;

    fn run(self, _: TaskFiles) -> Self::Answer {
        let range = self.from.map_or_else(|| self.to.clone(), |from| format!("{from}..{}", self.to));
        let format = "--format=%H%x1f%<(200,trunc)%an%x1f%at%x1f%<(400,trunc)%s";
        run(&["log", format, "-n", &self.most.to_string(), &range, "--"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_paths_are_read_from_lists_of_trees() {
        assert_eq!(split(b"100644 blob 78981922613b2afb6025042ff6bd878ac1994e85     123\ta b\0"), (123, 5));
        assert_eq!(split(b"040000 tree 78981922613b2afb6025042ff6bd878ac1994e85       -\ta\0").0, 0);
        assert_eq!(split(b"no tab"), (0, 0));
    }
}
