//! A moment in relative time, exact in its tooltip.

use chrono::{DateTime, Utc};
use leptos::prelude::*;

use crate::{clock::Clock, words};

/// `41 min ago`; the title says the second in UTC.
#[component]
pub fn Ago(#[prop(into)] at: Signal<DateTime<Utc>>) -> impl IntoView {
    let clock = Clock::of_page();
    let text = Memo::new(move |_| words::ago(at.get(), clock));
    view! {
        <time class="nowrap" datetime=move || at.get().to_rfc3339() title=move || words::exact(at.get())>
            {move || text.get()}
        </time>
    }
    .into_any()
}
