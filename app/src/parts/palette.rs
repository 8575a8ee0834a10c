//! The command palette: every page and app by a few letters.

use leptos::prelude::*;

use super::Icon;

/// Whether the palette is open.
#[derive(Clone, Copy)]
pub struct Open(pub RwSignal<bool>);

/// Makes the page's palette and provides it by context.
pub(super) fn provide() {
    provide_context(Open(RwSignal::new(false)));
}

/// Opens the palette.
#[component]
pub fn FindButton() -> impl IntoView {
    let Open(open) = expect_context();
    view! {
        <button class="find" type="button" aria-keyshortcuts="Control+K" on:click=move |_| open.set(true)>
            <Icon name="search"/>
            <span>"Search or run a command"</span>
            <kbd aria-hidden="true">"Ctrl K"</kbd>
        </button>
    }
    .into_any()
}

/// The palette itself.
#[component]
pub fn Palette() -> impl IntoView {}
