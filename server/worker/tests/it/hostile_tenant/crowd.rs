//! Shared memory: which process is killed when all dynos and workers together run out of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use dyno::{Artifact, Driver, Host, Mounts, ProcessDriver, Spec};
use worker::{Error, Lines, Workers};

use crate::tasks::Eat;
use crate::world::{task, until};

/// All dynos and workers of a test, which share 256 MB.
struct Crowd {
    group: String,
    driver: ProcessDriver,
    workers: Workers,
    _data: tempfile::TempDir,
}

impl Crowd {
    fn new() -> Crowd {
        let group = format!("wharf-test-{}", std::process::id());
        let host = Host { reserve: Some(u64::MAX), group: group.clone(), ..Host::default() };
        let data = tempfile::tempdir().unwrap();
        let driver = ProcessDriver::new(data.path(), &host).unwrap();
        Crowd { workers: Workers::in_group(&group).unwrap(), group, driver, _data: data }
    }

    fn dyno(&self, command: &str) -> Spec {
        Spec {
            id: api::ids::RunId(uuid::Uuid::now_v7()),
            name: "web.1".to_owned(),
            uid: *dyno::uids::APPS.end(),
            command: command.to_owned(),
            env: BTreeMap::new(),
            root: Mounts { artifact: Artifact::Empty, binds: Vec::new() },
            limits: dyno::Limits::default(),
            port: None,
            raw: false,
            time: None,
            terminal: None,
        }
    }

    /// Waits until the groups are empty, and removes them.
    async fn leave(self) {
        let Crowd { group, workers, .. } = self;
        drop(workers);
        let groups: Vec<PathBuf> = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|h| h.path()).collect();
        for group in groups.into_iter().chain(["/sys/fs/cgroup".into()]).map(|hierarchy| hierarchy.join(&group)) {
            let below = || std::fs::read_dir(&group).into_iter().flatten().flatten().map(|entry| entry.path());
            until("the groups are empty", || {
                below().filter(|path| path.is_dir()).for_each(|path| drop(std::fs::remove_dir(path)));
                !group.exists() || std::fs::remove_dir(&group).is_ok()
            })
            .await;
        }
    }
}

#[tokio::test]
async fn dynos_go_first_and_a_worker_is_not_blamed_for_others() {
    let crowd = Crowd::new();
    let spec = crowd.dyno("exec /usr/bin/python3 -c 'import time; x = bytearray(80 << 20); time.sleep(1000)'");
    crowd.driver.start(&spec).await.unwrap();
    let mut order = task();
    order.limits.memory_bytes = 4 << 30;
    order.limits.time = Duration::from_secs(120);
    // It allocates all memory: first the dyno is killed, although it uses less, and then the worker.
    let eaten = crowd.workers.send(&Eat, order, Lines::default()).await;
    let exit = crowd.driver.wait(spec.id).await.unwrap();
    crowd.driver.remove(spec.id).await.unwrap();
    assert_eq!((exit.signal, exit.oom, exit.crowded), (Some(libc::SIGKILL), false, true), "{exit:?}");
    assert_eq!(eaten, Err(Error::Crowded));
    assert!(!Error::Crowded.is_too_much());
    crowd.leave().await;
}

#[tokio::test]
async fn who_reaches_a_limit_of_its_own_is_told_so_in_a_crowd_too() {
    let crowd = Crowd::new();
    let mut order = task();
    order.limits.memory_bytes = 64 << 20;
    let eaten = crowd.workers.send(&Eat, order, Lines::default()).await;
    assert_eq!(eaten, Err(Error::TooMuchMemory { bytes: 64 << 20 }));
    crowd.leave().await;
}
