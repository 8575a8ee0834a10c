//! The user's sign-in methods: a section of the account page, with accounts waiting to be linked.

use api::{
    client::{Page, segment},
    identities::{Identity, IdentityProposal},
    passwords::Password,
    sign_in::{SignInOptions, SignInProvider},
};
use leptos::{either::Either, prelude::*};
use leptos_router::hooks::use_query_map;
use ui::{
    clock::Clock,
    data::{LiveData, client, fetched, paged, refetched},
    parts::{Ago, ConfirmDialog, Each, Glyph, Icon, Pager, Show, Toasts, act},
    words,
};

use crate::refusals::message;

type List = LiveData<Page<Identity>>;

/// The linked accounts, and how to add another.
#[component]
pub fn Identities(
    /// Another sign-in method, if there is one.
    password: LiveData<Password>,
) -> impl IntoView {
    let (first, other, options) = (client(), client(), client());
    let identities: List = paged(
        "identities",
        &["identity", "identity_provider", "account"],
        || (),
        move |(), after| first.identity_page(after),
    );
    let proposals: LiveData<Vec<IdentityProposal>> = refetched(
        &["identity_proposal", "identity", "identity_provider", "account"],
        || (),
        move |()| other.identity_proposal_list(),
    );
    let options: LiveData<SignInOptions> = fetched(|| (), move |()| options.sign_in_options());
    view! {
        <section class="sec" id="identities" aria-labelledby="identities-h">
            <div class="sec-h"><h2 id="identities-h">"Sign-in"</h2><span class="meta">"accounts with identity providers that you can sign in with"</span></div>
            {options.show(0, |options| view! { <NotLinked options/> })}
            {proposals.show(0, move |list| view! {
                <Each each=move || list.get() key=|p| p.id let:proposal><Proposal proposal proposals identities/></Each>
            })}
            {password.show(0, move |password| identities.show(1, move |list| view! {
                <div class="card">
                    <Rows list password identities/>
                    {options.show(0, |options| view! { <AddSignInMethod options/> })}
                </div>
                <Pager name="identities" what="linked accounts" next=Signal::derive(move || list.with(|p| p.next.clone()))/>
            }))}
        </section>
    }
    .into_any()
}

#[component]
fn Rows(list: Signal<Page<Identity>>, password: Signal<Password>, identities: List) -> impl IntoView {
    let query = use_query_map();
    // Removing the only sign-in method would lock the user out. Others may be on another page.
    let is_last = Memo::new(move |_| {
        let is_whole = query.with(|q| q.get("identities").is_none()) && list.with(|p| p.next.is_none());
        is_whole && list.with(|p| p.items.len() == 1) && !password.with(|p| p.enabled && p.set)
    });
    let (client, toasts) = (client(), Toasts::of_page());
    let unlink = move |identity: &Identity| {
        let (client, id, title) = (client.clone(), identity.id.to_string(), identity.title.clone());
        let busy = RwSignal::new(false);
        let on_click = Callback::new(move |()| {
            let title = title.clone();
            act(busy, "Could not unlink the account", client.identity_delete(&id), move |_| {
                identities.refetch();
                toasts.done(format!("{title} unlinked; your other sessions have ended"));
            });
        });
        let effects = vec![
            format!("You can no longer sign in through {}, and your other sessions end", identity.title),
            "Access granted only by its rules is revoked: team memberships, administrator rights".into(),
        ];
        let what = format!("the account at {}", identity.title);
        view! {
            <Show when=move || !is_last.get() fallback=|| view! { <span class="meta">"your only sign-in method"</span> }>
                <ConfirmDialog verb="Unlink" what=what.clone() effects=effects.clone() busy on_click/>
            </Show>
        }
        .into_any()
    };
    view! {
        <ul class="list small">
            <Each each=move || list.with(|p| p.items.clone()) key=|i| (i.id, i.last_used_at) let:identity>
                {let does = unlink(&identity); view! { <IdentityRow identity does/> }}
            </Each>
            <Show when=move || list.with(|p| p.items.is_empty())>
                <li class="row dim">"None yet. An account is linked when you sign in through a provider that has verified this account's address."</li>
            </Show>
        </ul>
    }
    .into_any()
}

