//! OAuth clients: the consent page, and the user's own clients.

use api::{
    client::Page,
    oauth_clients::{Consent, ConsentQuery, OauthClient, OauthClientCreate},
};
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use crate::{
    data::{LiveData, client, fetched, paged},
    parts::{ActButton, CopyButton, Each, Icon, Missing, Pager, act},
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

/// The user's own clients: a section of the account page.
#[component]
pub fn OauthClients() -> impl IntoView {
    let client = client();
    let clients: LiveData<Page<OauthClient>> = paged(
        "clients",
        &["oauth_client", "consent", "authorization", "account"],
        || (),
        move |(), after| client.oauth_client_page(after),
    );
    view! {
        <section class="sec" id="clients" aria-labelledby="clients-h">
            <div class="sec-h"><h2 id="clients-h">"OAuth clients"</h2><span class="meta">"your programs that act on behalf of users who authorize them"</span></div>
            {clients.show(1, move |list| view! {
                <div class="card">
                    <ul class="list small" style="padding-inline:16px">
                        <Each each=move || list.with(|p| p.items.clone()) key=|c| c.id let:client><ClientRow of=client clients/></Each>
                    </ul>
                    <NewClient clients/>
                </div>
                <Pager name="clients" what="clients" next=Signal::derive(move || list.with(|p| p.next.clone()))/>
            })}
        </section>
    }
    .into_any()
}

#[component]
fn ClientRow(of: OauthClient, clients: LiveData<Page<OauthClient>>) -> impl IntoView {
    let (busy, client, id) = (RwSignal::new(false), client(), of.id);
    let remove = Callback::new(move |()| {
        act(busy, "Could not remove the client", client.oauth_client_delete(&id.to_string()), move |_| {
            clients.refetch()
        });
    });
    view! {
        <li class="row wrap g3">
            <span class="name">{of.name.clone()}</span>
            <span class="meta mono" style="overflow-wrap:anywhere">{of.redirect_uri}</span>
            <span class="push row g2"><span class="meta">"id"</span><span class="meta mono" style="overflow-wrap:anywhere">{id.to_string()}</span><CopyButton text=id.to_string() label=format!("Copy the ID of {}", of.name)/></span>
            <span class="row g2"><span class="meta">"secret"</span><span class="meta mono" aria-hidden="true">"••••••••"</span><CopyButton text=of.secret label=format!("Copy the secret of {}", of.name)/></span>
            <ActButton class="btn gho sm dgr".to_owned() busy on_click=remove>"Remove"<span class="vh">" the client "{of.name}</span></ActButton>
        </li>
    }
    .into_any()
}

#[component]
fn NewClient(clients: LiveData<Page<OauthClient>>) -> impl IntoView {
    let (name, to, busy) = (RwSignal::new(String::new()), RwSignal::new(String::new()), RwSignal::new(false));
    let client = client();
    let make = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let create = OauthClientCreate { name: name.get_untracked(), redirect_uri: to.get_untracked() };
        act(busy, "Could not create the client", client.oauth_client_create(&create), move |_| {
            name.set(String::new());
            to.set(String::new());
            clients.refetch();
        });
    };
    view! {
        <form class="ft" on:submit=make>
            <label class="vh" for="client-name">"Name of the client"</label>
            <input class="input sm" style="flex:1 1 120px" id="client-name" placeholder="Name, e.g. dashboard" prop:value=move || name.get() on:input=move |ev| name.set(event_target_value(&ev))/>
            <label class="vh" for="client-to">"Redirect URI of the client"</label>
            <input class="input sm" style="flex:2 1 200px" id="client-to" placeholder="https://…/callback" prop:value=move || to.get() on:input=move |ev| to.set(event_target_value(&ev))/>
            <button class="btn sm" type="submit" aria-busy=move || busy.get().to_string()><Icon name="plus" size="i-s"/>"New client"</button>
        </form>
    }
    .into_any()
}
