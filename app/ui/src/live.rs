//! Live updates: the topics of the page's websocket.
//!
//! The connection is passed in as [`Socket`] by the browser crate; on the server there is none,
//! and nothing is updated.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use api::{
    Error,
    client::read,
    live::{Changed, Topic},
};
use leptos::prelude::*;

use crate::nouns;

/// A message to a subscription. JSON is passed as text: only the subscriber knows its type.
pub enum Message<'a> {
    /// The whole new value of a `State` topic.
    Value(&'a str),
    /// New lines, as a JSON array.
    Lines(&'a str),
    /// This many lines were dropped because the reader was too slow.
    Dropped(u64),
    /// The topic has ended normally.
    End,
    /// The subscription was refused or failed.
    Failed(&'a Error),
}

/// The handler of a subscription's messages.
pub type Sink = Box<dyn Fn(Message<'_>)>;

/// One connection with many subscriptions, which are resumed after a reconnect.
pub trait Socket: Send + Sync + 'static {
    /// Starts a subscription and returns its id.
    fn subscribe(&self, topic: Topic, sink: Sink) -> u32;
    /// Grants credit for `more` further lines.
    fn credit(&self, id: u32, more: u32);
    /// Ends a subscription.
    fn unsubscribe(&self, id: u32);
    /// Where the connection reports its state.
    fn report_to(&self, state: LinkState);
}

/// The state of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Not connected yet.
    Opening,
    Open,
    /// Lost; reconnecting.
    Lost,
}

/// What the connection reports, for pages to show.
#[derive(Clone, Copy)]
pub struct LinkState {
    pub link: RwSignal<Link>,
    /// When the connection was lost, in milliseconds since the epoch.
    pub lost_at: RwSignal<i64>,
    /// The server now runs another version than at first.
    pub newer: RwSignal<bool>,
    /// The session has ended.
    pub signed_out: RwSignal<bool>,
    /// Subscriptions of the shown page that were refused or ended: the app was destroyed, or access
    /// to it was revoked.
    pub ended: RwSignal<u32>,
}

/// Whether a topic belongs to the shown page, and not to the frame of every page.
fn is_of_page(topic: &Topic) -> bool {
    !matches!(topic, Topic::Platform | Topic::Changes)
}

/// The page's connection.
#[derive(Clone)]
pub struct Live {
    socket: Option<Arc<dyn Socket>>,
    pub state: LinkState,
}

impl Live {
    /// Provides the connection through the context; takes the [`Socket`] from there if there is one.
    pub fn provide() {
        let state = LinkState {
            link: RwSignal::new(Link::Opening),
            lost_at: RwSignal::new(0),
            newer: RwSignal::new(false),
            signed_out: RwSignal::new(false),
            ended: RwSignal::new(0),
        };
        let socket = use_context::<Arc<dyn Socket>>();
        if let Some(socket) = &socket {
            socket.report_to(state);
        }
        provide_context(Self { socket, state });
    }

    /// The connection of this page.
    pub fn of_page() -> Self {
        expect_context::<Self>()
    }

    /// Subscribes until the current owner is cleaned up. Call it from an effect.
    pub fn subscribe(&self, topic: Topic, sink: impl Fn(Message<'_>) + 'static) -> Subscription {
        let (counts, ended) = (is_of_page(&topic), self.state.ended);
        // A build's output ends normally; all other topics last as long as the user has access.
        let ends_well = matches!(topic, Topic::Build { .. });
        let has_ended = Arc::new(AtomicBool::new(false));
        let of_sink = has_ended.clone();
        let on_message = move |message: Message<'_>| {
            let now = matches!(message, Message::Failed(_)) || matches!(message, Message::End) && !ends_well;
            let before = of_sink.swap(now, Ordering::Relaxed);
            if counts && now != before {
                ended.try_update(|n| *n = if now { *n + 1 } else { n.saturating_sub(1) });
            }
            sink(message);
        };
        let id = self.socket.as_ref().map(|socket| socket.subscribe(topic, Box::new(on_message)));
        let subscription = Subscription { id, socket: self.socket.clone() };
        let ending = subscription.clone();
        on_cleanup(move || {
            ending.end();
            if counts && has_ended.load(Ordering::Relaxed) {
                ended.try_update(|n| *n = n.saturating_sub(1));
            }
        });
        subscription
    }
}

/// Counts the changes on the platform since the page was opened, by any user, per kind of thing.
#[derive(Clone, Copy)]
pub struct Changes(RwSignal<BTreeMap<String, u32>>);

/// The key that counts possible changes of an unknown kind.
const UNKNOWN: &str = "?";

impl Changes {
    /// Starts counting and provides the counts through the context.
    pub(crate) fn provide() {
        let (changes, live) = (Self(RwSignal::new(BTreeMap::new())), Live::of_page());
        Effect::new(move |_| {
            let seen_first = StoredValue::new(false);
            live.subscribe(Topic::Changes, move |message| {
                let Message::Value(json) = message else { return };
                let mut changed = read::<Changed>(json).unwrap_or_default();
                // The first message is empty; one after a reconnect may stand for any number of changes.
                changed.anything |= changed.nouns.is_empty() && seen_first.try_get_value() == Some(true);
                seen_first.try_set_value(true);
                changes.add(&changed);
            });
        });
        provide_context(changes);
    }

    /// Adds these changes to the counts.
    pub fn add(self, changed: &Changed) {
        if *changed == Changed::default() {
            return;
        }
        let unknown = changed.anything.then_some(UNKNOWN);
        self.0.try_update(|counts| {
            for noun in changed.nouns.iter().map(String::as_str).chain(unknown).chain(nouns::ANYTHING.iter().copied()) {
                *counts.entry(noun.to_owned()).or_default() += 1;
            }
        });
    }

    /// How often things with these nouns may have changed.
    pub(crate) fn of(self, nouns: &[&str]) -> u32 {
        self.0.with(|counts| [UNKNOWN].iter().chain(nouns).filter_map(|noun| counts.get(*noun)).sum())
    }
}

/// A running subscription.
#[derive(Clone)]
pub struct Subscription {
    id: Option<u32>,
    socket: Option<Arc<dyn Socket>>,
}

impl Subscription {
    /// Grants credit for `more` further lines.
    pub fn credit(&self, more: u32) {
        if let (Some(socket), Some(id)) = (&self.socket, self.id) {
            socket.credit(id, more);
        }
    }

    /// Ends it; no further messages arrive.
    pub fn end(&self) {
        if let (Some(socket), Some(id)) = (&self.socket, self.id) {
            socket.unsubscribe(id);
        }
    }
}
