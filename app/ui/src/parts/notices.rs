//! Notices of the connection: signed out, or a newer server.

use leptos::prelude::*;

use super::{Glyph, Show};
use crate::live::Live;

/// A bar at the top of the page; usually hidden.
#[component]
pub fn Notices() -> impl IntoView {
    let state = Live::of_page().state;
    view! {
        <Show when=move || state.signed_out.get()>
            <div class="note warn" role="alert">
                <Glyph name="warn"/>
                <span><b>"You are signed out."</b>" This page is no longer updated."</span>
                <a class="btn sm" href="/login" rel="external">"Sign in"</a>
            </div>
        </Show>
        <Show when=move || state.newer.get() && !state.signed_out.get()>
            <div class="note info" role="status">
                <Glyph name="info"/>
                <span><b>"A new version of Wharf is running."</b>" This page still works; reload to update."</span>
                <button class="btn sm" type="button" on:click=move |_| { let _ = window().location().reload(); }>
                    "Reload"
                </button>
            </div>
        </Show>
    }
    .into_any()
}
