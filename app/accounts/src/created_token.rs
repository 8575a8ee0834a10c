//! A token that has just been created: the only time that its secret is shown.

use api::authorizations::Authorization;
use leptos::prelude::*;
use ui::parts::{CopyButton, Icon};

/// The secret of the token in `made`, if any, below a title, until it is closed.
#[component]
pub fn CreatedToken(made: RwSignal<Option<Authorization>>, title: fn(&Authorization) -> String) -> impl IntoView {
    move || made.get().map(|token| view! { <Secret title=title(&token) token made/> })
}

#[component]
fn Secret(title: String, token: Authorization, made: RwSignal<Option<Authorization>>) -> impl IntoView {
    let secret = token.access_token.map(|t| t.token).unwrap_or_default();
    view! {
        <div class="card" role="status" style="border-color:var(--accent-line)">
            <div class="in stack g3">
                <div class="row"><b>{title}</b><span class="push"></span>
                    <button class="btn gho sm ico" type="button" aria-label="Close" on:click=move |_| made.set(None)><Icon name="x" size="i-s"/></button>
                </div>
                <p class="small dim">"It is shown only once. Store it in a password manager."</p>
                <div class="cmd"><code tabindex="0">{secret.clone()}</code><CopyButton text=secret label="Copy token"/></div>
            </div>
        </div>
    }
    .into_any()
}
