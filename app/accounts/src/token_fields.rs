//! Scope, lifetime and apps of a new token: the same choices wherever a token is created.

use api::authorizations::AuthorizationCreate;
use leptos::prelude::*;

/// Lifetimes of a new token: the label and the value for the API.
const LIFETIMES: [(&str, &str); 4] =
    [("30 days", "2592000"), ("90 days", "7776000"), ("1 year", "31536000"), ("no expiry", "never")];
/// Scopes of a new token, the default first: the value for the API, a label, and what it is for.
const SCOPES: [(&str, &str, &str); 6] = [
    (
        "write-protected",
        "read and change apps",
        "Creates, deploys, scales and configures apps. Does not rename, transfer or destroy them.",
    ),
    (
        "write",
        "read and change apps, without config vars",
        "Creates, deploys and scales apps, and does not see the values of config vars. Does not rename, transfer or \
         destroy them.",
    ),
    (
        DEPLOY,
        "deploy apps",
        "For CI: pushes, builds, releases and rolls back the apps that you name, and nothing else.",
    ),
    ("read-protected", "read apps with config vars", "Sees apps, their logs and the values of config vars."),
    ("read", "read apps", "Sees apps and their logs, without the values of config vars."),
    ("global", "full access, including the account", "Does everything that you can do, such as destroying apps."),
];
const DEPLOY: &str = "deploy";

/// The selected values.
#[derive(Clone, Copy)]
pub struct Chosen {
    scope: RwSignal<String>,
    life: RwSignal<String>,
    /// Names of apps, separated by spaces or commas.
    apps: RwSignal<String>,
}

impl Chosen {
    /// The default: apps with their config vars, for 90 days.
    pub fn usual() -> Self {
        let (scope, life) = (SCOPES[0].0.to_owned(), LIFETIMES[1].1.to_owned());
        Self { scope: RwSignal::new(scope), life: RwSignal::new(life), apps: RwSignal::new(String::new()) }
    }

    /// The request that creates the token.
    pub fn create(self, description: String) -> AuthorizationCreate {
        let (scope, life) = (self.scope.get_untracked(), self.life.get_untracked());
        let expires_in = life.parse::<u64>().map_or_else(|_| life.into(), Into::into);
        let apps = self.apps.with_untracked(|names| words(names));
        AuthorizationCreate {
            description: Some(description),
            apps: (scope == DEPLOY && !apps.is_empty()).then_some(apps),
            scope: Some(vec![scope]),
            expires_in: Some(expires_in),
        }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The two selects, the meaning of the scope, and the apps of a deploy token. `of` is part of their labels: `a token of
/// deploy-bot`.
#[component]
pub fn TokenFields(
    chosen: Chosen,
    #[prop(into)] of: String,
    /// Whether the scope `global` is offered.
    everything: bool,
) -> impl IntoView {
    let scopes = SCOPES.into_iter().filter(move |(scope, ..)| everything || *scope != "global");
    let meaning = move || {
        chosen.scope.with(|chosen| SCOPES.into_iter().find(|(scope, ..)| scope == chosen).map(|(.., meaning)| meaning))
    };
    let apps_label = format!("Apps of {of}");
    view! {
        <select class="select" aria-label=format!("Scope of {of}") on:change=move |ev| chosen.scope.set(event_target_value(&ev))>
            {scopes.map(|(value, word, _)| view! { <option value=value selected=value == SCOPES[0].0>{word}</option> }).collect_view()}
        </select>
        <select class="select" aria-label=format!("Lifetime of {of}") on:change=move |ev| chosen.life.set(event_target_value(&ev))>
            {LIFETIMES.into_iter().map(|(word, value)| view! { <option value=value selected=value == LIFETIMES[1].1>{word}</option> }).collect_view()}
        </select>
        {move || chosen.scope.with(|scope| scope == DEPLOY).then(|| view! {
            <input class="input mono sm" style="flex:1 1 180px" aria-label=apps_label.clone() placeholder="shop api (none: all)" autocomplete="off" spellcheck="false"
                prop:value=move || chosen.apps.get() on:input=move |ev| chosen.apps.set(event_target_value(&ev))/>
        })}
        <span class="small dim" style="flex:1 0 100%;order:1">{meaning}</span>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn names_are_separated_by_spaces_and_commas() {
        assert_eq!(words(" shop,api  web, "), ["shop", "api", "web"]);
        assert!(words(" ,").is_empty());
    }
}
