//! The user's teams, and what awaits a response: invitations and app transfers.

use accounts::next_steps::{self, NextSteps};
use api::{
    app_transfers::{AppTransfer, AppTransferUpdate, TransferState},
    client::Page,
    team_invitations::TeamInvitation,
    teams::{Team, TeamCreate},
};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use ui::{
    data::{LiveData, client, paged, refetched},
    nouns,
    parts::{ActButton, Crumb, Deck, Each, Icon, PageHead, Pager, Show, Toasts, act},
};

/// `/teams`
#[component]
pub fn TeamsPage() -> impl IntoView {
    let teams: LiveData<Page<Team>> = paged("teams", nouns::TEAMS, || (), {
        let client = client();
        move |(), after| client.team_page(after)
    });
    view! {
        <Deck title="Teams".to_owned() crumbs=vec![Crumb::here("Teams")]>
            <div class="page" id="teams">
                <PageHead title=|| "Teams" sub=|| view! { <span>"Groups of people who manage apps together"</span> }/>
                <Waiting teams/>
                {teams.show(3, |teams| view! { <List teams/> })}
                <NewTeam/>
            </div>
        </Deck>
    }
    .into_any()
}

#[component]
fn List(teams: Signal<Page<Team>>) -> impl IntoView {
    view! {
        <section class="sec" aria-label="Your teams">
            <Show
                when=move || !teams.with(|p| p.items.is_empty())
                fallback=|| view! { <p class="dim">"You are not in a team yet."</p> }
            >
                <div class="card"><ul class="list">
                    {move || teams.get().items.into_iter().map(|team| view! {
                        <li class="row g3" style="padding-inline:16px">
                            <Icon name="team"/>
                            <a class="name" href=format!("/teams/{}", team.name)>{team.name.clone()}</a>
                            <span class="push meta">{team.role.as_str()}</span>
                        </li>
                    }).collect_view()}
                </ul></div>
            </Show>
            <Pager name="teams" what="teams" next=Signal::derive(move || teams.with(|p| p.next.clone()))/>
        </section>
    }
    .into_any()
}

#[component]
fn NewTeam() -> impl IntoView {
    let name = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let (client, navigate) = (client(), use_navigate());
    let make = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let create = TeamCreate { name: name.get_untracked().trim().to_owned() };
        let navigate = navigate.clone();
        act(busy, "Could not create the team", client.team_create(&create), move |team| {
            navigate(&format!("/teams/{}", team.name), NavigateOptions::default());
        });
    };
    view! {
        <section class="sec" aria-labelledby="new-team-h">
            <h2 id="new-team-h">"New team"</h2>
            <form class="card" on:submit=make><div class="in row wrap g4" style="align-items:flex-end">
                <div class="field" style="flex:1 1 240px">
                    <label for="team-name">"Name"</label>
                    <input class="input mono" id="team-name" maxlength="30" autocomplete="off" spellcheck="false" aria-describedby="team-hint"
                        prop:value=move || name.get() on:input=move |ev| name.set(event_target_value(&ev))/>
                    <span class="hint" id="team-hint">"Lower-case letters, digits and dashes. You will be its admin."</span>
                </div>
                <button class="btn" type="submit" style="margin-bottom:26px" aria-busy=move || busy.get().to_string()><Icon name="plus" size="i-s"/>"Create team"</button>
            </div></form>
        </section>
    }
    .into_any()
}

#[component]
fn Waiting(teams: LiveData<Page<Team>>) -> impl IntoView {
    let client = client();
    let offers = client.clone();
    let invitations: LiveData<Vec<TeamInvitation>> =
        refetched(&["team_invitation", "team", "account"], || (), move |()| client.team_invitation_list_own());
    let transfers: LiveData<Page<AppTransfer>> =
        paged("transfers", &["app_transfer", "app", "team"], || (), move |(), after| offers.app_transfer_page(after));
    view! {
        {invitations.show(0, move |list| view! {
            <Show when=move || !list.with(Vec::is_empty)>
                <section class="sec" aria-label="Invitations"><div class="card"><ul class="list">
                    <Each each=move || list.get() key=|i| i.id let:invitation><Invitation invitation invitations teams/></Each>
                </ul></div></section>
            </Show>
        })}
        {transfers.show(0, move |list| {
            let open = move || list.get().items.into_iter().filter(|t| !t.state.has_ended()).collect::<Vec<_>>();
            view! {
                <Show when=move || !open().is_empty()>
                    <section class="sec" aria-label="App transfers"><div class="card"><ul class="list">
                        <Each each=open key=|t| t.id let:transfer><Offer transfer transfers/></Each>
                    </ul></div></section>
                </Show>
                <Pager name="transfers" what="transfers" next=Signal::derive(move || list.with(|p| p.next.clone()))/>
            }
        })}
    }
    .into_any()
}

