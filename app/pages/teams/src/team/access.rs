//! The members' access to the apps of the team, as levels.

use accounts::access::{Level, LevelSelect, in_full, level, permissions};
use api::{collaborators::CollaboratorUpdate, teams::TeamAccess};
use leptos::{either::Either, prelude::*};
use ui::{
    data::client,
    parts::{Icon, Pager, Show, Toasts},
    words,
};

use super::ThisTeam;

/// A table of apps and members.
#[component]
pub fn Access(this: ThisTeam, is_admin: Signal<bool>) -> impl IntoView {
    view! {
        <section class="sec" id="access" aria-labelledby="access-h">
            <div class="sec-h"><h2 id="access-h">"Access by app"</h2><span class="meta">"each level includes the previous ones"</span></div>
            {this.access.show(4, move |access| view! {
                <Table this access=Signal::derive(move || access.with(|p| p.items.clone())) is_admin/>
                <Pager name="access" what="apps" next=Signal::derive(move || access.with(|p| p.next.clone()))/>
            })}
        </section>
    }
    .into_any()
}

#[component]
fn Table(this: ThisTeam, access: Signal<Vec<TeamAccess>>, is_admin: Signal<bool>) -> impl IntoView {
    let apps = move || {
        access.with(|all| {
            let mut apps: Vec<(String, bool)> = all.iter().map(|a| (a.app.name.clone(), a.locked)).collect();
            apps.dedup();
            apps
        })
    };
    move || {
        let apps = apps();
        if apps.is_empty() {
            return Either::Left(view! { <p class="dim">"The team has no apps visible to you."</p> });
        }
        Either::Right(view! {
            <div class="stack g4">
                {apps.into_iter().map(|(app, locked)| {
                    let rows: Vec<TeamAccess> = access.with(|all| all.iter().filter(|a| a.app.name == app).cloned().collect());
                    view! {
                        <div class="card">
                            <div class="in row g3">
                                <a class="name" href=format!("/apps/{app}")>{app.clone()}</a>
                                {locked.then(|| view! { <span class="chip line"><Icon name="lock" size="i-s"/>"locked"</span> })}
                            </div>
                            <ul class="list small">
                                {rows.into_iter().map(|row| view! { <Row this row is_admin/> }).collect_view()}
                            </ul>
                        </div>
                    }
                }).collect_view()}
            </div>
        })
    }
}

#[component]
fn Row(this: ThisTeam, row: TeamAccess, is_admin: Signal<bool>) -> impl IntoView {
    let (client, toasts) = (client(), Toasts::of_page());
    let now = level(&row.permissions);
    let who = words::who(&row.user.email);
    let (app, email) = (row.app.name.clone(), row.user.email.clone());
    let set = Callback::new(move |wanted: String| {
        let update = CollaboratorUpdate { permissions: permissions(&wanted) };
        let request = client.collaborator_update(&app, &email, &update);
        leptos::task::spawn_local(async move {
            match request.await {
                Ok(done) => toasts.done(format!("{} now has {wanted} access to {}", done.user.email, done.app.name)),
                Err(err) => toasts.failed("Could not change access", &err),
            }
            this.access.refetch();
        });
    });
    // Admins have full access, whatever is stored.
    let is_fixed = now == "manage" && !row.explicit;
    let label = format!("Access of {who} to {}", row.app.name);
    let text = in_full(now, &row.permissions);
    let shown = text.clone();
    view! {
        <li class="row g3" style="padding-inline:16px">
            <span class="clip" style="flex:1">{row.user.email.clone()}</span>
            <Show when=move || is_admin.get() && !is_fixed fallback=move || view! { <Level name=now text=shown.clone()/> }>
                <LevelSelect label=label.clone() now text=text.clone() on_choose=set/>
            </Show>
        </li>
    }
    .into_any()
}
