//! The change bus: what has changed, published to every server of this database.
//!
//! A message says that something has to be read again, never what it is now. So a message may arrive twice, and when
//! messages may have been lost, a single [`Kind::Anything`] stands for all of them. A change publishes what it records
//! in the audit log when it commits; only what has no event, such as a dyno that is up, is published explicitly. Messages
//! of other servers come from `exchange`.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use api::ids::{AccountId, AppId, TeamId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Notify, broadcast, mpsc};
use uuid::Uuid;

use crate::{
    ends::Whose,
    kinds::{self, Kind},
    recorded::{self, Audience, Recorded},
    subject::{Subject, SubjectKind},
};

/// Something that has changed. At most one of app, account and team is set. If none is, it may concern anybody; so may
/// a message of an older server, which names only apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Changed {
    pub kind: Kind,
    /// The app that has changed, or that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppId>,
    /// The account that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The team that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamId>,
}

impl Changed {
    /// A change of `app` or of something in it; without an app, of anything.
    pub fn new(kind: Kind, app: Option<AppId>) -> Self {
        Self { kind, app, account: None, team: None }
    }

    /// A change of what belongs to this account.
    pub fn of_account(kind: Kind, account: AccountId) -> Self {
        Self { account: Some(account), ..Self::new(kind, None) }
    }

    /// The change that an event with this subject stands for.
    pub(crate) fn of(kind: Kind, subject: &Subject) -> Self {
        let id_if = |kind| subject.id.filter(|_| subject.app.is_none() && subject.kind == kind);
        let (account, team) = (id_if(SubjectKind::Account).map(AccountId), id_if(SubjectKind::Team).map(TeamId));
        Self { kind, app: subject.app, account, team }
    }

    /// Its owner.
    pub(crate) fn whose(self) -> Whose {
        match self {
            Self { app: Some(app), .. } => Whose::App(app),
            Self { account: Some(account), .. } => Whose::Account(account),
            Self { team: Some(team), .. } => Whose::Team(team),
            _ => Whose::Anybody,
        }
    }

    /// Whether what a stream or page shows of `app` may have changed. This excludes the rights of accounts and teams: a
    /// watch detects readers who lose access to the app.
    pub fn concerns(self, app: AppId) -> bool {
        match (self.kind, self.whose()) {
            (Kind::Session, _) | (Kind::Rights, Whose::Account(_) | Whose::Team(_)) => false,
            (_, Whose::App(changed)) => changed == app,
            _ => true,
        }
    }
}

/// What one server sends to the others. Both lists follow from the same events ([`Message::add_event`]), for two kinds of
/// readers: streams and reconcilers act on kinds of changes of something, pages refetch by nouns.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Message {
    /// The server that sends it, which has delivered it already.
    from: Uuid,
    changed: BTreeSet<Changed>,
    /// The events added to the audit log.
    recorded: BTreeSet<Recorded>,
}

impl Message {
    /// An empty message of the server with this bus.
    pub(crate) fn of(bus: &Bus) -> Self {
        Self { from: bus.id, ..Self::default() }
    }

    /// Adds the changes that an event of the audit log with this action and subject stands for, caused by the account
    /// `by`.
    pub(crate) fn add_event(&mut self, action: &str, subject: &Subject, by: Option<AccountId>, data: &Value) {
        let kinds = kinds::of_action(action, subject.app.is_some());
        self.changed.extend(kinds.iter().map(|kind| Changed::of(*kind, subject)));
        self.recorded.insert(Recorded::of(action, subject, by, data));
    }

    /// Adds a change that has no event.
    pub(crate) fn add(&mut self, changed: Changed) {
        self.changed.insert(changed);
    }

    /// The message with a bounded number of changes, whose events also concern `also`. Too many changes are replaced by
    /// `Anything`.
    pub(crate) fn bounded(mut self, also: &Audience) -> Self {
        if self.changed.len() > MOST_CHANGED {
            self.changed = BTreeSet::from([Changed::new(Kind::Anything, None)]);
        }
        self.recorded = recorded::gathered(&self.recorded, also);
        self
    }

    /// The message as it is sent to other servers: in several parts if its events concern many; none if it is empty.
    pub(crate) fn parts(&self) -> Vec<String> {
        let new = || Self { from: self.from, ..Self::default() };
        let mut parts = vec![Self { changed: self.changed.clone(), ..new() }];
        let bytes_of = |event: &Recorded| serde_json::to_string(event).map_or(0, |text| text.len() + 1);
        let mut bytes = self.changed.len() * BYTES_OF_CHANGED;
        for event in &self.recorded {
            bytes += bytes_of(event);
            if bytes > MOST_BYTES {
                parts.push(new());
                bytes = bytes_of(event);
            }
            if let Some(part) = parts.last_mut() {
                part.recorded.insert(event.clone());
            }
        }
        parts.iter().filter_map(Self::text).collect()
    }

