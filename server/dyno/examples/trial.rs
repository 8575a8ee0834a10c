//! Runs a command in a dyno: `cargo run -p dyno --example trial -- DATA_DIR COMMAND [SLUG]`, as root.
//!
//! Prints its output and how it ended, and how long it took to start.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use api::ids::RunId;
use dyno::{Artifact, Driver, Host, Limits, Mounts, ProcessDriver, Spec};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let (Some(data), Some(command)) = (args.get(1), args.get(2)) else {
        return Err("Usage: trial DATA_DIR COMMAND [SLUG]".into());
    };
    let driver = ProcessDriver::new(Path::new(data), &Host::default())?;
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_nanos();
    let spec = Spec {
        id: RunId::from_u128(now),
        name: "run.1".to_owned(),
        uid: *dyno::uids::APPS.start(),
        command: command.clone(),
        env: BTreeMap::new(),
        root: Mounts {
            artifact: args.get(3).map_or(Artifact::Empty, |slug| Artifact::Slug(slug.into())),
            binds: Vec::new(),
        },
        limits: Limits::default(),
        port: Some(5000),
        raw: false,
        time: None,
        terminal: None,
    };
    let begin = Instant::now();
    driver.start(&spec).await?;
    let started = begin.elapsed();
    let exit = driver.wait(spec.id).await?;
    let ended = begin.elapsed();
    let mut output = driver.output(spec.id, spool::Cursor::default());
    loop {
        let batch = output.read_batch(1000)?;
        for entry in batch.entries {
            println!("{} {}", char::from(entry.kind), String::from_utf8_lossy(&entry.text));
        }
        if batch.is_end {
            break;
        }
    }
    driver.remove(spec.id).await?;
    let removed = begin.elapsed();
    println!("{exit:?}\nstarted after {started:?}, ended after {ended:?}, removed after {removed:?}");
    Ok(())
}
