//! The members' access to the apps of the team, as levels: each includes the previous ones.

use api::{collaborators::CollaboratorUpdate, teams::TeamAccess};
use leptos::{either::Either, prelude::*};
use ui::{
    data::client,
    parts::{Icon, Pager, Show, Toasts},
    words,
};

use super::ThisTeam;

/// The levels: name and permissions.
pub const LEVELS: [(&str, &[&str]); 4] = [
    ("view", &["view"]),
    ("deploy", &["view", "deploy"]),
    ("operate", &["view", "deploy", "operate"]),
    ("manage", &["view", "deploy", "operate", "manage"]),
];

/// The level of a set of permissions; `custom` if it matches none.
pub fn level(permissions: &[String]) -> &'static str {
    let has = |name: &str| permissions.iter().any(|p| p == name);
    let fine = permissions.iter().any(|p| !LEVELS[3].1.contains(&p.as_str()));
    match (has("view"), has("deploy"), has("operate"), has("manage")) {
        _ if permissions.is_empty() => "none",
        (.., true) => "manage",
        (_, true, true, _) => "operate",
        (_, true, false, _) if !fine => "deploy",
        (true, false, false, _) if !fine => "view",
        _ => "custom",
    }
}

/// The verb for a level, followed by a number of apps.
pub fn verb(level: &str) -> &str {
    if level == "custom" { "custom access to" } else { level }
}

/// A level, with the permissions of a custom one: `custom (view, config)`.
pub fn in_full(level: &str, permissions: &[String]) -> String {
    if level == "custom" { format!("custom ({})", permissions.join(", ")) } else { level.to_owned() }
}

/// The permissions of a level.
pub fn permissions(of: &str) -> Vec<String> {
    let found = LEVELS.iter().find(|(name, _)| *name == of);
    found.map(|(_, all)| all.iter().map(|p| (*p).to_owned()).collect()).unwrap_or_default()
}

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

/// A select of levels. A custom one is shown as `text` and cannot be selected again.
#[component]
pub fn LevelSelect(
    #[prop(into)] label: String,
    now: &'static str,
    #[prop(into)] text: String,
    on_choose: Callback<String>,
) -> impl IntoView {
    let is_level = LEVELS.iter().any(|(name, _)| *name == now);
    view! {
        <select class="select" aria-label=label on:change=move |ev| on_choose.run(event_target_value(&ev))>
            {(!is_level).then(|| view! { <option value=now selected=true disabled=true>{text}</option> })}
            {LEVELS.into_iter().map(|(name, _)| view! { <option value=name selected=name == now>{name}</option> }).collect_view()}
        </select>
    }
    .into_any()
}

/// A level as four squares, with its label.
#[component]
pub fn Level(name: &'static str, text: String) -> impl IntoView {
    let filled = LEVELS.iter().position(|(level, _)| *level == name).map_or(0, |n| n + 1);
    view! {
        <span class="lv">
            {(0..4).map(|n| view! { <i class:on=n < filled></i> }).collect_view()}
            <span>{text}</span>
        </span>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_map_to_levels() {
        for (name, all) in LEVELS {
            assert_eq!(level(&permissions(name)), name, "{all:?}");
        }
        let of = |names: &[&str]| level(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        assert_eq!([of(&[]), of(&["view", "operate"]), of(&["config"])], ["none", "custom", "custom"]);
    }
}
