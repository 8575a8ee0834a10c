//! The user's own OAuth clients.

use api::{
    client::Page,
    oauth_clients::{OauthClient, OauthClientCreate},
};
use leptos::prelude::*;
use ui::{
    data::{LiveData, client, paged},
    parts::{ActButton, CopyButton, Each, Icon, Pager, act},
};

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
