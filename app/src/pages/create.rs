//! Create an app, and what an empty account shows.

use leptos::prelude::*;

/// The page of an account without apps.
#[component]
pub fn FirstRun() -> impl IntoView {
    view! { <p>"No apps yet."</p> }
}
