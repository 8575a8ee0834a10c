//! What a shim does beside serving the terminal of its command: the time limit, the disk, signals and the exit.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::cgroups::{Cgroups, MemoryWatch};
use crate::console::{Session, Surroundings};
use crate::output::{Deadline, Disk, Sink, Watched};
use crate::reap::reap;
use crate::sentence::{Sentence, doing};
use crate::{Ended, StateDir, memory};

/// The shim of an attached command.
pub(crate) struct Attached<'a> {
    state: &'a StateDir,
    cgroups: &'a Cgroups,
    sink: Sink,
    disk: Option<Disk>,
    deadline: Option<(Instant, Deadline)>,
    /// PID 1 inside; when it exits, all other processes are killed.
    init: i32,
    ended: &'a OwnedFd,
    memory: Option<&'a MemoryWatch>,
    exit: Option<Ended>,
}

impl<'a> Attached<'a> {
    pub fn new(
        state: &'a StateDir,
        watched: Watched<'a>,
        cgroups: &'a Cgroups,
        memory: Option<&'a MemoryWatch>,
    ) -> Result<Self, Sentence> {
        let Watched { init, ended, .. } = watched;
        let deadline = watched.deadline.map(|deadline| (Instant::now() + deadline.time, deadline));
        let disk = watched.disk.map(Disk::new);
        Ok(Self { state, cgroups, sink: Sink::open(state)?, disk, deadline, init, ended, memory, exit: None })
    }

    /// Serves its client until both have ended. Returns how the command ended.
    pub fn serve(mut self, session: Session) -> Result<Ended, Sentence> {
        let ended = self.ended;
        memory::release();
        let served = session.serve(&mut self, ended).map_err(doing("serve the dyno's terminal"));
        if served.is_err() {
            self.kill();
        }
        let exit = self.wait();
        served.map(|()| exit)
    }

    fn wait(&mut self) -> Ended {
        let exit = self.exit.take().unwrap_or_else(|| {
            reap(self.init);
            Ended::of_command(self.ended, self.memory.and_then(MemoryWatch::shortage))
        });
        self.exit.insert(exit).clone()
    }
}

impl Surroundings for Attached<'_> {
    fn hang_up(&mut self) {
        // The dyno may be ending at this moment, in which case there is nobody to tell.
        let _ = self.cgroups.signal(self.state.name(), libc::SIGHUP);
    }

    fn kill(&mut self) {
        if self.exit.is_none() {
            // SAFETY: plain system call. It is our child and has not been waited for, so the pid has not been reused.
            unsafe { libc::kill(self.init, libc::SIGKILL) };
        }
    }

    /// As for other dynos, what is left is killed, unless the dyno is being stopped: otherwise it would run on without a
    /// time limit, and its client wait for it.
    fn has_ended(&mut self) {
        if !self.state.is_stopping() {
            self.kill();
        }
    }

    fn say(&mut self, text: &str) {
        self.sink.line(b's', text.as_bytes());
        self.sink.flush();
    }

    fn look(&mut self) -> Option<Duration> {
        if let Some(disk) = self.disk.as_mut().filter(|disk| disk.is_due()) {
            disk.look(&mut self.sink);
            self.sink.flush();
        }
        if let Some((_, late)) = self.deadline.take_if(|(at, _)| *at <= Instant::now()) {
            self.say(&late.sentence());
            self.kill();
        }
        self.deadline.as_ref().map(|(at, _)| at.saturating_duration_since(Instant::now()))
    }

    fn exit(&mut self) -> Vec<u8> {
        serde_json::to_vec(&self.wait()).unwrap_or_default()
    }
}
