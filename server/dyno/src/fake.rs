//! A driver that runs nothing, in memory: for tests of the rules above it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use uuid::Uuid;

use crate::{Driver, Error, Exit, Handle, Phase, Spec, Stats, Status};

/// Pretends. Every dyno runs until it is told to end; SIGTERM and SIGKILL end it at once.
#[derive(Default)]
pub struct FakeDriver {
    dynos: Mutex<BTreeMap<Uuid, (Spec, Status)>>,
    /// Where web processes seem to listen.
    addr: Mutex<Option<SocketAddr>>,
}

impl FakeDriver {
    /// A driver without dynos.
    pub fn new() -> FakeDriver {
        FakeDriver::default()
    }

    /// Has every web dyno that is started from now on seem to listen at `addr`.
    pub fn listen_at(&self, addr: SocketAddr) {
        *self.addr.lock().expect("no test panics while it holds the lock") = Some(addr);
    }

    /// Ends a dyno with an exit code.
    pub fn exit(&self, id: Uuid, code: i32) {
        self.end(id, Some(code), None);
    }

    /// What was started and not removed, by name.
    pub fn specs(&self) -> Vec<Spec> {
        let dynos = self.dynos.lock().expect("no test panics while it holds the lock");
        dynos.values().map(|(spec, _)| spec.clone()).collect()
    }

    fn end(&self, id: Uuid, code: Option<i32>, signal: Option<i32>) {
        let mut dynos = self.dynos.lock().expect("no test panics while it holds the lock");
        if let Some((_, status)) = dynos.get_mut(&id)
            && !matches!(status.phase, Phase::Exited(_))
        {
            status.phase = Phase::Exited(Exit { at: Utc::now(), code, signal, oom: false, error: None });
        }
    }
}

#[async_trait]
impl Driver for FakeDriver {
    async fn start(&self, spec: &Spec) -> Result<Handle, Error> {
        let addr = spec.port.and_then(|_| *self.addr.lock().expect("no test panics while it holds the lock"));
        let mut dynos = self.dynos.lock().expect("no test panics while it holds the lock");
        let (_, status) = dynos.entry(spec.id).or_insert_with(|| {
            let handle = Handle {
                id: spec.id,
                name: spec.name.clone(),
                addr,
                started_at: Utc::now(),
                spool: PathBuf::from("/nonexistent"),
            };
            (spec.clone(), Status { handle, phase: Phase::Running })
        });
        Ok(status.handle.clone())
    }

    async fn status(&self, id: Uuid) -> Result<Option<Status>, Error> {
        let dynos = self.dynos.lock().expect("no test panics while it holds the lock");
        Ok(dynos.get(&id).map(|(_, status)| status.clone()))
    }

    async fn list(&self) -> Result<Vec<Status>, Error> {
        let dynos = self.dynos.lock().expect("no test panics while it holds the lock");
        Ok(dynos.values().map(|(_, status)| status.clone()).collect())
    }

    async fn signal(&self, id: Uuid, signal: i32) -> Result<(), Error> {
        if matches!(signal, 9 | 15) {
            self.end(id, None, Some(signal));
        }
        Ok(())
    }

    async fn remove(&self, id: Uuid) -> Result<(), Error> {
        self.dynos.lock().expect("no test panics while it holds the lock").remove(&id);
        Ok(())
    }

    async fn stats(&self, id: Uuid) -> Result<Option<Stats>, Error> {
        let dynos = self.dynos.lock().expect("no test panics while it holds the lock");
        Ok(dynos.contains_key(&id).then(Stats::default))
    }

    async fn wait(&self, id: Uuid) -> Result<Exit, Error> {
        loop {
            match self.status(id).await? {
                Some(Status { phase: Phase::Exited(exit), .. }) => return Ok(exit),
                None => return Err(Error::Unknown(id)),
                Some(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}
