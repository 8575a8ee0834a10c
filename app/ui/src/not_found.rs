//! The 404 page.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{Answer, parts::Icon};

/// The page for an unknown address.
#[component]
pub fn NotFoundPage() -> impl IntoView {
    Answer::with(404);
    view! {
        <Title text="Not found"/>
        <main class="page" id="main">
            <div class="empty">
                <span class="faint"><Icon name="globe" size="i-l"/></span>
                <div class="stack g1">
                    <h1>"Page not found"</h1>
                    <p class="small dim">"It may have been renamed or destroyed, or you do not have access."</p>
                </div>
                <a class="btn pri" href="/apps" rel="external">"Go to apps"</a>
            </div>
        </main>
    }
    .into_any()
}
