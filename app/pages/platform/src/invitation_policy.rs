//! Who can invite new users to the platform: a section of the sign-in settings.

use api::invitation_policy::{InvitationPolicy, InvitationPolicyUpdate, Inviters};
use leptos::prelude::*;
use ui::{
    data::{LiveData, client, refetched},
    parts::{Toasts, act},
};

/// The policies with their labels.
const WHO: [(Inviters, &str); 3] = [
    (Inviters::Administrators, "administrators only"),
    (Inviters::Teams, "administrators, and admins of teams that are allowed to"),
    (Inviters::Domains, "everybody, limited to the domains below"),
];

/// The policy and its domains.
#[component]
pub fn InvitationPolicySection() -> impl IntoView {
    let first = client();
    let policy: LiveData<InvitationPolicy> =
        refetched(&["invitation_policy"], || (), move |()| first.invitation_policy_info());
    view! {
        <section class="sec" aria-labelledby="invitations-h">
            <div class="sec-h"><h2 id="invitations-h">"Invitations"</h2><span class="meta">"who can invite people without an account"</span></div>
            {policy.show(2, move |now| view! { <Fields policy now/> })}
        </section>
    }
    .into_any()
}

#[component]
fn Fields(policy: LiveData<InvitationPolicy>, now: Signal<InvitationPolicy>) -> impl IntoView {
    let (busy, client, toasts) = (RwSignal::new(false), client(), Toasts::of_page());
    let who = RwSignal::new(now.get_untracked().who.to_string());
    let domains = RwSignal::new(now.get_untracked().domains.join(", "));
    let save = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let listed = domains.get_untracked();
        let listed = listed.split([',', ' ']).map(str::trim).filter(|d| !d.is_empty()).map(String::from).collect();
        let update = InvitationPolicyUpdate { who: Some(who.get_untracked()), domains: Some(listed) };
        act(busy, "Could not save the policy", client.invitation_policy_update(&update), move |saved| {
            policy.put(saved);
            toasts.done("Policy saved");
        });
    };
    view! {
        <form class="card" aria-label="Invitations" on:submit=save><div class="in row wrap g4" style="align-items:flex-start">
            <div class="field" style="flex:1 1 240px">
                <label for="invite-who">"New people can be invited by"</label>
                <select class="select" style="width:100%" id="invite-who" on:change=move |ev| who.set(event_target_value(&ev))>
                    {WHO.into_iter().map(|(value, word)| view! { <option value=value.as_str() selected=who.get_untracked() == value.as_str()>{word}</option> }).collect_view()}
                </select>
            </div>
            <div class="field" style="flex:1 1 240px">
                <label for="invite-domains">"Limited to these domains"</label>
                <input class="input" id="invite-domains" placeholder="example.com" autocomplete="off" aria-describedby="invite-domains-hint"
                    prop:value=move || domains.get() value=domains.get_untracked() on:input=move |ev| domains.set(event_target_value(&ev))/>
                <span class="hint" id="invite-domains-hint">"Empty: any address. Does not apply to administrators."</span>
            </div>
            <button class="btn" type="submit" style="margin-top:26px" aria-busy=move || busy.get().to_string()>"Save"</button>
        </div></form>
    }
    .into_any()
}