/// One sign-in method with its actions.
#[component]
pub fn IdentityRow(identity: Identity, does: AnyView) -> impl IntoView {
    view! {
        <li class="row wrap g3">
            <Icon name="shield"/>
            <span class="name">{identity.title}</span>
            <span class="meta" style="overflow-wrap:anywhere">{identity.email.unwrap_or_else(|| "no verified email address".into())}</span>
            <span class="push meta">"last used "<Ago at=identity.last_used_at/></span>
            {does}
        </li>
    }
    .into_any()
}

/// The providers that can be added. Links, so that it works without scripts.
#[component]
fn AddSignInMethod(options: Signal<SignInOptions>) -> impl IntoView {
    let link = |provider: SignInProvider| {
        view! {
            <a class="btn sm" rel="external" href=format!("/login/oauth/{}?link=true", segment(&provider.name))>
                <Icon name="link" size="i-s"/>"Link "{provider.title}
            </a>
        }
    };
    view! {
        <Show when=move || options.with(|o| !o.providers.is_empty())>
            <div class="ft" role="group" aria-label="Add a sign-in method">
                <span>"Add a sign-in method: sign in with the provider, then confirm here."</span>
                <div class="push row wrap">{options.get().providers.into_iter().map(link).collect_view()}</div>
            </div>
        </Show>
    }
    .into_any()
}

/// Why the account at the provider was not linked: `?error=…&provider=…`
#[component]
fn NotLinked(options: Signal<SignInOptions>) -> impl IntoView {
    let query = use_query_map();
    let why = move || {
        let (why, name) = query.with(|q| (q.get("error"), q.get("provider")));
        let title =
            options.with(|o| o.providers.iter().find(|p| Some(&p.name) == name.as_ref()).map(|p| p.title.clone()));
        Some(message(&why?, &title.unwrap_or_else(|| "the provider".into())))
    };
    move || {
        why().map(|why| {
            view! {
                <div class="notes" role="alert"><div class="note bad"><Glyph name="bad"/><span><b>"Could not link an account."</b>" "{why}</span></div></div>
            }
        })
    }
}

/// An account waiting to be linked or declined. The forms work without scripts.
#[component]
fn Proposal(proposal: IdentityProposal, proposals: LiveData<Vec<IdentityProposal>>, identities: List) -> impl IntoView {
    let (busy, toasts, clock) = (RwSignal::new(false), Toasts::of_page(), Clock::of_page());
    let (client, other) = (client(), client());
    let (id, title) = (proposal.id.to_string(), StoredValue::new(proposal.title.clone()));
    let form = format!("/forms/account/identity-proposals/{id}");
    let no = id.clone();
    let accept = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        act(busy, "Could not link the account", client.identity_proposal_accept(&id), move |_| {
            proposals.refetch();
            identities.refetch();
            toasts.done(format!("You can now sign in through {}", title.get_value()));
        });
    };
    let refuse = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        act(busy, "Could not decline the account", other.identity_proposal_delete(&no), move |_| {
            proposals.refetch();
            toasts.done(format!("{} was not linked", title.get_value()));
        });
    };
    let whose = match proposal.email {
        Some(email) => Either::Left(view! { " says that you are "<b style="overflow-wrap:anywhere">{email}</b>"." }),
        None => Either::Right(" has an account for you."),
    };
    let label = format!("Link {}", proposal.title);
    let left = move || words::short_span((proposal.expires_at - clock.now()).num_seconds());
    view! {
        <div class="notes" role="group" aria-label=label><div class="note info wrap">
            <Glyph name="info"/>
            <span style="flex:1 1 300px">
                <b>{proposal.title.clone()}</b>{whose}" Link it only if you have just signed in there yourself: from now on it can sign in to your account, and your other sessions will end. "
                <span class="meta">{left}" left to decide"</span>
            </span>
            <span class="row">
                <form method="post" action=format!("{form}/accept") on:submit=accept><button class="btn sm pri" type="submit" aria-busy=move || busy.get().to_string()>"Link "{proposal.title.clone()}</button></form>
                <form method="post" action=format!("{form}/refuse") on:submit=refuse><button class="btn sm" type="submit" aria-busy=move || busy.get().to_string()>"Decline"</button></form>
            </span>
        </div></div>
    }
    .into_any()
}
