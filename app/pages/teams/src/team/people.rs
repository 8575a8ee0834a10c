//! The people of a team: roles and invitations.

use accounts::{
    access,
    next_steps::{self, NextSteps},
};
use api::{
    team_invitations::TeamInvitation,
    team_members::{Role, TeamMember, TeamMemberSave},
    teams::TeamAccess,
};
use leptos::{either::Either, prelude::*};
use leptos_router::hooks::use_query_map;
use ui::{
    data::client,
    parts::{ActButton, Ago, Avatar, ConfirmDialog, Each, Icon, Pager, Show, Toasts, act},
    words,
};

use super::ThisTeam;

/// The roles, with what each allows.
pub const ROLES: [(Role, &str); 3] = [(Role::Admin, "Admin"), (Role::Member, "Member"), (Role::Viewer, "Viewer")];

/// The members of the team, and its invitations.
#[component]
pub fn People(this: ThisTeam, is_admin: Signal<bool>) -> impl IntoView {
    view! {
        <section class="sec" id="people" aria-labelledby="people-h">
            <div class="sec-h"><h2 id="people-h">"People"</h2></div>
            {this.members.show(4, move |members| view! {
                <div class="tw"><table role="table" class="table">
                    <thead role="rowgroup"><tr role="row">
                        <th role="columnheader">"Name"</th><th role="columnheader">"Role"</th><th role="columnheader">"Apps"</th>
                        <th role="columnheader" class="r">"Last seen"</th><th role="columnheader" class="act"><span class="vh">"Actions"</span></th>
                    </tr></thead>
                    <tbody role="rowgroup">
                        <Each each=move || members.with(|p| p.items.clone()) key=|m| (m.id, m.role) let:member><Person member this is_admin/></Each>
                        {this.invitations.show(0, move |list| view! {
                            <Each each=move || list.with(|p| p.items.clone()) key=|i| (i.id, i.updated_at, i.mail.as_ref().map(|mail| (mail.state, mail.updated_at))) let:invitation><Invited invitation this/></Each>
                        })}
                    </tbody>
                </table></div>
                <Pager name="people" what="people" next=Signal::derive(move || members.with(|p| p.next.clone()))/>
            })}
            {this.invitations.show(0, |list| view! { <Pager name="invitations" what="invitations" next=Signal::derive(move || list.with(|p| p.next.clone()))/> })}
            <Show when=move || is_admin.get()><Invite this/></Show>
        </section>
    }
    .into_any()
}

/// A member's access to the apps of the team in brief: `all apps`, `deploy 3 apps, view 1 app`.
fn describe(access: &[TeamAccess], email: &str, role: Role) -> String {
    if role == Role::Admin {
        return "all apps".into();
    }
    let own = access.iter().filter(|a| a.user.email == email);
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for level in own.map(|a| access::level(&a.permissions)) {
        match counts.iter_mut().find(|(l, _)| *l == level) {
            Some((_, n)) => *n += 1,
            None => counts.push((level, 1)),
        }
    }
    counts.retain(|(level, _)| *level != "none");
    if counts.is_empty() {
        return "no apps".into();
    }
    let parts = counts.iter().map(|(level, n)| format!("{} {}", access::verb(level), words::count(*n, "app", "apps")));
    parts.collect::<Vec<_>>().join(", ")
}

#[component]
fn Person(member: TeamMember, this: ThisTeam, is_admin: Signal<bool>) -> impl IntoView {
    let busy = RwSignal::new(false);
    let (client, toasts) = (client(), Toasts::of_page());
    let other = client.clone();
    let name = member.user.name.clone().unwrap_or_else(|| words::who(&member.email));
    let email = StoredValue::new(member.email.clone());
    let set = Callback::new(move |wanted: String| {
        let save = TeamMemberSave { email: email.get_value(), role: wanted };
        let request = client.team_member_update(&this.name.get_untracked(), &save);
        busy.set(true);
        let after = toasts;
        leptos::task::spawn_local(async move {
            match request.await {
                Ok(member) => after.done(format!("{} is now {}", member.email, member.role)),
                Err(err) => after.failed("Could not change the role", &err),
            }
            busy.try_set(false);
            // Successful or not, the list shows the actual state.
            this.refetch();
        });
    });
    let remove = Callback::new(move |()| {
        let request = other.team_member_delete(&this.name.get_untracked(), &email.get_value());
        act(busy, "Could not remove the member", request, move |gone| {
            this.refetch();
            toasts.done(format!("{} removed from the team", gone.email));
        });
    });
    let (label, title, of_role) = (format!("Role of {name}"), name.clone(), member.role);
    let (service, whom) = (member.service, StoredValue::new(name));
    let query = use_query_map();
    let is_whole = Memo::new(move |_| query.with(|q| q.get("access").is_none()));
    let effects = move || {
        let team = this.name.get_untracked();
        vec![format!("{} loses access to {team} and its apps immediately, including open sessions", whom.get_value())]
    };
    view! {
        <tr role="row">
            <td role="cell" class="w"><span class="row g3">
                <Avatar who=member.email.clone() large=true/>
                <span style="min-width:0">
                    <span class="name">{title}</span>
                    <span class="meta" style="display:block">{if service { "service account".to_owned() } else { member.email.clone() }}</span>
                </span>
            </span></td>
            <td role="cell" data-l="role">
                <Show when=move || is_admin.get() fallback=move || of_role.as_str()>
                    <select class="select" aria-label=label.clone() on:change=move |ev| set.run(event_target_value(&ev))>
                        {ROLES.into_iter().filter(|(value, _)| !service || *value != Role::Admin).map(|(value, word)| view! {
                            <option value=value.as_str() selected=of_role == value>{word}</option>
                        }).collect_view()}
                    </select>
                </Show>
            </td>
            <td role="cell" class="dim" data-l="apps">{move || this.access.get().map(|page| match is_whole.get() && page.next.is_none() || of_role == Role::Admin {
                true => email.with_value(|e| describe(&page.items, e, of_role)),
                // If there are many apps, only one page of them is loaded.
                false => "see access by app".into(),
            })}</td>
            <td role="cell" class="dim r" data-l="last seen">{match member.last_login {
                Some(at) => Either::Left(view! { <Ago at=at/> }),
                None => Either::Right(if service { "–" } else { "never" }),
            }}</td>
            <td role="cell" class="act">
                <Show when=move || is_admin.get() && !service>
                    <ConfirmDialog verb="Remove" what=whom.get_value() effects=effects() busy on_click=remove/>
                </Show>
            </td>
        </tr>
    }
    .into_any()
}

