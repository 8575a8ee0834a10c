//! Tasks for these tests: each does one thing that a worker should not do, or reports what it sees.

use std::io::{Read, Write};

use serde::{Deserialize, Serialize};
use worker::{Task, TaskFiles, Tasks};

pub fn list() -> Tasks {
    Tasks::default().with::<Eat>().with::<Copy>().with::<Panic>()
}

/// Allocates memory until it is killed.
#[derive(Serialize, Deserialize)]
pub struct Eat;

impl Task for Eat {
    const NAME: &'static str = "memory_eat";
    type Answer = usize;

    fn run(self, _: TaskFiles) -> usize {
        let mut all = Vec::new();
        loop {
            all.push(vec![1u8; 1 << 20]);
            if all.len() > 100_000 {
                return all.len();
            }
        }
    }
}

/// Copies its first file to its second one, in upper case.
#[derive(Serialize, Deserialize)]
pub struct Copy {
    pub most: u64,
}

impl Task for Copy {
    const NAME: &'static str = "file_copy";
    type Answer = Result<usize, String>;

    fn run(self, mut given: TaskFiles) -> Self::Answer {
        let mut text = String::new();
        let told = |e: std::io::Error| e.to_string();
        (&mut given.files[0]).take(self.most).read_to_string(&mut text).map_err(told)?;
        given.files[1].write_all(text.to_uppercase().as_bytes()).map_err(told)?;
        Ok(text.len())
    }
}

/// Panics.
#[derive(Serialize, Deserialize)]
pub struct Panic;

impl Task for Panic {
    const NAME: &'static str = "panic";
    type Answer = ();

    fn run(self, given: TaskFiles) {
        drop(given.files[7].metadata());
    }
}
