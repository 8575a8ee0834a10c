//! Tasks: functions of the platform that run inside a worker.

use std::collections::BTreeMap;
use std::fs::File;

use serde::{Serialize, de::DeserializeOwned};

/// A function that runs inside a worker. Its value is the function's input, in addition to files and directories, and
/// is sent as JSON.
///
/// The result comes from a process that untrusted bytes may have taken over: its type should contain no more than is
/// needed, and the caller has to validate it like any input.
pub trait Task: Serialize + DeserializeOwned {
    /// Its name among the tasks, `noun_verb`.
    const NAME: &'static str;
    /// Its result; often a `Result` of its own.
    type Answer: Serialize + DeserializeOwned;

    /// Runs it, in a process with one thread, as the order's user, with the order's root.
    fn run(self, given: TaskFiles) -> Self::Answer;
}

/// The open files of a task.
pub struct TaskFiles {
    /// [`Lines::more`](crate::Lines::more), in their order.
    pub files: Vec<File>,
}

type Run = fn(serde_json::Value, TaskFiles) -> Result<Vec<u8>, String>;

/// The known tasks by name.
#[derive(Default)]
pub struct Tasks(BTreeMap<&'static str, Run>);

impl Tasks {
    /// Adds one.
    pub fn with<E: Task>(mut self) -> Tasks {
        self.0.insert(E::NAME, |words, given| {
            let task: E = serde_json::from_value(words).map_err(|e| e.to_string())?;
            serde_json::to_vec(&task.run(given)).map_err(|e| e.to_string())
        });
        self
    }

    pub(crate) fn run(&self, name: &str, words: serde_json::Value, given: TaskFiles) -> Result<Vec<u8>, String> {
        let run = self.0.get(name).ok_or_else(|| format!("There is no worker task {name}."))?;
        run(words, given)
    }
}
