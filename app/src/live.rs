//! What moves by itself: topics of the one websocket, as pages see them.
//!
//! The connection itself is made by whoever runs the app and is handed in as [`Socket`]; on the
//! server there is none, and nothing moves.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use api::{Error, live::Topic};
use leptos::prelude::*;

/// What a subscription is told. JSON is handed over as text: only the reader knows its type.
pub enum Said<'a> {
    /// The whole new value of a `State` topic.
    Value(&'a str),
    /// New lines, as a JSON array.
    Lines(&'a str),
    /// This many lines were left out because the reader was too slow.
    Dropped(u64),
    /// The topic has ended well.
    End,
    /// The subscription was refused or broke off.
    Failed(&'a Error),
}

/// Hears what a subscription is told.
pub type Sink = Box<dyn Fn(Said<'_>)>;

/// One connection with many subscriptions, which it takes up again after a break.
pub trait Socket: Send + Sync + 'static {
    /// Starts a subscription and returns its number.
    fn subscribe(&self, topic: Topic, sink: Sink) -> u32;
    /// Tells that the reader of lines has room for `more` more.
    fn credit(&self, id: u32, more: u32);
    /// Ends a subscription.
    fn unsubscribe(&self, id: u32);
    /// Where the connection reports how it is.
    fn report_to(&self, state: LinkState);
}

/// How the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Not yet made.
    Opening,
    Open,
    /// Broken off; it is being made again.
    Lost,
}

/// What the connection reports, for pages to show.
#[derive(Clone, Copy)]
pub struct LinkState {
    pub link: RwSignal<Link>,
    /// Milliseconds since the epoch: when the connection broke off.
    pub lost_at: RwSignal<i64>,
    /// A server of another version than at first has answered.
    pub newer: RwSignal<bool>,
    /// The session has ended.
    pub signed_out: RwSignal<bool>,
    /// Subscriptions of the page that were refused or ended while it is shown: the app was removed, or
    /// one's access to it.
    pub ended: RwSignal<u32>,
}

/// Whether a topic is about what the page shows. What runs in the frame of every page is not.
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
    /// Provides the connection by context; takes the [`Socket`] from there if there is one.
    pub(crate) fn provide() {
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

    /// Subscribes until the current owner is cleaned up. To be called from an effect.
    pub fn subscribe(&self, topic: Topic, sink: impl Fn(Said<'_>) + 'static) -> Subscription {
        let (counts, ended) = (is_of_page(&topic), self.state.ended);
        // A build's output ends well; everything else goes on for as long as one may see it.
        let ends_well = matches!(topic, Topic::Build { .. });
        let has_ended = Arc::new(AtomicBool::new(false));
        let of_sink = has_ended.clone();
        let told = move |said: Said<'_>| {
            let now = matches!(said, Said::Failed(_)) || matches!(said, Said::End) && !ends_well;
            let before = of_sink.swap(now, Ordering::Relaxed);
            if counts && now != before {
                ended.try_update(|n| *n = if now { *n + 1 } else { n.saturating_sub(1) });
            }
            sink(said);
        };
        let id = self.socket.as_ref().map(|socket| socket.subscribe(topic, Box::new(told)));
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

/// How often something was changed on the platform, by anybody, since the page was opened.
#[derive(Clone, Copy)]
pub struct Changes(pub RwSignal<u32>);

impl Changes {
    /// Counts for the page and provides the count by context.
    pub(crate) fn provide() {
        let (count, live) = (RwSignal::new(0), Live::of_page());
        Effect::new(move |_| {
            // The first answer is how things are; one after a break may stand for any number of changes.
            let heard = StoredValue::new(false);
            live.subscribe(Topic::Changes, move |said| {
                if let Said::Value(_) = said
                    && heard.try_get_value() == Some(true)
                {
                    count.try_update(|n| *n += 1);
                }
                heard.try_set_value(true);
            });
        });
        provide_context(Self(count));
    }
}

/// A running subscription.
#[derive(Clone)]
pub struct Subscription {
    id: Option<u32>,
    socket: Option<Arc<dyn Socket>>,
}

impl Subscription {
    /// The reader has room for `more` more lines.
    pub fn credit(&self, more: u32) {
        if let (Some(socket), Some(id)) = (&self.socket, self.id) {
            socket.credit(id, more);
        }
    }

    /// Ends it; nothing is heard any more.
    pub fn end(&self) {
        if let (Some(socket), Some(id)) = (&self.socket, self.id) {
            socket.unsubscribe(id);
        }
    }
}
