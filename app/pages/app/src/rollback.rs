//! Rolling back to an earlier release, after showing the consequences.

use api::releases::{ReleaseCreate, RollbackEffects};
use leptos::prelude::*;
use ui::{
    data::{client, fetched},
    parts::{ActButton, Dialog, Icon, Show, Toasts, act},
};

use super::app_frame::ThisApp;

/// Opens the confirmation dialog.
#[component]
pub fn RollbackButton(app: String, version: i32) -> impl IntoView {
    let open = RwSignal::new(false);
    let busy = RwSignal::new(false);
    let client = client();
    let toasts = Toasts::of_page();
    let name = StoredValue::new(app);
    let go = Callback::new(move |()| {
        let create = ReleaseCreate { release: Some(version.to_string()), ..Default::default() };
        let request = name.with_value(|app| client.release_create(app, &create));
        act(busy, format!("The rollback to v{version} failed"), request, move |release| {
            open.try_set(false);
            toasts.done(format!("Released v{}: {}", release.version, release.description));
        });
    });
    // A page has many of these, so the dialog is created only when first opened, and kept so that it can close.
    let wanted = Memo::new(move |before: Option<&bool>| before == Some(&true) || open.get());
    let deploys = ThisApp::of_page().may("deploy");
    view! {
        <Show when=move || deploys.get()>
            <button class="btn sm" type="button" on:click=move |_| open.set(true)>
                <Icon name="rollback" size="i-s"/>
                {format!("Roll back to v{version}")}
            </button>
        </Show>
        <Show when=move || wanted.get()>
            <Dialog
                open
                title=format!("Roll back to v{version}?")
                lead=Signal::derive(move || "Its code and config vars become a new release. You can undo it the same way.".to_owned())
                body=move || view! { <Effects app=name.get_value() version/> }
                foot=move || view! {
                    <ActButton class="btn pri".to_owned() busy on_click=go>
                        {format!("Roll back to v{version}")}
                    </ActButton>
                }
            />
        </Show>
    }
    .into_any()
}

#[component]
fn Effects(app: String, version: i32) -> impl IntoView {
    let client = client();
    let app = StoredValue::new(app);
    let effects =
        fetched(|| (), move |()| app.with_value(|app| client.release_rollback_effects(app, &version.to_string())));
    effects.show(3, |effects: Signal<RollbackEffects>| view! {
        <ul class="effects">
            {move || effects.get().effects.into_iter().map(|text| view! { <li><Icon name="restart"/><span>{text}</span></li> }).collect_view()}
        </ul>
        {move || {
            let RollbackEffects { config_set, config_unset, .. } = effects.get();
            (!config_set.is_empty() || !config_unset.is_empty()).then(|| view! {
                <ul class="df" aria-label="Config vars that change">
                    {config_set.into_iter().map(|key| view! { <li class="m"><span>"~"</span><span>{key}</span><span class="s">"restored"</span></li> }).collect_view()}
                    {config_unset.into_iter().map(|key| view! { <li class="d"><span>"−"</span><span>{key}</span><span class="s">"removed"</span></li> }).collect_view()}
                </ul>
            })
        }}
    })
}
