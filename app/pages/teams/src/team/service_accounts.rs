//! Service accounts: programs in the team, and their tokens.

use accounts::{
    created_token::CreatedToken,
    token_fields::{Chosen, TokenFields},
};
use api::{
    authorizations::Authorization,
    client::Page,
    service_accounts::{ServiceAccount, ServiceAccountCreate},
};
use leptos::{either::Either, prelude::*};
use ui::{
    data::{LiveData, client, paged},
    parts::{ActButton, Ago, ConfirmDialog, Each, Icon, Pager, Show, Toasts, act},
};

use super::ThisTeam;

/// The service accounts of the team.
#[component]
pub fn ServiceAccounts(this: ThisTeam, is_admin: Signal<bool>) -> impl IntoView {
    let client = client();
    let bots: LiveData<Page<ServiceAccount>> = paged(
        "bots",
        &["service_account", "authorization", "team_member", "team", "account"],
        move || this.name.get(),
        move |team: String, after| client.service_account_page(&team, after),
    );
    let made = RwSignal::new(None::<Authorization>);
    view! {
        <section class="sec" id="bots" aria-labelledby="bots-h">
            <div class="sec-h"><h2 id="bots-h">"Service accounts"</h2><span class="meta">"programs with their own tokens, which cannot sign in"</span></div>
            <CreatedToken made title=|token| format!("Token of {}", token.user.full_name.as_deref().unwrap_or_default())/>
            {bots.show(2, move |list| view! {
                <div class="card">
                    <Show when=move || !list.with(|p| p.items.is_empty()) fallback=|| view! { <p class="in small dim">"None yet."</p> }>
                        <ul class="list">
                            <Each each=move || list.with(|p| p.items.clone()) key=|b| b.id let:bot><Bot this bot bots made is_admin/></Each>
                        </ul>
                    </Show>
                    <Show when=move || is_admin.get()><New this bots/></Show>
                </div>
                <Pager name="bots" what="service accounts" next=Signal::derive(move || list.with(|p| p.next.clone()))/>
            })}
        </section>
    }
    .into_any()
}

#[component]
fn Bot(
    this: ThisTeam,
    bot: ServiceAccount,
    bots: LiveData<Page<ServiceAccount>>,
    made: RwSignal<Option<Authorization>>,
    is_admin: Signal<bool>,
) -> impl IntoView {
    let busy = RwSignal::new(false);
    let (client, toasts) = (client(), Toasts::of_page());
    let other = client.clone();
    let (name, id) = (StoredValue::new(bot.name.clone()), StoredValue::new(bot.id.to_string()));
    let chosen = Chosen::usual();
    let make = Callback::new(move |()| {
        let create = chosen.create(format!("{} from the console", name.get_value()));
        let team = this.name.get_untracked();
        let request = id.with_value(|id| client.service_account_authorization_create(&team, id, &create));
        act(busy, "Could not create the token", request, move |token| made.set(Some(token)));
    });
    let remove = Callback::new(move |()| {
        let request = id.with_value(|id| other.service_account_delete(&this.name.get_untracked(), id));
        act(busy, "Could not remove the service account", request, move |gone| {
            bots.refetch();
            this.refetch();
            toasts.done(format!("{} and its tokens removed", gone.name));
        });
    });
    let called = bot.name;
    let of = format!("a token of {called}");
    view! {
        <li class="row wrap g3" style="padding-inline:16px">
            <Icon name="key"/>
            <span class="name">{called}</span>
            <span class="meta">{bot.role.as_str()}</span>
            <Show when=move || is_admin.get()>
                <span class="push row wrap">
                    <TokenFields chosen of=of.clone() everything=false/>
                    <ActButton class="btn sm".to_owned() busy on_click=make>"New token"<span class="vh">" for "{name.get_value()}</span></ActButton>
                    <ConfirmDialog verb="Remove" what=name.get_value() effects=vec!["Its tokens stop working immediately; a new account with this name needs new ones".into()] busy on_click=remove/>
                </span>
                <Tokens this name=name.get_value() bot=id.get_value() made/>
            </Show>
        </li>
    }
    .into_any()
}