    /// Messages of bounded size, as they are sent to other servers, for changes that belong to different apps: a single
    /// `Anything` would make every server read everything again whenever many dynos start at once.
    pub(crate) fn texts(bus: &Bus, changed: &BTreeSet<Changed>) -> Vec<String> {
        let changed: Vec<Changed> = changed.iter().copied().collect();
        let message = |part: &[Changed]| Self { changed: part.iter().copied().collect(), ..Self::of(bus) };
        changed.chunks(MOST_CHANGED).filter_map(|part| message(part).text()).collect()
    }

    /// The message as a single text; `None` if it is empty.
    fn text(&self) -> Option<String> {
        let is_empty = self.changed.is_empty() && self.recorded.is_empty();
        (!is_empty).then(|| serde_json::to_string(self).unwrap_or_default())
    }
}

/// The maximum number of changes in a message.
const MOST_CHANGED: usize = 32;
/// The maximum size of a change in a message, in bytes.
const BYTES_OF_CHANGED: usize = 100;
/// The maximum size of the changes and events of a message. Postgres's limit for a message is 8,000 bytes.
const MOST_BYTES: usize = 7500;

/// The subscribers on this server.
pub(crate) struct Bus {
    id: Uuid,
    pub(crate) changes: broadcast::Sender<Changed>,
    pub(crate) session_ends: broadcast::Sender<Whose>,
    pub(crate) recorded: broadcast::Sender<Recorded>,
    pub(crate) wakers: Mutex<Vec<(&'static [Kind], Arc<Notify>)>>,
    /// The listeners of other channels of the database.
    listeners: Mutex<Vec<(&'static str, Arc<Notify>)>>,
    pub(crate) outgoing: mpsc::Sender<Changed>,
    /// The other end of `outgoing`, until `exchange::run` takes it.
    pub(crate) waiting: Mutex<Option<mpsc::Receiver<Changed>>>,
}

impl Default for Bus {
    fn default() -> Self {
        let (outgoing, waiting) = mpsc::channel(1024);
        Self {
            id: Uuid::now_v7(),
            changes: broadcast::channel(1024).0,
            session_ends: broadcast::channel(1024).0,
            recorded: broadcast::channel(1024).0,
            wakers: Mutex::default(),
            listeners: Mutex::default(),
            outgoing,
            waiting: Mutex::new(Some(waiting)),
        }
    }
}

impl Bus {
    /// Delivers a message to the subscribers on this server.
    pub(crate) fn deliver(&self, message: &Message) {
        message.changed.iter().for_each(|changed| self.notify(*changed));
        message.recorded.iter().for_each(|event| drop(self.recorded.send(event.clone())));
    }

    /// Delivers one change to the subscribers on this server.
    pub(crate) fn notify(&self, changed: Changed) {
        // In the span of what has changed it, so that the log shows what a request has caused.
        tracing::debug!(kind = ?changed.kind, app.id = changed.app.map(tracing::field::display), "published a change");
        let _ = self.changes.send(changed);
        if matches!(changed.kind, Kind::Session | Kind::Rights | Kind::Anything) {
            let _ = self.session_ends.send(changed.whose());
        }
        let wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = wakers.iter().filter(|(kinds, _)| changed.kind == Kind::Anything || kinds.contains(&changed.kind));
        woken.for_each(|(_, waker)| waker.notify_one());
    }

    /// Makes all subscribers refetch what they may have missed.
    pub(crate) fn anything(&self) {
        self.notify(Changed::new(Kind::Anything, None));
        let _ = self.recorded.send(Recorded::Anything);
        self.listeners().iter().for_each(|(_, listener)| listener.notify_one());
    }

    /// The listeners of the other channels.
    pub(crate) fn listeners(&self) -> MutexGuard<'_, Vec<(&'static str, Arc<Notify>)>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notifies the listeners of another channel.
    pub(crate) fn notify_channel(&self, channel: &str) {
        let listeners = self.listeners();
        listeners.iter().filter(|(name, _)| *name == channel).for_each(|(_, listener)| listener.notify_one());
    }

    /// Delivers a message of another server; this server's own messages have already been delivered.
    pub(crate) fn receive(&self, text: &str) {
        match serde_json::from_str::<Message>(text) {
            Ok(message) if message.from == self.id => {}
            Ok(message) => self.deliver(&message),
            // A server of another version may send kinds that this one does not know.
            Err(_) => self.anything(),
        }
    }
}

/// Waits until what is shown of `app`, or of any app if none is given, may have changed.
pub async fn concerning(changes: &mut broadcast::Receiver<Changed>, app: Option<AppId>) {
    let concerns = |changed: Changed| app.map_or(changed.kind != Kind::Session, |app| changed.concerns(app));
    // A receiver that has missed messages reads again, too.
    while matches!(changes.recv().await, Ok(changed) if !concerns(changed)) {}
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::recorded::Concerned;

    fn app(n: u128) -> Changed {
        Changed::new(Kind::App, Some(AppId::from_u128(n)))
    }

    fn event_of(action: &str, n: u128) -> Recorded {
        Recorded::of(action, &Subject::app(AppId::from_u128(n), "dusk"), Some(AccountId::from_u128(7)), &Value::Null)
    }

    fn event() -> Recorded {
        event_of("release.create", 1)
    }

    fn message(bus: &Bus, changed: BTreeSet<Changed>, recorded: BTreeSet<Recorded>) -> Message {
        Message { from: bus.id, changed, recorded }.bounded(&Audience::new())
    }

    #[test]
    fn a_message_of_many_changes_is_sent_in_short_parts() {
        let (bus, there) = (Bus::default(), Bus::default());
        let mut recorded = there.recorded.subscribe();
        let events = |n| (0..n).map(|n| event_of("buildpack_installation.update", n)).collect::<BTreeSet<_>>();
        let most = MOST_CHANGED as u128;
        let of_account = |n| Changed::of_account(Kind::DynoState, AccountId::from_u128(n));
        for changed in [(0..most).map(app).collect(), (0..most).map(of_account).collect()] {
            let parts = message(&bus, changed, events(most)).parts();
            for text in &parts {
                // Postgres's limit.
                assert!(text.len() < 8000, "{}", text.len());
                there.receive(text);
            }
            let received: BTreeSet<Recorded> = std::iter::from_fn(|| recorded.try_recv().ok()).collect();
            assert_eq!(received, events(most));
        }
        let many = message(&bus, (0..1001).map(app).collect(), events(1001));
        assert_eq!(many.changed.len(), 1);
        assert!(many.parts().iter().all(|text| text.len() < 8000));
        // One noun, for the viewers of all these apps and the account that changed them.
        let to: Audience = many.recorded.iter().flat_map(Recorded::audience).collect();
        assert_eq!(to.len(), 1002);
        assert!(many.recorded.iter().all(|event| event.noun() == Some("buildpack_installation")));
        assert!(Message::of(&bus).parts().is_empty());
    }

    #[test]
    fn changes_of_many_apps_are_sent_in_several_messages() {
        let (here, there) = (Bus::default(), Bus::default());
        let mut changes = there.changes.subscribe();
        let all: BTreeSet<Changed> = (0..1000).map(app).collect();
        let texts = Message::texts(&here, &all);
        assert_eq!(texts.len(), 1000usize.div_ceil(MOST_CHANGED));
        for text in &texts {
            assert!(text.len() < 8000, "{}", text.len());
            there.receive(text);
        }
        let received: BTreeSet<Changed> = std::iter::from_fn(|| changes.try_recv().ok()).collect();
        assert_eq!(received, all);
        assert!(Message::texts(&here, &BTreeSet::new()).is_empty());
    }

    #[test]
    fn a_message_is_delivered_once_and_an_unknown_one_counts_as_anything() {
        let (here, there) = (Bus::default(), Bus::default());
        let (mut changes, mut ends) = (here.changes.subscribe(), here.session_ends.subscribe());
        let mut recorded = here.recorded.subscribe();
        let text = |bus: &Bus| message(bus, BTreeSet::from([app(1)]), BTreeSet::from([event()])).text().unwrap();
        here.receive(&text(&here));
        assert!(changes.try_recv().is_err() && recorded.try_recv().is_err());
        here.receive(&text(&there));
        assert_eq!((changes.try_recv().unwrap(), recorded.try_recv().unwrap()), (app(1), event()));
        assert!(ends.try_recv().is_err());
        here.receive(r#"{"from":"","changed":[{"kind":"pipeline"}]}"#);
        assert_eq!(changes.try_recv().unwrap().kind, Kind::Anything);
        assert_eq!(ends.try_recv(), Ok(Whose::Anybody));
    }

    #[test]
    fn lost_rights_name_whose_they_are_to_servers_of_any_version() {
        let (id, other) = (Uuid::from_u128(1), AppId::from_u128(2));
        let (here, there) = (Bus::default(), Bus::default());
        let mut ends = here.session_ends.subscribe();
        let team = Subject::new(SubjectKind::Team, id, "acme");
        for (subject, whose) in [
            (Subject::new(SubjectKind::Account, id, "ada@example.com"), Whose::Account(AccountId(id))),
            (team.clone(), Whose::Team(TeamId(id))),
            (Subject::app(AppId(id), "dusk"), Whose::App(AppId(id))),
            (team.part_of(other), Whose::App(other)),
            (Subject::new(SubjectKind::IdentityProvider, id, "sso"), Whose::Anybody),
        ] {
            let changed = Changed::of(Kind::Rights, &subject);
            here.receive(&message(&there, BTreeSet::from([changed]), BTreeSet::new()).text().unwrap());
            assert_eq!(ends.try_recv(), Ok(whose), "{subject:?}");
        }
        // What an older server sends, and what a newer one may.
        let from = there.id;
        for (changed, whose) in [
            (r#"{"kind":"rights"}"#.to_owned(), Whose::Anybody),
            (r#"{"kind":"session"}"#.to_owned(), Whose::Anybody),
            (format!(r#"{{"kind":"rights","app":"{id}"}}"#), Whose::App(AppId(id))),
            (format!(r#"{{"kind":"rights","pipeline":"{id}"}}"#), Whose::Anybody),
        ] {
            here.receive(&format!(r#"{{"from":"{from}","changed":[{changed}],"recorded":[]}}"#));
            assert_eq!(ends.try_recv(), Ok(whose), "{changed}");
        }
        assert!(ends.try_recv().is_err());
    }

    #[test]
    fn rights_of_people_change_nothing_of_what_an_app_shows() {
        let (dusk, dawn, ada) = (AppId::from_u128(1), AppId::from_u128(2), AccountId::from_u128(2));
        let team = Subject::new(SubjectKind::Team, ada, "acme");
        for (changed, concerns) in [
            (Changed::new(Kind::Release, Some(dusk)), true),
            (Changed::new(Kind::Release, Some(dawn)), false),
            (Changed::new(Kind::Rights, Some(dusk)), true),
            (Changed::new(Kind::Rights, None), true),
            (Changed::of_account(Kind::Rights, ada), false),
            (Changed::of(Kind::Rights, &team), false),
            // A suspension cancels builds.
            (Changed::of_account(Kind::Account, ada), true),
            (Changed::of_account(Kind::Session, ada), false),
            (Changed::new(Kind::Session, None), false),
        ] {
            assert_eq!(changed.concerns(dusk), concerns, "{changed:?}");
        }
    }

    #[tokio::test]
    async fn a_waker_is_woken_by_its_kinds_alone() {
        let bus = Bus::default();
        let waker = Arc::new(Notify::new());
        bus.wakers.lock().unwrap().push((&[Kind::Build], waker.clone()));
        let is_woken = async || tokio::time::timeout(Duration::ZERO, waker.notified()).await.is_ok();
        bus.notify(app(1));
        assert!(!is_woken().await);
        bus.notify(Changed::new(Kind::Build, None));
        assert!(is_woken().await);
        bus.anything();
        assert!(is_woken().await);
    }

    #[tokio::test]
    async fn a_listener_is_notified_of_its_channel_alone_and_when_messages_were_lost() {
        let bus = Bus::default();
        let listener = Arc::new(Notify::new());
        bus.listeners().push(("jobs", listener.clone()));
        let is_notified = async || tokio::time::timeout(Duration::ZERO, listener.notified()).await.is_ok();
        bus.notify_channel("changes");
        assert!(!is_notified().await);
        bus.notify_channel("jobs");
        assert!(is_notified().await);
        bus.anything();
        assert!(is_notified().await);
    }

    #[test]
    fn an_event_is_published_as_its_kinds_and_its_noun() {
        let (bus, dusk) = (Bus::default(), AppId::from_u128(1));
        let mut message = Message::of(&bus);
        let (subject, ada) = (Subject::app(dusk, "dusk"), AccountId::from_u128(2));
        message.add_event("collaborator.delete", &subject, None, &serde_json::json!({ "account": ada }));
        let changed = [Kind::App, Kind::Rights].map(|kind| Changed::new(kind, Some(dusk)));
        assert_eq!(message.changed, BTreeSet::from(changed));
        let to = Audience::from([Concerned::Account(ada), Concerned::App(dusk)]);
        let recorded = Recorded::Event { noun: "collaborator".into(), app: None, to: Some(to) };
        assert_eq!(message.recorded, BTreeSet::from([recorded]));
    }
}
