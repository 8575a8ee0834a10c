//! Data on a page: fetched once, then updated through the live connection.

use std::{cell::RefCell, future::Future, pin::Pin, rc::Rc, sync::Arc, time::Duration};

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
    live::{Changes, Live, Message},
    pace::Pace,
    parts::{ErrorPanel, Skeleton, dom},
};

/// The API client from the context.
pub fn client() -> Client {
    expect_context::<Client>()
}

/// Bounds of data that can be shown and kept up to date.
pub trait Datum: Clone + PartialEq + DeserializeOwned + Send + Sync + 'static {}
impl<T: Clone + PartialEq + DeserializeOwned + Send + Sync + 'static> Datum for T {}

/// A response as it is passed from the server's page to the browser: raw JSON, parsed where it is shown.
/// A single resource type for all responses makes the WASM a tenth smaller.
type Answer = Result<Json, Error>;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Json(Box<RawValue>);

impl Json {
    fn read<T: Datum>(&self) -> Result<T, Error> {
        read(self.0.get())
    }
}

/// A fetched value and the latest update since.
pub struct LiveData<T: Datum> {
    first: Resource<Answer>,
    latest: RwSignal<Option<T>>,
    /// Whether the page is hydrated.
    hydrated: RwSignal<bool>,
}

impl<T: Datum> Clone for LiveData<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: Datum> Copy for LiveData<T> {}

impl<T: Datum> LiveData<T> {
    /// Fetches the data for `key`, again whenever the key changes, and subscribes to `topic`.
    pub fn new<K>(
        key: impl Fn() -> K + Copy + Send + Sync + 'static,
        fetch: impl Fn(K) -> Asked<T> + Send + Sync + 'static,
        topic: impl Fn(K) -> Option<Topic> + 'static,
    ) -> Self
    where
        K: Clone + PartialEq + Send + Sync + 'static,
    {
        Self::with_fetch(key, Box::new(move |key| answer(fetch(key).text())), topic)
    }

    fn with_fetch<K: Clone + PartialEq + Send + Sync + 'static>(
        key: impl Fn() -> K + Copy + Send + Sync + 'static,
        fetch: Box<dyn Fn(K) -> Pending + Send + Sync>,
        topic: impl Fn(K) -> Option<Topic> + 'static,
    ) -> Self {
        let first = first(Box::new(key), fetch);
        let data = Self { first, latest: RwSignal::new(None), hydrated: RwSignal::new(false) };
        let live = Live::of_page();
        let key = Memo::new(move |_| key());
        effect(Box::new(move || {
            data.hydrated.set(true);
            data.latest.set(None);
            if let Some(topic) = topic(key.get()) {
                live.subscribe(topic, move |message| {
                    if let Message::Value(json) = message {
                        data.receive(json);
                    }
                });
            }
        }));
        data
    }

    /// Stores `json` as the latest value if it parses.
    fn receive(self, json: &str) {
        if let Ok(value) = read::<T>(json) {
            self.latest.try_set(Some(value));
        }
    }

    /// Fetches again. The response replaces all earlier updates.
    pub fn refetch(self) {
        self.latest.set(None);
        self.first.refetch();
    }

    /// Stores `value` as the latest: the response to a change made on this page.
    pub fn put(self, value: T) {
        self.latest.set(Some(value));
    }

    /// The latest value, or `None` before it has arrived. Does not wait.
    ///
    /// Also `None` on the server and until the page is hydrated: whether the response has arrived
    /// by then is a race, and hydration has to match what the server rendered.
    pub fn get(self) -> Option<T> {
        self.latest.get().or_else(|| {
            let first = self.hydrated.get().then(|| self.first.get().and_then(Result::ok)).flatten();
            first.and_then(|json| json.read().ok())
        })
    }

    /// Shows the value: `view` is called once per response and follows its signal.
    pub fn show<V, F>(self, lines: usize, view: F) -> AnyView
    where
        V: IntoView + 'static,
        F: Fn(Signal<T>) -> V + Clone + Send + Sync + 'static,
    {
        let render = move |answer: Answer| match answer.and_then(|json| json.read()) {
            Ok(first) => view(self.current(first)).into_any(),
            Err(error) => error_panel(error, Callback::new(move |()| self.refetch())),
        };
        when_loaded(self.first, lines, Arc::new(render))
    }

    /// What is shown: `first`, then the updates.
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

fn error_panel(error: Error, retry: Callback<()>) -> AnyView {
    ErrorPanel(crate::parts::ErrorPanelProps { error, retry: Some(retry) }).into_any()
}

/// Renders the response with `render` once it arrives. Like the functions below, it is not generic over the type, so
/// that browsers load the code once.
fn when_loaded(first: Resource<Answer>, lines: usize, render: Arc<dyn Fn(Answer) -> AnyView + Send + Sync>) -> AnyView {
    let suspended = move || {
        let render = render.clone();
        Suspend::new(async move { render(first.await) })
    };
    view! { <Transition fallback=move || view! { <Skeleton lines/> }>{suspended}</Transition> }.into_any()
}

/// A response in flight.
type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

fn answer(text: Text) -> Pending {
    Box::pin(async move { text.await.and_then(|text| read(&text)).map(Json) })
}

