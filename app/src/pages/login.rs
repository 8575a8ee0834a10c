//! Sign in: by a link that works once.

use leptos::prelude::*;
use leptos_meta::Title;

/// How to get in, or why the link did not work.
#[component]
pub fn LoginPage() -> impl IntoView {
    view! { <Title text="Sign in"/> <main id="main">"Sign in"</main> }
}
