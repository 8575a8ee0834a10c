//! Name, buildpacks and maintenance mode.

use api::{apps::AppUpdate, buildpack_installations::BuildpackInstallation, ids::AppName, statuses::AppStatus};
use leptos::{either::Either, prelude::*};
use leptos_router::{NavigateOptions, hooks::use_navigate};
use pages_app::app_frame::{ThisApp, may};
use ui::{
    data::{client, refetched},
    parts::{ActButton, Ago, Cmd, Each, Icon, Show, Toasts, act},
    words,
};

/// The app's name and facts that do not change.
#[component]
pub fn GeneralSection(app: ThisApp, status: Signal<AppStatus>) -> impl IntoView {
    let name = RwSignal::new(app.name.get_untracked());
    let busy = RwSignal::new(false);
    let (client, navigate) = (client(), use_navigate());
    let toasts = Toasts::of_page();
    let manages = may(status, "manage");
    let changed = Memo::new(move |_| name.with(|n| app.name.with(|now| n.trim() != now)));
    let wrong = Memo::new(move |_| changed.get().then(|| name.with(|n| n.trim().parse::<AppName>().err())).flatten());
    let rename = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        if !changed.get_untracked() || wrong.get_untracked().is_some() {
            return;
        }
        let update = AppUpdate { name: Some(name.get_untracked().trim().to_owned()), ..Default::default() };
        let request = client.app_update(&app.name.get_untracked(), &update);
        let navigate = navigate.clone();
        act(busy, "Could not rename the app", request, move |app| {
            toasts.done(format!("App renamed to {}", app.name));
            navigate(&format!("/apps/{}/settings", app.name), NavigateOptions::default());
        });
    };
    view! {
        <section class="sec" id="general" aria-labelledby="general-h">
            <h2 id="general-h" style="font-size:var(--t-lead)">"General"</h2>
            <div class="card">
                <form class="in row wrap g4" style="align-items:flex-start" on:submit=rename>
                    <div class="field" style="flex:1 1 240px">
                        <label for="name">"Name"</label>
                        <input class="input mono" id="name" maxlength="30" autocomplete="off" spellcheck="false" aria-describedby="name-hint" readonly=move || !manages.get()
                            aria-invalid=move || wrong.get().is_some().to_string()
                            prop:value=move || name.get() value=app.name.get_untracked() on:input=move |ev| name.set(event_target_value(&ev))/>
                        <span class="hint" id="name-hint" aria-live="polite">{move || match wrong.get() {
                            Some(why) => Either::Left(view! { <span class="t-bad">{why}</span> }),
                            None if manages.get() => Either::Right("Renaming changes the URL, and the old one stops working. Git and the API accept the old name for 30 days."),
                            None => Either::Right("Read-only: renaming requires manage access."),
                        }}</span>
                    </div>
                    <Show when=move || changed.get() && manages.get()>
                        <button class="btn" type="submit" style="margin-top:26px" aria-busy=move || busy.get().to_string()>"Rename"</button>
                    </Show>
                </form>
                <div class="in" style="border-top:1px solid var(--line)">
                    <dl class="kv left">
                        <dt>"Address"</dt><dd>{move || status.with(|s| s.app.web_url.clone())}</dd>
                        <dt>"Owner"</dt><dd>{move || status.with(|s| s.app.team.as_ref().map_or_else(|| s.app.owner.email.clone(), |team| format!("the team {}", team.name)))}</dd>
                        <dt>"Stack"</dt><dd>{move || status.with(|s| s.app.stack.name.clone())}</dd>
                        <dt>"Created"</dt><dd>{move || status.with(|s| view! { <Ago at=s.app.created_at/> })}</dd>
                        <dt>"Slug"</dt><dd>{move || status.with(|s| s.app.slug_size.map_or("none yet".into(), |n| words::bytes(n as u64)))}</dd>
                    </dl>
                </div>
                <div class="in" style="border-top:1px solid var(--line)">
                    <Cmd line=Signal::derive(move || status.with(|s| format!("git remote add wharf {}", s.app.git_url)))/>
                </div>
            </div>
        </section>
    }
    .into_any()
}

/// The buildpacks of the next build, in order.
#[component]
pub fn BuildpacksSection(app: ThisApp) -> impl IntoView {
    let client = client();
    let installed = refetched(
        &["buildpack_installation", "app"],
        move || app.name.get(),
        move |name: String| client.buildpack_installation_list(&name),
    );
    view! {
        <section class="sec" id="build" aria-labelledby="build-h">
            <div class="sec-h"><h2 id="build-h" style="font-size:var(--t-lead)">"Buildpacks"</h2><span class="meta">"for the next build"</span></div>
            {installed.show(2, move |list| view! { <Buildpacks app list/> })}
        </section>
    }
    .into_any()
}

