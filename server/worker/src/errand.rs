//! Errands: functions of ours that run inside a worker.

use std::collections::BTreeMap;
use std::fs::File;

use serde::{Serialize, de::DeserializeOwned};

/// A function of ours that runs inside a worker. The value is what the function is told, beside
/// files and directories, and is sent as JSON.
///
/// What comes back was made by a process that untrusted bytes may have taken over: the answer's
/// type should hold no more than is needed, and whoever asks looks at it as at any input.
pub trait Errand: Serialize + DeserializeOwned {
    /// Its name among the errands, `noun_verb`.
    const NAME: &'static str;
    /// What it answers with; often a `Result` of its own.
    type Answer: Serialize + DeserializeOwned;

    /// Does it. Runs in a process with one thread, as the order's user, with the order's root.
    fn run(self, given: Given) -> Self::Answer;
}

/// What an errand was handed as open files.
pub struct Given {
    /// [`Lines::more`](crate::Lines::more), in their order.
    pub files: Vec<File>,
}

type Run = fn(serde_json::Value, Given) -> Result<Vec<u8>, String>;

/// The errands that a worker can be sent on, by name.
#[derive(Default)]
pub struct Errands(BTreeMap<&'static str, Run>);

impl Errands {
    /// Adds one.
    pub fn with<E: Errand>(mut self) -> Errands {
        self.0.insert(E::NAME, |words, given| {
            let errand: E = serde_json::from_value(words).map_err(|e| e.to_string())?;
            serde_json::to_vec(&errand.run(given)).map_err(|e| e.to_string())
        });
        self
    }

    pub(crate) fn run(&self, name: &str, words: serde_json::Value, given: Given) -> Result<Vec<u8>, String> {
        let run = self.0.get(name).ok_or_else(|| format!("There is no worker task {name}."))?;
        run(words, given)
    }
}
