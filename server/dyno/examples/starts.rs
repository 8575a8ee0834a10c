//! Measures how fast processes start: `cargo run -p dyno --example starts -- DATA_DIR ROUNDS NAME=COMMAND...`, as root.
//!
//! Each round starts one dyno and then each command (a peer that runs the same program in its own sandbox), one after
//! the other. Prints a line for each: name, milliseconds until it was started, milliseconds until it had ended. The
//! start of a command cannot be observed, so its two figures are equal.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use api::ids::RunId;
use dyno::{Artifact, Driver, Host, Limits, Mounts, ProcessDriver, Spec};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [data, rounds, peers @ ..] = args.as_slice() else {
        return Err("Usage: starts DATA_DIR ROUNDS NAME=COMMAND...".into());
    };
    let driver = ProcessDriver::new(Path::new(data), &Host::default())?;
    for _ in 0..rounds.parse()? {
        print("dyno", dyno(&driver).await?);
        for peer in peers {
            let (name, command) = peer.split_once('=').ok_or("A peer is NAME=COMMAND.")?;
            print(name, run(command)?);
        }
    }
    Ok(())
}

fn print(name: &str, (started, ended): (Duration, Duration)) {
    println!("{name} {:.2} {:.2}", started.as_secs_f64() * 1e3, ended.as_secs_f64() * 1e3);
}

async fn dyno(driver: &ProcessDriver) -> Outcome<(Duration, Duration)> {
    let spec = Spec {
        id: RunId::from_u128(std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_nanos()),
        name: "web.1".to_owned(),
        uid: *dyno::uids::APPS.start(),
        command: "exec true".to_owned(),
        env: BTreeMap::new(),
        root: Mounts { artifact: Artifact::Empty, binds: Vec::new() },
        limits: Limits::default(),
        port: Some(5000),
        raw: false,
        time: None,
        terminal: None,
    };
    let begin = Instant::now();
    driver.start(&spec).await?;
    let started = begin.elapsed();
    driver.wait(spec.id).await?;
    let ended = begin.elapsed();
    driver.remove(spec.id).await?;
    Ok((started, ended))
}

fn run(command: &str) -> Outcome<(Duration, Duration)> {
    let begin = Instant::now();
    let status = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    let took = begin.elapsed();
    if !status.success() {
        return Err(format!("{status}: {command}").into());
    }
    Ok((took, took))
}
