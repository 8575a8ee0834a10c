//! Destroying the app. It cannot be undone, so the name has to be typed to confirm.

use api::statuses::AppStatus;
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use pages_app::app_frame::ThisApp;
use ui::{
    data::client,
    parts::{ActButton, Dialog, Icon, Toasts, act},
    words,
};

/// The section with the button and its confirmation.
#[component]
pub fn DestroySection(app: ThisApp, status: Signal<AppStatus>) -> impl IntoView {
    let open = RwSignal::new(false);
    let typed = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let (client, navigate) = (client(), use_navigate());
    let toasts = Toasts::of_page();
    let name = app.name;
    let destroy = Callback::new(move |()| {
        if typed.with_untracked(|t| name.with_untracked(|n| t.trim() != n)) {
            ui::parts::dom::focus_in("main", "#cf");
            return;
        }
        let navigate = navigate.clone();
        act(busy, "Could not destroy the app", client.app_delete(&name.get_untracked()), move |gone| {
            toasts.done(format!("{} destroyed", gone.name));
            navigate("/apps", NavigateOptions::default());
        });
    });
    let releases = move || status.with(|s| s.releases.first().map_or(0, |r| r.version.max(0) as usize));
    let fits = move || typed.with(|t| name.with(|n| t.trim() == n));
    view! {
        <section class="sec" id="destroy" aria-labelledby="destroy-h">
            <h2 id="destroy-h" style="font-size:var(--t-lead)">"Destroy"</h2>
            <div class="card">
                <div class="in row wrap g4">
                    <p class="small dim" style="flex:1 1 320px">
                        "Stops the app and deletes its code, "{move || words::count(releases(), "release", "releases")}", config vars and log. This cannot be undone."
                    </p>
                    <button class="btn dgr" type="button" on:click=move |_| { typed.set(String::new()); open.set(true); }>
                        <Icon name="trash" size="i-s"/>
                        "Destroy "
                        {move || name.get()}
                    </button>
                </div>
            </div>
            <Dialog
                open
                title=Signal::derive(move || format!("Destroy {}?", name.get()))
                lead=Signal::derive(|| "This cannot be undone.".to_owned())
                body=move || view! {
                    <ul class="effects">
                        <li class="bad"><Icon name="trash"/><span>"The app, "{move || words::count(releases(), "release", "releases")}" and its config vars are deleted"</span></li>
                        <li class="bad"><Icon name="branch"/><span>"Its git repository on the platform is deleted; your own clone is not affected"</span></li>
                        <li class="warn"><Icon name="globe"/><span>{move || status.with(|s| s.app.web_url.clone())}" stops responding"</span></li>
                        <li class="warn"><Icon name="logs"/><span>"Its log is deleted"</span></li>
                    </ul>
                    <div class="field">
                        <label for="cf">"Type "<span class="mono">{move || name.get()}</span>" to confirm"</label>
                        <input class="input mono" id="cf" autocomplete="off" spellcheck="false" prop:value=move || typed.get() on:input=move |ev| typed.set(event_target_value(&ev))/>
                    </div>
                }
                foot=move || view! {
                    <ActButton
                        class=Signal::derive(move || if fits() { "btn dgr pri".to_owned() } else { "btn".to_owned() })
                        busy=Signal::derive(move || busy.get() || !fits())
                        on_click=destroy
                    >
                        "Destroy "{move || name.get()}
                    </ActButton>
                }
            />
        </section>
    }
    .into_any()
}
