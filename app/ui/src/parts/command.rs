//! A command to type, with a button that copies it.

use std::time::Duration;

use leptos::prelude::*;

use super::{Icon, dom};

/// One line for a terminal.
#[component]
pub fn Cmd(#[prop(into)] line: Signal<String>) -> impl IntoView {
    view! {
        <div class="cmd">
            <span class="p" aria-hidden="true">"$"</span>
            <code tabindex="0">{move || line.get()}</code>
            <CopyButton text=line label="Copy command"/>
        </div>
    }
    .into_any()
}

/// Copies `text`, and briefly confirms it.
#[component]
pub fn CopyButton(#[prop(into)] text: Signal<String>, #[prop(into)] label: String) -> impl IntoView {
    let copied = RwSignal::new(false);
    let copy = move |_| {
        dom::copy(&text.get_untracked());
        copied.set(true);
        set_timeout(
            move || {
                copied.try_set(false);
            },
            Duration::from_secs(2),
        );
    };
    view! {
        <button
            class="btn gho sm ico"
            type="button"
            aria-label=move || if copied.get() { "Copied".to_owned() } else { label.clone() }
            on:click=copy
        >
            {move || if copied.get() { view! { <Icon name="check" size="i-s"/> } } else { view! { <Icon name="copy" size="i-s"/> } }}
        </button>
    }
    .into_any()
}
