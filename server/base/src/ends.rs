//! Ends of access: when an open stream has to check whether its reader still has access.
//!
//! Messages name the accounts whose rights, tokens or sessions may have ended. A stream checks when a message concerns
//! its reader, and at most once a second: changes of others cost no query, and many changes of the reader's cost few.

use std::time::Duration;

use api::ids::{AccountId, AppId, TeamId};
use tokio::{
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
    time::Instant,
};

/// The shortest time between two checks of one stream.
const PAUSE: Duration = Duration::from_secs(1);

/// The accounts whose rights, tokens or sessions may have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Any.
    Anybody,
    /// One account, on everything.
    Account(AccountId),
    /// All accounts, on what this team owns.
    Team(TeamId),
    /// All accounts, on this app.
    App(AppId),
}

/// What the access to something open depends on.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// The reader.
    pub account: AccountId,
    /// The app that is shown, if any.
    pub app: Option<AppId>,
    /// The team that owns the app, as it was at the last check. A transfer is a change of the app's rights.
    pub team: Option<TeamId>,
}

impl Reader {
    /// A reader whose access depends on nothing else.
    pub fn account(account: AccountId) -> Self {
        Self { account, app: None, team: None }
    }

    fn is_among(&self, whose: Whose) -> bool {
        match whose {
            Whose::Anybody => true,
            Whose::Account(account) => self.account == account,
            Whose::Team(team) => self.team == Some(team),
            Whose::App(app) => self.app == Some(app),
        }
    }
}

/// Tells one reader when to check their access.
pub struct Ends {
    messages: Receiver<Whose>,
    reader: Reader,
    pause: Duration,
    /// Whether a message has arrived since the last check.
    is_due: bool,
    checked_at: Option<Instant>,
}

impl Ends {
    /// Starts now.
    pub(crate) fn new(messages: Receiver<Whose>, reader: Reader) -> Self {
        Self { messages, reader, pause: PAUSE, is_due: false, checked_at: None }
    }

    /// The team that owns the app now.
    pub fn set_team(&mut self, team: Option<TeamId>) {
        self.reader.team = team;
    }

    /// Makes a check due, whether or not a message has arrived.
    pub fn check_now(&mut self) {
        self.is_due = true;
    }

    /// Waits until access has to be checked: because it may have ended, or after `most`. The caller's check then covers
    /// all earlier messages. `false` if the bus is closed. Cancel-safe.
    pub async fn due(&mut self, most: Duration) -> bool {
        if !self.is_due {
            if matches!(tokio::time::timeout(most, self.concerned()).await, Ok(false)) {
                return false;
            }
            self.is_due = true;
        }
        let now = Instant::now();
        if let Some(at) = self.checked_at.map(|at| at + self.pause).filter(|at| *at > now) {
            tokio::time::sleep_until(at).await;
        }
        // Messages are sent after their changes are committed, so the check sees the changes of all that have arrived.
        while !matches!(self.messages.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
        (self.is_due, self.checked_at) = (false, Some(Instant::now()));
        true
    }

    /// Waits for a message that concerns the reader; `false` if the bus is closed.
    async fn concerned(&mut self) -> bool {
        loop {
            match self.messages.recv().await {
                Ok(whose) if !self.reader.is_among(whose) => {}
                // It has lagged behind and missed messages, which may have concerned the reader.
                Ok(_) | Err(RecvError::Lagged(_)) => return true,
                Err(RecvError::Closed) => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::sync::broadcast::{Sender, channel};

    use super::*;

    const ADA: AccountId = AccountId::from_u128(1);
    const BOB: AccountId = AccountId::from_u128(2);
    const DUSK: AppId = AppId::from_u128(3);
    const DAWN: AppId = AppId::from_u128(4);
    const ACME: TeamId = TeamId::from_u128(5);
    const ZETA: TeamId = TeamId::from_u128(6);
    const LONG: Duration = Duration::from_secs(3600);

    fn ada() -> (Sender<Whose>, Ends) {
        let (sender, messages) = channel(8);
        (sender, Ends::new(messages, Reader { account: ADA, app: Some(DUSK), team: Some(ACME) }))
    }

    /// Whether a check is due; if so, it counts as done.
    fn is_due(ends: &mut Ends) -> bool {
        ends.due(LONG).now_or_never().is_some()
    }

    #[tokio::test]
    async fn a_check_is_due_when_a_message_concerns_the_reader() {
        let (sender, mut ends) = ada();
        ends.pause = Duration::ZERO;
        for (whose, concerns) in [
            (Whose::Anybody, true),
            (Whose::Account(ADA), true),
            (Whose::Account(BOB), false),
            (Whose::App(DUSK), true),
            (Whose::App(DAWN), false),
            (Whose::Team(ACME), true),
            (Whose::Team(ZETA), false),
        ] {
            sender.send(whose).unwrap();
            assert_eq!(is_due(&mut ends), concerns, "{whose:?}");
        }
        ends.set_team(Some(ZETA));
        sender.send(Whose::Team(ACME)).unwrap();
        assert!(!is_due(&mut ends));
        sender.send(Whose::Team(ZETA)).unwrap();
        assert!(is_due(&mut ends));
        drop(sender);
        assert!(!ends.due(LONG).await, "nothing can come any more");
    }

    #[tokio::test]
    async fn checks_have_a_pause_between_them_and_miss_nothing() {
        let (sender, mut ends) = ada();
        ends.pause = LONG;
        sender.send(Whose::Account(ADA)).unwrap();
        assert!(is_due(&mut ends), "the first one is checked at once");
        for _ in 0..3 {
            sender.send(Whose::Account(ADA)).unwrap();
            // Waiting is cancelled and restarted, as when a socket receives messages.
            assert!(!is_due(&mut ends));
        }
        ends.pause = Duration::ZERO;
        assert!(is_due(&mut ends), "what came during the pause is not forgotten");
        assert!(!is_due(&mut ends), "one check is enough for all of it");
        // More messages of others than the channel holds: one of the reader's may have been among them.
        for _ in 0..20 {
            sender.send(Whose::Account(BOB)).unwrap();
        }
        assert!(is_due(&mut ends));
        assert!(!is_due(&mut ends));
        ends.check_now();
        assert!(is_due(&mut ends));
    }

    #[tokio::test]
    async fn a_check_is_due_after_the_given_time() {
        let (_sender, mut ends) = ada();
        assert!(ends.due(Duration::ZERO).await);
    }
}
