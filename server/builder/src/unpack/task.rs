//! The task of unpacking: in a worker with the app's user, which sees the archive and one directory.

use std::fs::File;
use std::path::Path;

use serde::{Deserialize, Serialize};
use trees::{Bounds, Dir, NewTree};
use worker::{Limits, Lines, Network, Order, Shown, Task, TaskFiles, Work, Workers};

use super::{Checklist, LONGEST, Refused, Root, extract};
use crate::error::Error;

/// Where the worker sees the directory.
const TREE: &str = "/tree";
/// Enough memory for a million entries.
const MEMORY: u64 = 256 << 20;

/// Unpacks the given archive.
#[derive(Serialize, Deserialize)]
pub(crate) struct Unpack {
    pub(super) root: Root,
    pub(super) limit: u64,
    /// Only checks the archive, and writes nothing.
    pub(super) only_check: bool,
}

/// Why it failed.
#[derive(Serialize, Deserialize)]
pub(crate) enum Fault {
    /// The archive is invalid; contains the reason as a clause.
    Archive(String),
    Host(String),
}

impl Task for Unpack {
    const NAME: &'static str = "archive_unpack";
    /// Whether names in the archive began with `./`.
    type Answer = Result<bool, Fault>;

    fn run(self, given: TaskFiles) -> Self::Answer {
        let Some(file) = given.files.into_iter().next() else { return Err(Fault::Host("no archive".into())) };
        let done = if self.only_check {
            extract(file, Checklist::default(), self.root, self.limit, Bounds::APP)
        } else {
            let top = Dir::open(Path::new(TREE)).map_err(anyhow::Error::from);
            top.and_then(|top| extract(file, NewTree::new(top, None), self.root, self.limit, Bounds::APP))
        };
        done.map_err(|e| match e.downcast_ref::<Refused>() {
            Some(refused) => Fault::Archive(refused.to_string()),
            None => Fault::Host(format!("{e:#}")),
        })
    }
}

impl Unpack {
    /// Runs a worker with this user. Exceeding the worker's limits is an error of the archive.
    pub(super) async fn send(
        &self,
        workers: &Workers,
        file: File,
        into: Option<&Path>,
        user: u32,
    ) -> Result<bool, Error> {
        let order = Order {
            // Filled in by `Workers::send`.
            work: Work::Task { name: String::new(), words: serde_json::Value::Null },
            user,
            shows: into.map(|into| Shown::write(into, TREE)).into_iter().collect(),
            network: Network::None,
            limits: Limits {
                memory_bytes: MEMORY,
                processes: 8,
                file_bytes: self.limit,
                open_files: 64,
                cpu: LONGEST,
                time: LONGEST,
            },
        };
        let lines = Lines { more: vec![file.into()], ..Lines::default() };
        use worker::Error::{TooLarge, TooLong, TooMuchMemory};
        match workers.send(self, order, lines).await {
            Ok(Ok(dotted)) => Ok(dotted),
            Ok(Err(Fault::Archive(why))) => Err(Error::failed(why)),
            Ok(Err(Fault::Host(why))) => Err(anyhow::anyhow!("unpack an archive: {why}").into()),
            Err(e @ (TooLarge { .. } | TooLong { .. } | TooMuchMemory { .. })) => Err(Error::failed(e.to_string())),
            Err(e) => Err(anyhow::Error::from(e).context("unpack an archive").into()),
        }
    }
}
