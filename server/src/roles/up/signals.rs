//! The signals that stop `wharfd up`.

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM, SIGINT, and SIGHUP unless it is ignored (`nohup`).
pub struct Signals {
    term: Signal,
    int: Signal,
    hup: Option<Signal>,
}

impl Signals {
    /// Registers the handlers.
    pub fn new() -> Result<Signals> {
        let on = |kind| signal(kind).context("listen for signals");
        let hup = if hangup_is_ignored() { None } else { Some(on(SignalKind::hangup())?) };
        Ok(Signals { term: on(SignalKind::terminate())?, int: on(SignalKind::interrupt())?, hup })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        let hup = async {
            match &mut self.hup {
                Some(hup) => hup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
            _ = hup => {}
        }
    }
}

fn hangup_is_ignored() -> bool {
    // SAFETY: with no new action, sigaction(2) only fills in the old one.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGHUP, std::ptr::null(), &mut now) == 0 && now.sa_sigaction == libc::SIG_IGN
    }
}
