//! Buttons that ask the platform to do something.

use std::{future::Future, pin::Pin};

use api::Error;
use leptos::prelude::*;

use super::Toasts;

/// Runs `asked` unless something is running already; a refusal becomes a toast.
pub fn act<T: 'static>(
    busy: RwSignal<bool>,
    failed: impl Into<String>,
    asked: impl Future<Output = Result<T, Error>> + 'static,
    then: impl FnOnce(T) + 'static,
) {
    if !busy.get_untracked() {
        run(
            busy,
            failed.into(),
            Box::pin(async move { asked.await.map(|value| Box::new(move || then(value)) as Then) }),
        );
    }
}

/// What follows when the platform has done what it was asked.
type Then = Box<dyn FnOnce()>;

/// Boxed, so that browsers load it once and not for each question.
fn run(busy: RwSignal<bool>, failed: String, asked: Pin<Box<dyn Future<Output = Result<Then, Error>>>>) {
    busy.set(true);
    let toasts = Toasts::of_page();
    leptos::task::spawn_local(async move {
        let result = asked.await;
        busy.try_set(false);
        match result {
            Ok(then) => then(),
            Err(error) => toasts.failed(failed, &error),
        }
    });
}

/// A button that shows that its work is under way.
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