/// The active tokens of a service account, to revoke a leaked one. Loaded on click: most visits to
/// a team's page do not need them.
#[component]
fn Tokens(this: ThisTeam, name: String, bot: String, made: RwSignal<Option<Authorization>>) -> impl IntoView {
    let (client, toasts) = (client(), Toasts::of_page());
    let (of_bot, name) = (StoredValue::new(bot), StoredValue::new(name));
    let tokens = RwSignal::new(None::<Page<Authorization>>);
    let load = Callback::new(move |after: Option<String>| {
        let team = this.name.get_untracked();
        let request = of_bot.with_value(|bot| client.service_account_authorization_page(&team, bot, after.as_deref()));
        // Not through `act`: this is also called after another response, outside the page's context.
        leptos::task::spawn_local(async move {
            match request.await {
                Ok(mut page) => drop(tokens.try_update(|shown| {
                    if let Some(before) = shown.take().filter(|_| after.is_some()) {
                        page.items.splice(0..0, before.items);
                    }
                    *shown = Some(page);
                })),
                Err(err) => toasts.failed("Could not load the tokens", &err),
            }
        });
    });
    // Another one was created while they are shown.
    Effect::new(move |_| {
        if made.with(Option::is_some) && tokens.with_untracked(Option::is_some) {
            load.run(None);
        }
    });
    let more = move || tokens.with(|shown| shown.as_ref().and_then(|page| page.next.clone()));
    view! {
        <div class="stack g2 small" style="flex:1 0 100%">
            {move || match tokens.get() {
                None => Either::Left(view! { <div><button class="btn gho sm" type="button" on:click=move |_| load.run(None)>"Show tokens"<span class="vh">" of "{name.get_value()}</span></button></div> }),
                Some(page) if page.items.is_empty() => Either::Right(Either::Left(view! { <p class="dim">"No active tokens."</p> })),
                Some(page) => Either::Right(Either::Right(view! {
                    <ul class="list">{page.items.into_iter().map(|token| view! { <Token this bot=of_bot.get_value() token load/> }).collect_view()}</ul>
                })),
            }}
            <Show when=move || more().is_some()>
                <div><button class="btn gho sm" type="button" on:click=move |_| load.run(more())>"Show more tokens"</button></div>
            </Show>
        </div>
    }
    .into_any()
}

#[component]
fn Token(this: ThisTeam, bot: String, token: Authorization, load: Callback<Option<String>>) -> impl IntoView {
    let busy = RwSignal::new(false);
    let (client, toasts, id) = (client(), Toasts::of_page(), token.id.to_string());
    let revoke = Callback::new(move |()| {
        let request = client.service_account_authorization_delete(&this.name.get_untracked(), &bot, &id);
        act(busy, "Could not revoke the token", request, move |gone| {
            toasts.done(format!("Token {} revoked", gone.description));
            load.run(None);
        });
    });
    let scope = token.reach();
    view! {
        <li class="row wrap g3">
            <span>{token.description.clone()}</span>
            <span class="sha">{token.access_token.map(|t| t.token)}</span>
            <span class="meta">{scope}</span>
            <span class="push meta">"last used "{match token.last_used_at {
                Some(at) => Either::Left(view! { <Ago at=at/> }),
                None => Either::Right("never"),
            }}</span>
            <ActButton class="btn gho sm dgr".to_owned() busy on_click=revoke>"Revoke"<span class="vh">" "{token.description}</span></ActButton>
        </li>
    }
    .into_any()
}

#[component]
fn New(this: ThisTeam, bots: LiveData<Page<ServiceAccount>>) -> impl IntoView {
    let name = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let client = client();
    let make = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let create = ServiceAccountCreate { name: name.get_untracked().trim().to_owned(), role: None };
        let request = client.service_account_create(&this.name.get_untracked(), &create);
        act(busy, "Could not create the service account", request, move |_| {
            name.try_set(String::new());
            bots.refetch();
            this.refetch();
        });
    };
    view! {
        <form class="ft" on:submit=make>
            <label class="vh" for="bot-name">"Name of the service account"</label>
            <input class="input mono sm" style="flex:1 1 220px" id="bot-name" placeholder="deploy-bot" autocomplete="off" spellcheck="false"
                prop:value=move || name.get() on:input=move |ev| name.set(event_target_value(&ev))/>
            <button class="btn sm" type="submit" aria-busy=move || busy.get().to_string()><Icon name="plus" size="i-s"/>"Add service account"</button>
        </form>
    }
    .into_any()
}
