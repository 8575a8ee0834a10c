//! The form for a new rule of a provider: who is admitted, with what access.

use api::identity_providers::{IdentityProviderUpdate, IdentityRule};
use leptos::prelude::*;
use ui::{
    data::client,
    parts::{Icon, Toasts},
};

use super::Providers;

/// The form below a provider's rules.
#[component]
pub fn NewRule(provider: String, rules: Vec<IdentityRule>, providers: Providers) -> impl IntoView {
    let (busy, wrong) = (RwSignal::new(false), RwSignal::new(String::new()));
    let by_group = RwSignal::new(false);
    let (value, team, role) =
        (RwSignal::new(String::new()), RwSignal::new(String::new()), RwSignal::new("member".to_owned()));
    let admin = RwSignal::new(false);
    let (client, toasts, name) = (client(), Toasts::of_page(), provider.clone());
    let add = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let given = |text: RwSignal<String>| Some(text.get_untracked().trim().to_owned()).filter(|t| !t.is_empty());
        let (group, in_team) = (by_group.get_untracked(), given(team));
        let rule = IdentityRule {
            domain: given(value).filter(|_| !group),
            group: given(value).filter(|_| group),
            admin: admin.get_untracked(),
            role: given(role).filter(|_| in_team.is_some()),
            team: in_team,
        };
        let all = rules.iter().cloned().chain([rule]).collect();
        let update = IdentityProviderUpdate { rules: Some(all), ..Default::default() };
        let request = client.identity_provider_update(&name, &update);
        busy.set(true);
        wrong.set(String::new());
        leptos::task::spawn_local(async move {
            match request.await {
                Ok(_) => {
                    toasts.done("Rule added");
                    providers.refetch();
                }
                Err(error) => drop(wrong.try_set(error.message)),
            }
            busy.try_set(false);
        });
    };
    let label = format!("New rule for {provider}");
    let why = StoredValue::new(format!("rule-why-{provider}"));
    let is_wrong = move || (!wrong.with(String::is_empty)).to_string();
    view! {
        <form class="ft wrap" on:submit=add aria-label=label>
            <select class="input sm" style="flex:0 1 110px" aria-label="Applies to" on:change=move |ev| by_group.set(event_target_value(&ev) == "group")>
                <option value="domain">"Domain"</option><option value="group">"Group"</option>
            </select>
            <input class="input sm" style="flex:1 1 120px" aria-label="Domain or group" aria-describedby=why.get_value() aria-invalid=is_wrong
                prop:value=move || value.get() on:input=move |ev| value.set(event_target_value(&ev))/>
            <input class="input sm" style="flex:1 1 100px" aria-label="Team" placeholder="Team" aria-describedby=why.get_value() aria-invalid=is_wrong
                prop:value=move || team.get() on:input=move |ev| team.set(event_target_value(&ev))/>
            <select class="input sm" style="flex:0 1 110px" aria-label="Role" on:change=move |ev| role.set(event_target_value(&ev))>
                <option value="member">"member"</option><option value="viewer">"viewer"</option><option value="admin">"admin"</option>
            </select>
            <label class="check"><input type="checkbox" prop:checked=move || admin.get() on:change=move |ev| admin.set(event_target_checked(&ev))/>"Administrator"</label>
            <button class="btn sm" type="submit" aria-busy=move || busy.get().to_string()><Icon name="plus" size="i-s"/>"Add rule"</button>
            <span class="t-bad" id=why.get_value() role="alert" style="flex:1 0 100%">{move || wrong.get()}</span>
        </form>
    }
    .into_any()
}
