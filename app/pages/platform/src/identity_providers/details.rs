//! The editable details of a provider: issuer, client and groups.

use api::identity_providers::{IdentityProvider, IdentityProviderUpdate};
use leptos::prelude::*;

/// Collapsed: it is set once, and changed when a secret expires.
#[component]
pub fn Details(
    provider: IdentityProvider,
    busy: RwSignal<bool>,
    save: Callback<IdentityProviderUpdate>,
) -> impl IntoView {
    let of = StoredValue::new(provider.name.clone());
    let before = StoredValue::new(provider.clone());
    let text = |value: &str| RwSignal::new(value.to_owned());
    let title = text(&provider.title);
    let (issuer, client_id) = (text(&provider.issuer), text(&provider.client_id));
    let secret = text("");
    let claim = text(&provider.groups_claim);
    let scope = text(provider.groups_scope.as_deref().unwrap_or_default());
    let change = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let changed = |field: RwSignal<String>, was: String| {
            Some(field.get_untracked().trim().to_owned()).filter(|now| *now != was)
        };
        let was = before.get_value();
        save.run(IdentityProviderUpdate {
            title: changed(title, was.title),
            issuer: changed(issuer, was.issuer),
            client_id: changed(client_id, was.client_id),
            client_secret: changed(secret, String::new()),
            groups_claim: changed(claim, was.groups_claim),
            groups_scope: changed(scope, was.groups_scope.unwrap_or_default()),
            ..Default::default()
        });
    };
    let field = move |name: &'static str,
                      label: &'static str,
                      hint: &'static str,
                      kind: &'static str,
                      value: RwSignal<String>| {
        let id = format!("{name}-{}", of.get_value());
        let hint_id = format!("{id}-hint");
        view! {
            <div class="field" style="flex:1 1 240px"><label for=id.clone()>{label}</label>
                <input class="input" id=id type=kind autocomplete="off" aria-describedby=hint_id.clone()
                    prop:value=move || value.get() value=value.get_untracked() on:input=move |ev| value.set(event_target_value(&ev))/>
                <span class="hint" id=hint_id>{hint}</span></div>
        }
    };
    view! {
        <details class="small" style="border-top:1px solid var(--line)">
            <summary class="dim" style="cursor:pointer;padding:10px 16px">"Issuer, client and groups"</summary>
            <form on:submit=change>
                <div class="in row wrap g4" style="align-items:flex-start;padding:4px 16px 16px">
                    {field("title", "Button label", "Shown at sign-in.", "text", title)}
                    {field("issuer", "Issuer", "Changing the issuer unlinks all accounts, because each issuer has its own user IDs.", "url", issuer)}
                    {field("client-id", "Client ID", "The provider's ID for this platform.", "text", client_id)}
                    {field("client-secret", "Client secret", "Never shown. Leave empty to keep the current one.", "password", secret)}
                    {field("groups-claim", "Groups claim", "Usually groups.", "text", claim)}
                    {field("groups-scope", "Groups scope", "Requested if rules use groups. Empty: groups, if the provider supports it.", "text", scope)}
                </div>
                <div class="ft"><span class="push"></span><button class="btn sm" type="submit" aria-busy=move || busy.get().to_string()>"Save"</button></div>
            </form>
        </details>
    }
    .into_any()
}