#[component]
fn Invited(invitation: TeamInvitation, this: ThisTeam) -> impl IntoView {
    let busy = RwSignal::new(false);
    let client = client();
    let other = client.clone();
    let email = invitation.user.email.clone();
    let (of, whose) = (StoredValue::new(email.clone()), email.clone());
    let back = Callback::new(move |()| {
        let request = client.team_invitation_delete(&this.name.get_untracked(), &of.get_value());
        act(busy, "Could not cancel the invitation", request, move |_| this.invitations.refetch());
    });
    let step = RwSignal::new(None);
    let ask = Callback::new(move |()| {
        let request = other.team_invitation_next_step(&this.name.get_untracked(), &of.get_value());
        next_steps::ask(request, step);
    });
    let mail = invitation.mail.as_ref().map(next_steps::about).unwrap_or_default();
    view! {
        <tr role="row">
            <td role="cell" class="w"><span class="row g3">
                <span class="av l" style="background:none;box-shadow:inset 0 0 0 1px var(--line-3)" aria-hidden="true">"?"</span>
                <span><span class="name">{email.clone()}</span><span class="meta" style="display:block">"invited by "{invitation.invited_by.email}", "<Ago at=invitation.updated_at/></span><NextSteps step/></span>
            </span></td>
            <td role="cell" class="dim" data-l="role">{invitation.role.as_str()}</td>
            <td role="cell"></td>
            <td role="cell" class="dim r">"not accepted yet"<span class="meta" style="display:block;overflow-wrap:anywhere">{mail}</span></td>
            <td role="cell" class="act many"><ActButton class="btn gho sm".to_owned() busy on_click=ask>"Next step"<span class="vh">" of "{whose}</span></ActButton><ActButton class="btn gho sm".to_owned() busy on_click=back>"Cancel invitation"<span class="vh">" of "{email}</span></ActButton></td>
        </tr>
    }
    .into_any()
}

#[component]
fn Invite(this: ThisTeam) -> impl IntoView {
    let email = RwSignal::new(String::new());
    let role = RwSignal::new(Role::Member.to_string());
    let (busy, step) = (RwSignal::new(false), RwSignal::new(None));
    let (client, toasts) = (client(), Toasts::of_page());
    let invite = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let save = TeamMemberSave { email: email.get_untracked().trim().to_owned(), role: role.get_untracked() };
        let request = client.team_invitation_save(&this.name.get_untracked(), &save);
        let after = client.clone();
        act(busy, "Could not send the invitation", request, move |made| {
            email.try_set(String::new());
            this.invitations.refetch();
            toasts.done(format!("{} invited: they will see it when they sign in", made.user.email));
            next_steps::ask(after.team_invitation_next_step(&made.team.name, &made.id.to_string()), step);
        });
    };
    view! {
        <form class="card" aria-label="Invite people" on:submit=invite><div class="in row wrap g4" style="align-items:flex-end">
            <div class="field" style="flex:1 1 260px">
                <label for="invite-email">"Email address"</label>
                <input class="input" id="invite-email" type="email" autocomplete="off" required
                    prop:value=move || email.get() on:input=move |ev| email.set(event_target_value(&ev))/>
            </div>
            <div class="field">
                <label for="invite-role">"Role"</label>
                <select class="select" id="invite-role" on:change=move |ev| role.set(event_target_value(&ev))>
                    {ROLES.into_iter().map(|(value, word)| view! { <option value=value.as_str() selected=value == Role::Member>{word}</option> }).collect_view()}
                </select>
            </div>
            <button class="btn pri" type="submit" aria-busy=move || busy.get().to_string()><Icon name="plus" size="i-s"/>"Invite"</button>
        </div></form>
        <NextSteps step/>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use api::refs::{Ref, UserRef};

    use super::*;

    #[test]
    fn access_is_summarized() {
        let row = |permissions: &[&str]| TeamAccess {
            app: Ref::default(),
            locked: false,
            user: UserRef { email: "a@b.c".into(), ..UserRef::default() },
            permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
            explicit: true,
        };
        let all = [row(&["view", "deploy", "operate"]), row(&["view"]), row(&[]), row(&["view"])];
        assert_eq!(describe(&all, "a@b.c", Role::Member), "operate 1 app, view 2 apps");
        assert_eq!(describe(&all, "a@b.c", Role::Admin), "all apps");
        assert_eq!(describe(&all, "x@b.c", Role::Viewer), "no apps");
    }
}