fn first<K: Clone + PartialEq + Send + Sync + 'static>(
    key: Box<dyn Fn() -> K + Send + Sync>,
    fetch: Box<dyn Fn(K) -> Pending + Send + Sync>,
) -> Resource<Answer> {
    Resource::new(key, fetch)
}

/// An effect; boxed for the same reason.
fn effect(run: Box<dyn Fn()>) {
    Effect::new(move |_| run());
}

/// Data that is fetched once.
pub fn fetched<T: Datum, K: Clone + PartialEq + Send + Sync + 'static>(
    key: impl Fn() -> K + Copy + Send + Sync + 'static,
    fetch: impl Fn(K) -> Asked<T> + Send + Sync + 'static,
) -> LiveData<T> {
    LiveData::new(key, fetch, |_| None)
}

/// Data without a topic: refetched whenever something named in `nouns` changes. These are the nouns of the audit log's
/// actions, or [`ANYTHING`](crate::nouns::ANYTHING).
pub fn refetched<T: Datum, K: Clone + PartialEq + Send + Sync + 'static>(
    nouns: &'static [&'static str],
    key: impl Fn() -> K + Copy + Send + Sync + 'static,
    fetch: impl Fn(K) -> Asked<T> + Send + Sync + 'static,
) -> LiveData<T> {
    let fetch: Arc<dyn Fn(K) -> Pending + Send + Sync> = Arc::new(move |key| answer(fetch(key).text()));
    let first = fetch.clone();
    let data = LiveData::with_fetch(key, Box::new(move |key| first(key)), |_| None);
    if let Some(changes) = use_context::<Changes>() {
        // A response may arrive after the page was left; the key has been disposed by then, and reading it would panic.
        let now = move || (!data.latest.is_disposed()).then(|| untrack(key));
        let on_answer = move |requested: K, json: &str| {
            if now() == Some(requested) {
                data.receive(json);
            }
        };
        let count = Memo::new(move |_| changes.of(nouns));
        refetch_on_change(count, Box::new(now), fetch, Arc::new(on_answer));
    }
    data
}

/// A page of a list, kept up to date: the first, or the one after the cursor in the query, `?tokens=…`.
/// `nouns`: as for [`refetched`]. `name` is also the id of the section that shows it, which is scrolled into view on another page.
pub fn paged<T: Datum, K: Clone + PartialEq + Send + Sync + 'static>(
    name: &'static str,
    nouns: &'static [&'static str],
    key: impl Fn() -> K + Copy + Send + Sync + 'static,
    fetch: impl Fn(K, Option<&str>) -> Asked<Page<T>> + Send + Sync + 'static,
) -> LiveData<Page<T>> {
    let cursor = cursor(name);
    refetched(
        nouns,
        move || (key(), cursor.try_get().flatten()),
        move |(key, after): (K, Option<String>)| fetch(key, after.as_deref()),
    )
}

/// The cursor of the list `name` from the query; `None` for the first page.
pub fn cursor(name: &'static str) -> Memo<Option<String>> {
    let query = use_query_map();
    let cursor = Memo::new(move |_| query.with(|q| q.get(name)).filter(|after| !after.is_empty()));
    scroll_into_view_on_change(name, cursor);
    cursor
}

fn scroll_into_view_on_change(name: &'static str, cursor: Memo<Option<String>>) {
    Effect::new(move |before: Option<Option<String>>| {
        let now = cursor.get();
        if before.is_some_and(|before| before != now) {
            dom::bring(name);
        }
        now
    });
}

/// Called with the key and the response.
type OnAnswer<K> = Arc<dyn Fn(K, &str)>;

/// Fetches again on changes, at the pace of [`Pace`], while there is a `key`. After a failed request, the next change
/// tries again.
fn refetch_on_change<K: Clone + PartialEq + Send + Sync + 'static>(
    count: Memo<u32>,
    key: Box<dyn Fn() -> Option<K>>,
    fetch: Arc<dyn Fn(K) -> Pending + Send + Sync>,
    on_answer: OnAnswer<K>,
) {
    let refetch = move || {
        let (Some(key), on_answer) = (key(), on_answer.clone()) else { return };
        let request = fetch(key.clone());
        leptos::task::spawn_local(async move {
            if let Ok(json) = request.await {
                on_answer(key, json.0.get());
            }
        });
    };
    paced(count, Rc::new(refetch));
}

/// Calls `run` when `count` changes: immediately, or at the end of the pause after the last call.
fn paced(count: Memo<u32>, run: Rc<dyn Fn()>) {
    let pace = Rc::new(RefCell::new(Pace::default()));
    Effect::new(move |before: Option<()>| {
        // Read, not only tracked: a memo that has never been read has no dependencies.
        let _ = count.get();
        if before.is_some() {
            let pause = pace.borrow_mut().changed();
            run_and_pause(pause, pace.clone(), run.clone());
        }
    });
}

fn run_and_pause(pause: Option<Duration>, pace: Rc<RefCell<Pace>>, run: Rc<dyn Fn()>) {
    let Some(pause) = pause else { return };
    run();
    let at_end = move || {
        let next = pace.borrow_mut().pause_ended();
        run_and_pause(next, pace, run);
    };
    set_timeout(at_end, pause);
}
