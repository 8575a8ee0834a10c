//! Runs git: only with the platform's configuration, sandboxed, on one repository.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, anyhow};
use worker::{Limits, Lines, Network, Order, Program, Shown, Task, Work};

use crate::{handle::Repositories, paths};

/// Where a worker sees the repository.
pub const REPOSITORY: &str = "/repository";
/// Where it sees the hooks.
const HOOKS: &str = "/hooks";

/// The environment of git.
pub(crate) const ENVIRONMENT: [(&str, &str); 7] = [
    ("GIT_DIR", REPOSITORY),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("HOME", "/nonexistent"),
    ("LC_ALL", "C.UTF-8"),
];

/// The configuration of git. The worker limits its memory; these settings keep normal usage below that.
const SETTINGS: [&str; 23] = [
    "core.hooksPath=/hooks",
    // git also passes refs below these to the hook, which rejects them.
    "receive.procReceiveRefs=refs/heads/main",
    "receive.procReceiveRefs=refs/heads/master",
    // `git push -o wait=no`.
    "receive.advertisePushOptions=true",
    // Only branches and tags: other refs are neither accepted, shown nor followed.
    "transfer.hideRefs=refs",
    "transfer.hideRefs=!refs/heads",
    "transfer.hideRefs=!refs/tags",
    "core.useReplaceRefs=false",
    // A push whose history ends in the middle would leave a repository that nobody can clone.
    "receive.shallowUpdate=false",
    "transfer.fsckObjects=true",
    // A push is stored as one file, however many objects it has.
    "receive.unpackLimit=1",
    "uploadpack.allowReachableSHA1InWant=true",
    // Cleanup runs in a separate worker.
    "receive.autogc=false",
    "gc.auto=200",
    "gc.autoDetach=false",
    // A commit that is being built is not on a branch yet.
    "gc.pruneExpire=2.days.ago",
    "core.bigFileThreshold=8m",
    "core.packedGitWindowSize=16m",
    "core.packedGitLimit=128m",
    "core.deltaBaseCacheLimit=32m",
    "pack.windowMemory=32m",
    "pack.deltaCacheSize=32m",
    "pack.threads=2",
];

/// Faults of old histories that git can read, and that hosting services accept: time zones, dates and names that early
/// versions of git and conversions from other systems have written. What can harm whoever checks the commit out, such as
/// paths with `..` or `.git`, remains an error.
const OLD_FAULTS: [&str; 15] = [
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badFilemode",
    "badName",
    "badTagName",
    "badTimezone",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingTaggerEntry",
    "multipleAuthors",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
];

/// The arguments in front of a git command.
pub(crate) fn settings() -> impl Iterator<Item = String> {
    let ignore = |fault: &&str| ["receive", "fetch"].map(|section| format!("{section}.fsck.{fault}=ignore"));
    let settings = SETTINGS.iter().map(|setting| (*setting).to_owned()).chain(OLD_FAULTS.iter().flat_map(ignore));
    settings.flat_map(|setting| ["-c".to_owned(), setting])
}

/// A `git` that reads no configuration except ours.
pub(crate) fn git(args: &[&str]) -> Program {
    let program = Program::new("git").args(settings()).args(args.iter().copied());
    ENVIRONMENT.iter().fold(program, |program, (name, value)| program.env(name, *value))
}

impl Repositories {
    /// An order for one repository, with the limits of a query; clones and pushes get more time.
    pub(crate) fn order(&self, repository: &Path, work: Work) -> Order {
        Order {
            work,
            user: worker::GIT,
            shows: vec![Shown::write(repository, REPOSITORY), Shown::read(paths::hooks(self.data()), HOOKS)],
            network: Network::None,
            limits: Limits {
                memory_bytes: self.limits().memory_bytes,
                processes: 64,
                file_bytes: self.limits().repository_bytes,
                open_files: 1024,
                cpu: Duration::from_secs(60),
                time: Duration::from_secs(120),
            },
        }
    }

    /// Runs a query of a repository in a worker.
    pub(crate) async fn ask<E, T>(&self, repository: &Path, task: &E) -> anyhow::Result<T>
    where
        E: Task<Answer = Result<T, String>>,
    {
        let order = self.order(repository, Work::Program(git(&[])));
        let answer = self.workers().send(task, order, Lines::default()).await;
        answer.context("query git")?.map_err(|why| anyhow!("git: {why}"))
    }
}
