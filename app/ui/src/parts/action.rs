//! Buttons that send a request.

use api::{
    Error,
    client::{Asked, Text, read},
};
use leptos::prelude::*;
use serde::de::DeserializeOwned;

use super::Toasts;

/// Sends `request` unless `busy`; an error becomes a toast.
pub fn act<T: DeserializeOwned + 'static>(
    busy: RwSignal<bool>,
    failed: impl Into<String>,
    request: Asked<T>,
    then: impl FnOnce(T) + 'static,
) {
    if !busy.get_untracked() {
        run(busy, failed.into(), request.text(), Box::new(move |text| read(text).map(then)));
    }
}

/// Handles the response text.
type Then = Box<dyn FnOnce(&str) -> Result<(), Error>>;

/// Not generic, so that browsers load it once and not per type.
fn run(busy: RwSignal<bool>, failed: String, request: Text, then: Then) {
    busy.set(true);
    let toasts = Toasts::of_page();
    leptos::task::spawn_local(async move {
        let answer = request.await;
        busy.try_set(false);
        if let Err(error) = answer.and_then(|text| then(&text)) {
            toasts.failed(failed, &error);
        }
    });
}

/// A button that shows that its request is in progress.
#[component]
pub fn ActButton(
    /// `btn pri`, `btn sm dgr`, …
    #[prop(into)]
    class: Signal<String>,
    #[prop(into)] busy: Signal<bool>,
    on_click: Callback<()>,
    children: Children,
) -> impl IntoView {
    view! {
        <button
            class=move || class.get()
            type="button"
            aria-busy=move || busy.get().to_string()
            aria-disabled=move || busy.get().to_string()
            on:click=move |_| if !busy.get_untracked() { on_click.run(()) }
        >
            {children()}
        </button>
    }
    .into_any()
}
