//! Collaborators of the app: adding and removing them.

use accounts::{
    access::{Level, LevelSelect, in_full, level, permissions},
    next_steps::{self, NextSteps},
};
use api::{
    client::Page,
    collaborators::{Collaborator, CollaboratorCreate, CollaboratorRole, CollaboratorUpdate},
    statuses::AppStatus,
    teams::TeamAppUpdate,
};
use leptos::prelude::*;
use pages_app::app_frame::{ThisApp, may};
use ui::{
    data::{LiveData, client, paged},
    nouns,
    parts::{ActButton, Avatar, Each, Icon, Pager, Show, Toasts, act},
};

/// The collaborators of the app, editable with the permission.
#[component]
pub fn AccessSection(app: ThisApp, status: Signal<AppStatus>) -> impl IntoView {
    let client = client();
    let people: LiveData<Page<Collaborator>> = paged(
        "access",
        nouns::ACCESS,
        move || app.name.get(),
        move |name: String, after| client.collaborator_page(&name, after),
    );
    let changes = may(status, "access");
    view! {
        <section class="sec" id="access" aria-labelledby="access-h">
            <div class="sec-h"><h2 id="access-h" style="font-size:var(--t-lead)">"Access"</h2>
                <Show when=move || status.with(|s| s.app.team.is_some())>
                    <span class="meta">{move || if status.with(|s| s.app.locked) { "locked: collaborators only, not all members of the team " } else { "collaborators, and all members of the team " }}
                        <a class="ul" href=move || status.with(|s| format!("/teams/{}", s.app.team.as_ref().map_or("", |t| &t.name)))>{move || status.with(|s| s.app.team.as_ref().map(|t| t.name.clone()))}</a>
                    </span>
                </Show>
            </div>
            {people.show(3, move |list| view! {
                <div class="card">
                    <ul class="list small">
                        <Each each=move || list.with(|p| p.items.clone()) key=|p| (p.id, p.updated_at) let:person><Person app person people changes/></Each>
                    </ul>
                    <Show when=move || changes.get()><LetIn app people/></Show>
                    <Show when=move || may(status, "manage").get() && status.with(|s| s.app.team.is_some())><Lock app status/></Show>
                </div>
                <Pager name="access" what="people" next=Signal::derive(move || list.with(|p| p.next.clone()))/>
            })}
        </section>
    }
    .into_any()
}

#[component]
fn Person(
    app: ThisApp,
    person: Collaborator,
    people: LiveData<Page<Collaborator>>,
    changes: Memo<bool>,
) -> impl IntoView {
    let busy = RwSignal::new(false);
    let (client, toasts) = (client(), Toasts::of_page());
    let other = client.clone();
    let names: Vec<String> = person.permissions.iter().map(|p| p.name.clone()).collect();
    let now = level(&names);
    let is_owner = person.role == CollaboratorRole::Owner;
    let email = person.user.email.clone();
    let called = email.strip_suffix("@herokumanager.com").map_or(email.clone(), |team| format!("the team {team}"));
    let of = StoredValue::new(email);
    let set = Callback::new(move |wanted: String| {
        let update = CollaboratorUpdate { permissions: permissions(&wanted) };
        let request = client.collaborator_update(&app.name.get_untracked(), &of.get_value(), &update);
        leptos::task::spawn_local(async move {
            match request.await {
                Ok(done) => toasts.done(format!("{} now has {wanted} access", done.user.email)),
                Err(err) => toasts.failed("Could not change access", &err),
            }
            people.refetch();
        });
    });
    let remove = Callback::new(move |()| {
        let request = other.collaborator_delete(&app.name.get_untracked(), &of.get_value());
        act(busy, "Could not remove the collaborator", request, move |_| people.refetch());
    });
    let (label, whom) = (format!("Access of {called}"), StoredValue::new(called.clone()));
    let text = in_full(now, &names);
    let shown = text.clone();
    view! {
        <li class="row wrap g3" style="padding-inline:16px">
            <Avatar who=of.get_value()/>
            <span class="clip" style="flex:1">{called.clone()}</span>
            <span class="meta">{person.role.as_str()}</span>
            <Show when=move || changes.get() && !is_owner fallback=move || view! { <Level name=now text=shown.clone()/> }>
                <LevelSelect label=label.clone() now text=text.clone() on_choose=set/>
                <ActButton class="btn gho sm dgr".to_owned() busy on_click=remove>"Remove"<span class="vh">" "{whom.get_value()}</span></ActButton>
            </Show>
        </li>
    }
    .into_any()
}

#[component]
fn LetIn(app: ThisApp, people: LiveData<Page<Collaborator>>) -> impl IntoView {
    let email = RwSignal::new(String::new());
    let wanted = RwSignal::new("operate".to_owned());
    let (busy, step) = (RwSignal::new(false), RwSignal::new(None));
    let (client, toasts) = (client(), Toasts::of_page());
    let add = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let create = CollaboratorCreate {
            user: Some(email.get_untracked().trim().to_owned()),
            permissions: Some(permissions(&wanted.get_untracked())),
        };
        let request = client.collaborator_create(&app.name.get_untracked(), &create);
        let after = client.clone();
        act(busy, "Could not add the collaborator", request, move |made| {
            email.try_set(String::new());
            people.refetch();
            toasts.done(format!("{} added as a collaborator", made.user.email));
            next_steps::ask(after.collaborator_next_step(&made.app.name, &made.id.to_string()), step);
        });
    };
    view! {
        <form class="ft" on:submit=add>
            <label class="vh" for="let-in">"Email address"</label>
            <input class="input sm" style="flex:1 1 220px" id="let-in" type="email" placeholder="ada@example.com" autocomplete="off" required
                prop:value=move || email.get() on:input=move |ev| email.set(event_target_value(&ev))/>
            <LevelSelect label="Permissions" now="operate" text="" on_choose=Callback::new(move |level| wanted.set(level))/>
            <button class="btn sm" type="submit" aria-busy=move || busy.get().to_string()><Icon name="plus" size="i-s"/>"Add collaborator"</button>
        </form>
        <NextSteps step/>
    }
    .into_any()
}

#[component]
fn Lock(app: ThisApp, status: Signal<AppStatus>) -> impl IntoView {
    let busy = RwSignal::new(false);
    let client = client();
    let locked = Memo::new(move |_| status.with(|s| s.app.locked));
    let switch = Callback::new(move |()| {
        let update = TeamAppUpdate { locked: Some(!locked.get_untracked()), owner: None };
        act(
            busy,
            "Could not change the lock",
            client.team_app_update(&app.name.get_untracked(), &update),
            move |updated| {
                if let Some(mut now) = app.status.get() {
                    now.app = updated;
                    app.status.put(now);
                }
            },
        );
    });
    view! {
        <div class="ft">
            <span class="small dim">{move || if locked.get() { "Locked: team members need to be added as collaborators to see it." } else { "All team members have access by role: viewers can see it, members can also deploy and operate it." }}</span>
            <span class="push"></span>
            <ActButton class="btn sm".to_owned() busy on_click=switch><Icon name="lock" size="i-s"/>{move || if locked.get() { "Unlock app" } else { "Lock app" }}</ActButton>
        </div>
    }
    .into_any()
}
