//! The consent page: whether an OAuth client may act on behalf of the user.

use api::oauth_clients::{Consent, ConsentQuery};
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use ui::{
    data::{client, fetched},
    parts::{Icon, Missing},
};

/// The description of a scope.
fn meaning(scope: &str) -> &'static str {
    match scope {
        "global" => "Full access to your account and all your apps",
        "identity" => "See who you are",
        "read" => "See your apps, but not their config vars",
        "write" => "See and change your apps, but not their config vars; not rename, transfer or destroy them",
        "read-protected" => "See your apps with their config vars",
        "write-protected" => "See and change your apps with their config vars; not rename, transfer or destroy them",
        "deploy" => "Deploy your apps",
        _ => "An unknown permission",
    }
}

/// The authorization request from the query string.
fn consent_query() -> ConsentQuery {
    let map = use_query_map().get();
    let field = |name: &str| map.get(name).filter(|t| !t.is_empty());
    ConsentQuery {
        client_id: field("client_id").unwrap_or_default(),
        response_type: field("response_type").unwrap_or_default(),
        redirect_uri: field("redirect_uri"),
        scope: field("scope"),
        state: field("state"),
        code_challenge: field("code_challenge"),
        code_challenge_method: field("code_challenge_method"),
    }
}

/// `/oauth/authorize`: the consent page.
#[component]
pub fn ConsentPage() -> impl IntoView {
    let client = client();
    let consent = fetched(consent_query, move |query| client.consent_info(&query));
    let missing = Missing::of_page();
    view! {
        <Title text=move || missing.or(|| "Authorize a program".to_owned())/>
        <div class="login"><main id="main"><div class="lbox">
            {consent.show(6, |consent| view! { <Question consent=consent.get_untracked()/> })}
        </div></main></div>
    }
    .into_any()
}

#[component]
fn Question(consent: Consent) -> impl IntoView {
    let query = consent_query();
    let fields = [
        ("client_id", Some(query.client_id)),
        ("response_type", Some(query.response_type)),
        ("redirect_uri", query.redirect_uri),
        ("scope", query.scope),
        ("state", query.state),
        ("code_challenge", query.code_challenge),
        ("code_challenge_method", query.code_challenge_method),
    ];
    view! {
        <div class="stack g3">
            <span class="logo"><Icon name="logo"/></span>
            <h1 style="font-size:1.5rem">"Allow "{consent.client.clone()}"?"</h1>
            <p class="dim small">"This OAuth client belongs to "<b>{consent.owner}</b>", not to Wharf. It wants to:"</p>
        </div>
        <div class="card" style="box-shadow:var(--shadow-2)">
            <ul class="list small" style="padding-inline:16px">
                {consent.scope.iter().map(|scope| view! { <li class="row"><Icon name="check" size="i-s"/><span>{meaning(scope)}</span></li> }).collect_view()}
            </ul>
            <form class="ft" method="post" action="/oauth/authorize">
                {fields.into_iter().filter_map(|(name, value)| value.map(|value| view! { <input type="hidden" name=name value=value/> })).collect_view()}
                <button class="btn" type="submit">"Deny"</button>
                <span class="push"></span>
                <button class="btn pri" type="submit" name="allow" value="1">"Allow"</button>
            </form>
        </div>
        <p class="meta">"You will return to "<span class="mono" style="overflow-wrap:anywhere">{consent.redirect_uri}</span>". You can revoke this on your account page."</p>
    }
    .into_any()
}
