//! Scope and lifetime of a new token: the same two choices wherever a token is created.

use api::authorizations::AuthorizationCreate;
use leptos::prelude::*;

/// Lifetimes of a new token: the label and the value for the API.
const LIFETIMES: [(&str, &str); 4] =
    [("30 days", "2592000"), ("90 days", "7776000"), ("1 year", "31536000"), ("no expiry", "never")];
/// Scopes of a new token, the default first.
const SCOPES: [(&str, &str); 4] = [
    ("write-protected", "read and change apps"),
    ("write", "read and change apps, without config vars"),
    ("read", "read apps"),
    ("global", "full access, including the account"),
];

/// The selected values.
#[derive(Clone, Copy)]
pub struct Chosen {
    scope: RwSignal<String>,
    life: RwSignal<String>,
}

impl Chosen {
    /// The default: apps with their config vars, for 90 days.
    pub fn usual() -> Self {
        Self { scope: RwSignal::new(SCOPES[0].0.to_owned()), life: RwSignal::new(LIFETIMES[1].1.to_owned()) }
    }

    /// The request that creates the token.
    pub fn create(self, description: String) -> AuthorizationCreate {
        let life = self.life.get_untracked();
        let expires_in = life.parse::<u64>().map_or_else(|_| life.into(), Into::into);
        AuthorizationCreate {
            description: Some(description),
            scope: Some(vec![self.scope.get_untracked()]),
            expires_in: Some(expires_in),
        }
    }
}

/// The two selects. `of` is part of their labels: `a token of deploy-bot`.
#[component]
pub fn TokenFields(
    chosen: Chosen,
    #[prop(into)] of: String,
    /// Whether the scope `global` is offered.
    everything: bool,
) -> impl IntoView {
    let scopes = SCOPES.into_iter().filter(move |(scope, _)| everything || *scope != "global");
    view! {
        <select class="select" aria-label=format!("Scope of {of}") on:change=move |ev| chosen.scope.set(event_target_value(&ev))>
            {scopes.map(|(value, word)| view! { <option value=value selected=value == SCOPES[0].0>{word}</option> }).collect_view()}
        </select>
        <select class="select" aria-label=format!("Lifetime of {of}") on:change=move |ev| chosen.life.set(event_target_value(&ev))>
            {LIFETIMES.into_iter().map(|(word, value)| view! { <option value=value selected=value == LIFETIMES[1].1>{word}</option> }).collect_view()}
        </select>
    }
    .into_any()
}
