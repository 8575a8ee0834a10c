//! Terminals that somebody is about to attach to. A server forgets them when it ends: their processes get SIGHUP when
//! nobody has attached in time.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use api::ids::{AccountId, AppId, DynoId, RunId};
use base::{Error, Result, secrets, slots::Slots};
use identity::Actor;

/// How long a secret is valid.
const VALID: Duration = Duration::from_secs(60);
/// Secrets of one payer.
const MOST: usize = 20;
/// Hexadecimal digits of a secret.
pub(super) const SECRET_LENGTH: usize = 40;

/// What a secret opens.
pub(crate) struct Opening {
    /// Who has started the process, and may attach.
    pub actor: Actor,
    pub app: AppId,
    /// The process has pipes instead of a terminal.
    pub has_pipes: bool,
    pub target: Target,
}

/// A process to attach to.
pub(crate) enum Target {
    /// A one-off dyno, which the reconciler starts.
    OneOff { dyno: DynoId, run: RunId },
    /// A further process in a running dyno, started when somebody attaches.
    Exec { run: RunId, exec: Box<dyno::Exec> },
}

struct Reserved {
    payer: AccountId,
    until: Instant,
    opening: Option<Opening>,
}

/// The secrets that are valid, and slots for open sessions.
pub(crate) struct Terminals {
    reserved: Mutex<HashMap<String, Reserved>>,
    sessions: Slots,
    /// The port of the rendezvous.
    port: OnceLock<u16>,
}

impl Default for Terminals {
    fn default() -> Self {
        let sessions = Slots::new("open terminals", 20, 0, 400);
        Self { reserved: Mutex::default(), sessions, port: OnceLock::new() }
    }
}

impl Terminals {
    /// Reserves a secret for the caller.
    ///
    /// # Errors
    /// 429 if their payer has too many that nobody has used yet.
    pub fn reserve(&self, actor: &Actor) -> Result<String> {
        let (mut all, now) = (self.lock(), Instant::now());
        all.retain(|_, reserved| reserved.until > now);
        if all.values().filter(|reserved| reserved.payer == actor.payer).count() >= MOST {
            return Err(Error::too_many_tries(&format!(
                "You have started {MOST} processes that nobody has attached to. Attach to them, or try again in a \
                 minute."
            )));
        }
        let secret = secrets::random();
        all.insert(secret.clone(), Reserved { payer: actor.payer, until: now + VALID, opening: None });
        Ok(secret)
    }

    /// Gives a reserved secret back, if nothing was started.
    pub fn forget(&self, secret: &str) {
        self.lock().remove(secret);
    }

    /// Makes a reserved secret open a terminal, from now on.
    pub fn announce(&self, secret: String, opening: Opening) {
        let reserved = Reserved { payer: opening.actor.payer, until: Instant::now() + VALID, opening: Some(opening) };
        self.lock().insert(secret, reserved);
    }

    /// What a secret opens, if it is valid; only once. With an account, only if it is that one's.
    pub fn claim(&self, secret: &str, account: Option<AccountId>) -> Option<Opening> {
        let (mut all, now) = (self.lock(), Instant::now());
        let opening = all.get(secret).filter(|reserved| reserved.until > now)?.opening.as_ref()?;
        if account.is_some_and(|account| account != opening.actor.account.id) {
            return None;
        }
        all.remove(secret)?.opening
    }

    /// Slots for open sessions.
    pub fn sessions(&self) -> &Slots {
        &self.sessions
    }

    /// Sets the port of the rendezvous, once.
    pub fn set_port(&self, port: u16) {
        let _ = self.port.set(port);
    }

    /// The port of the rendezvous, if there is one.
    pub fn port(&self) -> Option<u16> {
        self.port.get().copied()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Reserved>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
