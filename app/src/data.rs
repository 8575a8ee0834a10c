//! Data on a page: asked for once, then moved by the live connection.

use std::{future::Future, pin::Pin, sync::Arc};

use api::{
    Client, Error,
    client::{Asked, Page, Text, read},
    live::Topic,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    live::{Changes, Live, Said},
    parts::{ErrorPanel, Skeleton, dom},
};

/// The client that whoever runs the app has provided.
pub fn client() -> Client {
    expect_context::<Client>()
}

/// What data must be able to do to be shown and followed.
pub trait Datum: Clone + PartialEq + DeserializeOwned + Send + Sync + 'static {}
impl<T: Clone + PartialEq + DeserializeOwned + Send + Sync + 'static> Datum for T {}

/// An answer as it travels from the server's page into the browser's: as it came, and read where it is shown.
/// One kind of resource for all kinds of answers is a tenth less for browsers to load.
type Answer = Result<Json, Error>;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Json(Box<RawValue>);

impl Json {
    fn read<T: Datum>(&self) -> Result<T, Error> {
        read(self.0.get())
    }
}

/// A value that was asked for, and the newest that was heard of since.
pub struct Moving<T: Datum> {
    first: Resource<Answer>,
    latest: RwSignal<Option<T>>,
    /// Whether the browser has taken up what the server drew.
    drawn: RwSignal<bool>,
}

impl<T: Datum> Clone for Moving<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: Datum> Copy for Moving<T> {}

impl<T: Datum> Moving<T> {
    /// Asks with `fetch` for what `key` names, again whenever that changes, and follows `topic`.
    pub fn new<K>(
        key: impl Fn() -> K + Copy + Send + Sync + 'static,
        fetch: impl Fn(K) -> Asked<T> + Send + Sync + 'static,
        topic: impl Fn(K) -> Option<Topic> + 'static,
    ) -> Self
    where
        K: Clone + PartialEq + Send + Sync + 'static,
    {
        Self::asking(key, Box::new(move |key| answer(fetch(key).text())), topic)
    }

    fn asking<K: Clone + PartialEq + Send + Sync + 'static>(
        key: impl Fn() -> K + Copy + Send + Sync + 'static,
        fetch: Box<dyn Fn(K) -> Asking + Send + Sync>,
        topic: impl Fn(K) -> Option<Topic> + 'static,
    ) -> Self {
        let first = first(Box::new(key), fetch);
        let moving = Self { first, latest: RwSignal::new(None), drawn: RwSignal::new(false) };
        let live = Live::of_page();
        let key = Memo::new(move |_| key());
        effect(Box::new(move || {
            moving.drawn.set(true);
            moving.latest.set(None);
            if let Some(topic) = topic(key.get()) {
                live.subscribe(topic, move |said| {
                    if let Said::Value(json) = said {
                        moving.hear(json);
                    }
                });
            }
        }));
        moving
    }

    /// Takes `json` for the newest value, if it can be read.
    fn hear(self, json: &str) {
        if let Ok(value) = read::<T>(json) {
            self.latest.try_set(Some(value));
        }
    }

    /// Asks again. The answer counts, whatever was heard of before.
    pub fn again(self) {
        self.latest.set(None);
        self.first.refetch();
    }

    /// Takes `value` for the newest: the answer to a change made here.
    pub fn put(self, value: T) {
        self.latest.set(Some(value));
    }

    /// The newest value, or `None` before it has come. Does not wait.
    ///
    /// `None` on the server too, and until the browser has taken up its page: whether the answer is
    /// there in that moment is chance, and hydration has to find what the server drew.
    pub fn get(self) -> Option<T> {
        self.latest.get().or_else(|| {
            let first = self.drawn.get().then(|| self.first.get().and_then(Result::ok)).flatten();
            first.and_then(|json| json.read().ok())
        })
    }

    /// Shows it: `view` is called once per answer and follows the signal it is given.
    pub fn show<V, F>(self, lines: usize, view: F) -> AnyView
    where
        V: IntoView + 'static,
        F: Fn(Signal<T>) -> V + Clone + Send + Sync + 'static,
    {
        let drawn = move |answer: Answer| match answer.and_then(|json| json.read()) {
            Ok(first) => view(self.current(first)).into_any(),
            Err(error) => refused(error, Callback::new(move |()| self.again())),
        };
        awaited(self.first, lines, Arc::new(drawn))
    }

    /// What is shown: `first`, and what is heard of later.
    fn current(self, first: T) -> Signal<T> {
        let current = RwSignal::new(self.latest.get_untracked().unwrap_or(first));
        effect(Box::new(move || {
            if let Some(value) = self.latest.get()
                && current.with_untracked(|now| *now != value)
            {
                current.set(value);
            }
        }));
        current.into()
    }
}

