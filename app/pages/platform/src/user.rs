//! A user's account, for administrators: sign-in methods, and a link to its quotas.

use accounts::{identities::IdentityRow, quotas::page_of};
use api::{client::Page, identities::Identity, next_steps::NextStep};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use ui::{
    data::{LiveData, client, paged, refetched},
    parts::{ConfirmDialog, Crumb, Deck, Each, Icon, PageHead, Pager, Show, Toasts, act},
};

/// The URL of a user's page.
pub fn page_of_user(email: &str) -> String {
    format!("/users/{}", api::client::segment(email))
}

/// `/users/:user`, by email address
#[component]
pub fn UserPage() -> impl IntoView {
    let params = use_params_map();
    let user = Memo::new(move |_| params.with(|p| p.get("user").unwrap_or_default()));
    let first = client();
    let identities: LiveData<Page<Identity>> = paged(
        "identities",
        &["identity", "identity_provider", "account"],
        move || user.get(),
        move |user: String, after| first.user_identity_page(&user, after),
    );
    let second = client();
    // For a user that does not exist, the list of sign-in methods is the message.
    let can_sign_in: LiveData<Option<NextStep>> = refetched(
        &["identity", "identity_provider", "password", "password_policy", "account"],
        move || user.get(),
        move |user: String| second.user_next_step(&user).or(|err| err.status == 404, "null"),
    );
    let crumbs = Signal::derive(move || vec![Crumb::to("Sign-in", "/sign-in"), Crumb::here(user.get())]);
    view! {
        <Deck title=Signal::derive(move || user.get()) crumbs>
            <div class="page">
                <PageHead
                    title=move || view! { <span style="overflow-wrap:anywhere">{move || user.get()}</span> }
                    sub=|| view! { <span>"User account"</span> }
                    acts=move || view! { <a class="btn" href=move || page_of(&user.get())><Icon name="gauge" size="i-s"/>"Quotas"</a> }
                />
                <section class="sec" id="identities" aria-labelledby="identities-h">
                    <div class="sec-h"><h2 id="identities-h">"Sign-in methods"</h2><span class="meta">"accounts with identity providers that this user can sign in with"</span></div>
                    {can_sign_in.show(1, |step| view! { <p class="small">{move || step.with(|s| s.as_ref().map(|s| s.message.clone()))}</p> })}
                    {identities.show(2, move |list| view! {
                        <div class="card"><ul class="list small">
                            <Each each=move || list.with(|p| p.items.clone()) key=|i| (i.id, i.last_used_at) let:identity>
                                {let does = unlink(user, &identity, identities); view! { <IdentityRow identity does/> }}
                            </Each>
                            <Show when=move || list.with(|p| p.items.is_empty())>
                                <li class="row dim">"None. When this user signs in through a provider with this verified email address, that account is linked."</li>
                            </Show>
                        </ul></div>
                        <Pager name="identities" what="linked accounts" next=Signal::derive(move || list.with(|p| p.next.clone()))/>
                    })}
                    <p class="meta">"The user can link another one on the account page. While none is linked, signing in through a provider with this verified email address is sufficient."</p>
                </section>
            </div>
        </Deck>
    }
    .into_any()
}

/// The button that unlinks a user's sign-in method.
fn unlink(user: Memo<String>, identity: &Identity, identities: LiveData<Page<Identity>>) -> AnyView {
    let (busy, client, toasts) = (RwSignal::new(false), client(), Toasts::of_page());
    let (id, title) = (identity.id.to_string(), identity.title.clone());
    let email = user.get_untracked();
    let what = format!("the {title} account of {email}");
    let effects = vec![
        format!("{email} can no longer sign in through {title}; their sessions and open streams end immediately"),
        "Access granted only by its rules is revoked: team memberships, administrator rights".into(),
        format!("If no account is left, anyone with the verified address {email} at a provider can sign in"),
    ];
    let on_click = Callback::new(move |()| {
        let (title, request) = (title.clone(), client.user_identity_delete(&email, &id));
        act(busy, "Could not unlink the account", request, move |_| {
            identities.refetch();
            toasts.done(format!("{title} unlinked"));
        });
    });
    view! { <ConfirmDialog verb="Unlink" what effects busy on_click/> }.into_any()
}
