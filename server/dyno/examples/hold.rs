//! Starts dynos and holds them until its input ends: `cargo run -p dyno --example hold -- DATA_DIR NUMBER`, as root.
//!
//! Prints the process ids of their shims, one per line.

use std::{collections::BTreeMap, fs, io::Read, path::Path, time::SystemTime};

use api::ids::RunId;
use dyno::{Artifact, Driver, Host, Limits, Mounts, ProcessDriver, Spec};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let (Some(data), Some(number)) = (args.get(1), args.get(2)) else {
        return Err("Usage: hold DATA_DIR NUMBER".into());
    };
    let data = Path::new(data);
    let driver = ProcessDriver::new(data, &Host::default())?;
    let mut started = Vec::new();
    for _ in 0..number.parse()? {
        let spec = Spec {
            id: RunId::from_u128(SystemTime::UNIX_EPOCH.elapsed()?.as_nanos()),
            name: "web.1".to_owned(),
            uid: *dyno::uids::APPS.start(),
            command: "echo up; exec sleep 100000".to_owned(),
            env: BTreeMap::new(),
            root: Mounts { artifact: Artifact::Empty, binds: Vec::new() },
            limits: Limits::default(),
            port: Some(5000),
            raw: false,
            time: None,
            terminal: None,
        };
        driver.start(&spec).await?;
        println!("{}", fs::read_to_string(data.join("dynos").join(spec.id.to_string()).join("shim.pid"))?);
        started.push(spec.id);
    }
    std::io::stdin().read_to_end(&mut Vec::new())?;
    for id in started {
        driver.remove(id).await?;
    }
    Ok(())
}