fn refused(error: Error, again: Callback<()>) -> AnyView {
    ErrorPanel(crate::parts::ErrorPanelProps { error, again: Some(again) }).into_any()
}

/// Shows `drawn` of the answer once it is there. The same for all kinds of answers, as is what follows:
/// browsers load it once.
fn awaited(first: Resource<Answer>, lines: usize, drawn: Arc<dyn Fn(Answer) -> AnyView + Send + Sync>) -> AnyView {
    let suspended = move || {
        let drawn = drawn.clone();
        Suspend::new(async move { drawn(first.await) })
    };
    view! { <Transition fallback=move || view! { <Skeleton lines/> }>{suspended}</Transition> }.into_any()
}

/// An answer on its way.
type Asking = Pin<Box<dyn Future<Output = Answer> + Send>>;

fn answer(text: Text) -> Asking {
    Box::pin(async move { text.await.and_then(|text| read(&text)).map(Json) })
}

fn first<K: Clone + PartialEq + Send + Sync + 'static>(
    key: Box<dyn Fn() -> K + Send + Sync>,
    fetch: Box<dyn Fn(K) -> Asking + Send + Sync>,
) -> Resource<Answer> {
    Resource::new(key, fetch)
}

/// An effect; boxed for the same reason.
fn effect(run: Box<dyn Fn()>) {
    Effect::new(move |_| run());
}

/// Data that is asked for once.
pub fn asked<T: Datum, K: Clone + PartialEq + Send + Sync + 'static>(
    key: impl Fn() -> K + Copy + Send + Sync + 'static,
    fetch: impl Fn(K) -> Asked<T> + Send + Sync + 'static,
) -> Moving<T> {
    Moving::new(key, fetch, |_| None)
}

/// Data that has no topic of its own: it is asked for again whenever somebody changed something.
pub fn kept<T: Datum, K: Clone + PartialEq + Send + Sync + 'static>(
    key: impl Fn() -> K + Copy + Send + Sync + 'static,
    fetch: impl Fn(K) -> Asked<T> + Send + Sync + 'static,
) -> Moving<T> {
    let fetch: Arc<dyn Fn(K) -> Asking + Send + Sync> = Arc::new(move |key| answer(fetch(key).text()));
    let first = fetch.clone();
    let moving = Moving::asking(key, Box::new(move |key| first(key)), |_| None);
    if let Some(Changes(count)) = use_context() {
        // Answers come when they come: once the page is left there is no key any more, and reading it would panic.
        let now = move || (!moving.latest.is_disposed()).then(|| untrack(key));
        let hear = move |asked_for: K, json: &str| {
            if now() == Some(asked_for) {
                moving.hear(json);
            }
        };
        ask_again(count, Box::new(now), fetch, Arc::new(hear));
    }
    moving
}

/// A page of a list, kept up to date: its first, or the one after what the address says, `?tokens=…`.
/// `name` is also the id of the section that shows it, which is brought into sight with another page.
pub fn paged<T: Datum, K: Clone + PartialEq + Send + Sync + 'static>(
    name: &'static str,
    key: impl Fn() -> K + Copy + Send + Sync + 'static,
    fetch: impl Fn(K, Option<&str>) -> Asked<Page<T>> + Send + Sync + 'static,
) -> Moving<Page<T>> {
    let place = place(name);
    kept(
        move || (key(), place.try_get().flatten()),
        move |(key, after): (K, Option<String>)| fetch(key, after.as_deref()),
    )
}

/// After what the page of the list `name` begins; nothing for the first one.
pub fn place(name: &'static str) -> Memo<Option<String>> {
    let query = use_query_map();
    let place = Memo::new(move |_| query.with(|q| q.get(name)).filter(|after| !after.is_empty()));
    effect_of_place(name, place);
    place
}

fn effect_of_place(name: &'static str, place: Memo<Option<String>>) {
    Effect::new(move |before: Option<Option<String>>| {
        let now = place.get();
        if before.is_some_and(|before| before != now) {
            dom::bring(name);
        }
        now
    });
}

/// Hears the answer to what a key names.
type Hearing<K> = Arc<dyn Fn(K, &str)>;

/// Asks again with each change while there is a `key`, and has the answer heard. What cannot be had now is had with the
/// next one.
fn ask_again<K: Clone + PartialEq + Send + Sync + 'static>(
    count: RwSignal<u32>,
    key: Box<dyn Fn() -> Option<K>>,
    fetch: Arc<dyn Fn(K) -> Asking + Send + Sync>,
    hear: Hearing<K>,
) {
    Effect::new(move |before: Option<()>| {
        count.track();
        if before.is_none() {
            return;
        }
        let (Some(key), hear) = (key(), hear.clone()) else { return };
        let asked = fetch(key.clone());
        leptos::task::spawn_local(async move {
            if let Ok(json) = asked.await {
                hear(key, json.0.get());
            }
        });
    });
}