fn names(list: &[BuildpackInstallation]) -> Vec<String> {
    list.iter().filter_map(|b| b.buildpack.name.clone().or_else(|| b.buildpack.url.clone())).collect()
}

#[component]
fn Buildpacks(app: ThisApp, list: Signal<Vec<BuildpackInstallation>>) -> impl IntoView {
    let now = RwSignal::new(list.with_untracked(|l| names(l)));
    let new = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let client = client();
    let toasts = Toasts::of_page();
    let set = Callback::new(move |wanted: Vec<String>| {
        let request = client.buildpack_installation_update(&app.name.get_untracked(), &wanted);
        act(busy, "Could not change the buildpacks", request, move |list| {
            now.try_set(names(&list));
            new.try_set(String::new());
            toasts.done("Buildpacks saved for the next build");
        });
    });
    let add = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let name = new.get_untracked().trim().to_owned();
        if !name.is_empty() {
            let mut wanted = now.get_untracked();
            wanted.push(name);
            set.run(wanted);
        }
    };
    let without = move |name: &str| now.get_untracked().into_iter().filter(|n| n != name).collect::<Vec<_>>();
    view! {
        <div class="card">
            <Show
                when=move || !now.with(Vec::is_empty)
                fallback=|| view! { <p class="in small dim">"Detected from the project's files. Add one to override this; with several, the last one sets the process types."</p> }
            >
                <ol class="list small">
                    <Each each=move || now.get() key=String::clone let:name>
                        <li class="row g3" style="padding-inline:16px">
                            <Icon name="box"/>
                            <span class="mono clip">{name.clone()}</span>
                            <span class="push">
                                <button class="btn gho sm ico" type="button" aria-label=format!("Remove {name}") on:click={ let name = name.clone(); move |_| set.run(without(&name)) }>
                                    <Icon name="trash" size="i-s"/>
                                </button>
                            </span>
                        </li>
                    </Each>
                </ol>
            </Show>
            <form class="ft" on:submit=add>
                <label class="vh" for="bp">"Buildpack by name or git URL"</label>
                <input class="input mono sm" style="flex:1 1 220px" id="bp" placeholder="heroku/nodejs or https://…/buildpack.git" spellcheck="false"
                    prop:value=move || new.get() on:input=move |ev| new.set(event_target_value(&ev))/>
                <button class="btn sm" type="submit" aria-busy=move || busy.get().to_string()><Icon name="plus" size="i-s"/>"Add buildpack"</button>
            </form>
        </div>
    }
    .into_any()
}

/// Maintenance mode: visitors see a maintenance page.
#[component]
pub fn MaintenanceSection(app: ThisApp, status: Signal<AppStatus>) -> impl IntoView {
    let busy = RwSignal::new(false);
    let client = client();
    let toasts = Toasts::of_page();
    let on = Memo::new(move |_| status.with(|s| s.app.maintenance));
    let switch = Callback::new(move |()| {
        let wanted = !on.get_untracked();
        let update = AppUpdate { maintenance: Some(wanted), ..Default::default() };
        act(
            busy,
            "Could not change maintenance mode",
            client.app_update(&app.name.get_untracked(), &update),
            move |updated| {
                if let Some(mut now) = app.status.get() {
                    now.app = updated;
                    app.status.put(now);
                }
                toasts.done(if wanted { "Maintenance mode is on" } else { "Maintenance mode is off" });
            },
        );
    });
    view! {
        <section class="sec" id="maintenance" aria-labelledby="maintenance-h">
            <h2 id="maintenance-h" style="font-size:var(--t-lead)">"Maintenance"</h2>
            <div class="card">
                <div class="in row wrap g4">
                    <p class="small dim" style="flex:1 1 320px">
                        {move || if on.get() {
                            "All requests get the maintenance page. Dynos keep running."
                        } else {
                            "All requests get the maintenance page. Dynos keep running and are not restarted."
                        }}
                    </p>
                    <ActButton class="btn".to_owned() busy on_click=switch>
                        {move || if on.get() { "Turn maintenance mode off" } else { "Turn maintenance mode on" }}
                    </ActButton>
                </div>
            </div>
        </section>
    }
    .into_any()
}
