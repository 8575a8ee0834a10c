//! A moment in relative time, exact in its tooltip.

use chrono::{DateTime, Utc};
use leptos::prelude::*;

use crate::{clock::Clock, words};

/// `41 min ago`; the title has the exact time in UTC.
#[component]
pub fn Ago(#[prop(into)] at: Signal<DateTime<Utc>>) -> impl IntoView {
    let clock = Clock::of_page();
    let text = Memo::new(move |_| words::ago(at.get(), clock));
    let drawn = move || {
        let at = at.get();
        view! { <time class="nowrap" datetime=at.to_rfc3339() title=words::exact(at)>{text.get()}</time> }
    };
    drawn.into_any()
}