#[component]
fn Invitation(
    invitation: TeamInvitation,
    invitations: LiveData<Vec<TeamInvitation>>,
    teams: LiveData<Page<Team>>,
) -> impl IntoView {
    let busy = RwSignal::new(false);
    let (client, toasts) = (client(), Toasts::of_page());
    let other = client.clone();
    let id = invitation.id.to_string();
    let (no, team) = (id.clone(), invitation.team.name.clone());
    let accept = Callback::new(move |()| {
        let team = team.clone();
        act(busy, "Could not accept the invitation", client.team_invitation_accept(&id), move |_| {
            invitations.refetch();
            teams.refetch();
            toasts.done(format!("You have joined the team {team}"));
        });
    });
    let decline = Callback::new(move |()| {
        act(busy, "Could not decline the invitation", other.team_invitation_decline(&no), move |_| {
            invitations.refetch()
        });
    });
    view! {
        <li class="row wrap g3" style="padding-inline:16px">
            <Icon name="team"/>
            <span>{invitation.invited_by.email}" invites you to "<b>{invitation.team.name}</b>" as "{invitation.role.as_str()}</span>
            <span class="push row">
                <ActButton class="btn sm pri".to_owned() busy on_click=accept>"Accept"</ActButton>
                <ActButton class="btn sm gho".to_owned() busy on_click=decline>"Decline"</ActButton>
            </span>
        </li>
    }
    .into_any()
}

#[component]
fn Offer(transfer: AppTransfer, transfers: LiveData<Page<AppTransfer>>) -> impl IntoView {
    let busy = RwSignal::new(false);
    let (client, toasts) = (client(), Toasts::of_page());
    let ui::parts::Visitor(account) = expect_context();
    let recipient = transfer.recipient.id;
    let is_mine = move || account.get().is_some_and(|a| a.id.get() == recipient);
    let (id, app) = (StoredValue::new(transfer.id.to_string()), StoredValue::new(transfer.app.name.clone()));
    let (back, asks) = (client.clone(), client.clone());
    let answer = Callback::new(move |state: TransferState| {
        let update = AppTransferUpdate { state: state.to_string() };
        let request = id.with_value(|id| client.app_transfer_update(id, &update));
        act(busy, "Could not respond to the transfer", request, move |_| {
            transfers.refetch();
            toasts.done(format!("Transfer of {} {state}", app.get_value()));
        });
    });
    let take_back = Callback::new(move |()| {
        let request = id.with_value(|id| back.app_transfer_delete(id));
        act(busy, "Could not cancel the transfer", request, move |_| transfers.refetch());
    });
    let step = RwSignal::new(None);
    let next = Callback::new(move |()| {
        next_steps::ask(id.with_value(|id| asks.app_transfer_next_step(id)), step);
    });
    view! {
        <li class="row wrap g3" style="padding-inline:16px">
            <Icon name="box"/>
            <span>{transfer.owner.email}" wants to transfer "<b>{transfer.app.name}</b>" to "{transfer.recipient.email}</span>
            <span class="push row">
                <Show when=is_mine fallback=move || view! {
                    <ActButton class="btn sm gho".to_owned() busy on_click=next>"Next step"</ActButton>
                    <ActButton class="btn sm gho".to_owned() busy on_click=take_back>"Cancel transfer"</ActButton>
                }>
                    <ActButton class="btn sm pri".to_owned() busy on_click=Callback::new(move |()| answer.run(TransferState::Accepted))>"Accept"</ActButton>
                    <ActButton class="btn sm gho".to_owned() busy on_click=Callback::new(move |()| answer.run(TransferState::Declined))>"Decline"</ActButton>
                </Show>
            </span>
            <NextSteps step/>
        </li>
    }
    .into_any()
}
