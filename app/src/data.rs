//! Data on a page: asked for once, then moved by the live connection.

use std::{future::Future, pin::Pin};

use api::{Client, Error, live::Topic};
use leptos::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    live::{Live, Said},
    parts::{ErrorPanel, Skeleton},
};

/// The client that whoever runs the app has provided.
pub fn client() -> Client {
    expect_context::<Client>()
}

/// What data must be able to do to travel from the server's page into the browser's.
pub trait Datum: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {}
impl<T: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static> Datum for T {}

/// A value that was asked for, and the newest that was heard of since.
pub struct Moving<T: Datum> {
    first: Resource<Result<T, Error>>,
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
    pub fn new<K, F>(
        key: impl Fn() -> K + Copy + Send + Sync + 'static,
        fetch: impl Fn(K) -> F + Send + Sync + 'static,
        topic: impl Fn(K) -> Option<Topic> + 'static,
    ) -> Self
    where
        K: Clone + PartialEq + Send + Sync + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let first = first(Box::new(key), Box::new(move |key| Box::pin(fetch(key)) as Asking<T>));
        let moving = Self { first, latest: RwSignal::new(None), drawn: RwSignal::new(false) };
        let live = Live::of_page();
        let key = Memo::new(move |_| key());
        effect(Box::new(move || {
            moving.drawn.set(true);
            moving.latest.set(None);
            if let Some(topic) = topic(key.get()) {
                live.subscribe(topic, move |said| {
                    if let Said::Value(json) = said
                        && let Ok(value) = serde_json::from_str(json)
                    {
                        moving.latest.try_set(Some(value));
                    }
                });
            }
        }));
        moving
    }

    /// Asks again.
    pub fn again(self) {
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
        self.latest.get().or_else(|| self.drawn.get().then(|| self.first.get().and_then(Result::ok)).flatten())
    }

    /// Shows it: `view` is called once per answer and follows the signal it is given.
    pub fn show<V, F>(self, lines: usize, view: F) -> AnyView
    where
        V: IntoView + 'static,
        F: Fn(Signal<T>) -> V + Clone + Send + Sync + 'static,
    {
        let suspended = move || {
            let view = view.clone();
            Suspend::new(async move {
                match self.first.await {
                    Ok(first) => {
                        let current = RwSignal::new(self.latest.get_untracked().unwrap_or(first));
                        effect(Box::new(move || {
                            if let Some(value) = self.latest.get()
                                && current.with_untracked(|now| *now != value)
                            {
                                current.set(value);
                            }
                        }));
                        view(current.into()).into_any()
                    }
                    Err(error) => ErrorPanel(crate::parts::ErrorPanelProps {
                        error,
                        again: Some(Callback::new(move |()| self.again())),
                    })
                    .into_any(),
                }
            })
        };
        // Erased, here and in components: the compiler would spell out the type of every page otherwise.
        view! { <Transition fallback=move || view! { <Skeleton lines/> }>{suspended}</Transition> }.into_any()
    }
}

/// An answer on its way.
type Asking<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// Boxed, so that browsers load one such machine for each kind of answer and not one for each question.
fn first<T: Datum, K: Clone + PartialEq + Send + Sync + 'static>(
    key: Box<dyn Fn() -> K + Send + Sync>,
    fetch: Box<dyn Fn(K) -> Asking<T> + Send + Sync>,
) -> Resource<Result<T, Error>> {
    Resource::new(key, fetch)
}

/// An effect; boxed for the same reason.
fn effect(run: Box<dyn Fn()>) {
    Effect::new(move |_| run());
}

/// Data that is asked for and does not move by itself.
pub fn asked<T: Datum, K, F>(
    key: impl Fn() -> K + Copy + Send + Sync + 'static,
    fetch: impl Fn(K) -> F + Send + Sync + 'static,
) -> Moving<T>
where
    K: Clone + PartialEq + Send + Sync + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    Moving::new(key, fetch, |_| None)
}
