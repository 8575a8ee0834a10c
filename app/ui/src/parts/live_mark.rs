//! Whether the data beside it is live.

use leptos::prelude::*;

use crate::{
    clock::Clock,
    live::{Link, Live},
    words,
};

/// `live`, or since when it is not.
#[component]
pub fn LiveMark() -> impl IntoView {
    let state = Live::of_page().state;
    let clock = Clock::of_page();
    let has_ended = Memo::new(move |_| state.ended.get() > 0);
    let text = move || match state.link.get() {
        _ if has_ended.get() => "No longer live".into(),
        Link::Lost => {
            let age = (clock.now().timestamp_millis() - state.lost_at.get()) / 1000;
            format!("Not live, {} old", words::short_span(age))
        }
        _ => "live".into(),
    };
    view! {
        <span
            class="live"
            class:off=move || has_ended.get() || state.link.get() == Link::Lost
            class:opening=move || state.link.get() == Link::Opening
        >
            {text}
        </span>
    }
    .into_any()
}
