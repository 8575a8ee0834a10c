//! A team: its people, their access to apps, its invitations and service accounts.

mod access;
mod new_people;
mod people;
mod quotas;
mod service_accounts;

use api::{
    client::Page,
    team_invitations::TeamInvitation,
    team_members::{Role, TeamMember},
    teams::{Team, TeamAccess},
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use ui::{
    data::{LiveData, client, paged, refetched},
    nouns,
    parts::{Crumb, Deck, Icon, PageHead, Show},
    words,
};

use access::Access;
use new_people::NewPeople;
use people::People;
use quotas::Quotas;
use service_accounts::ServiceAccounts;

/// The team of the URL and its data.
#[derive(Clone, Copy)]
pub struct ThisTeam {
    pub name: Memo<String>,
    pub team: LiveData<Team>,
    pub members: LiveData<Page<TeamMember>>,
    /// Empty without the permission.
    pub invitations: LiveData<Page<TeamInvitation>>,
    pub access: LiveData<Page<TeamAccess>>,
}

impl ThisTeam {
    fn of_address() -> Self {
        let params = use_params_map();
        let name = Memo::new(move |_| params.with(|p| p.get("team").unwrap_or_default()));
        let (a, b, c, d) = (client(), client(), client(), client());
        Self {
            name,
            team: refetched(nouns::TEAMS, move || name.get(), move |name: String| a.team_info(&name)),
            members: paged(
                "people",
                nouns::PEOPLE,
                move || name.get(),
                move |name: String, after| b.team_member_page(&name, after),
            ),
            invitations: paged(
                "invitations",
                &["team_invitation", "team_member", "team", "account", "mail"],
                move || name.get(),
                move |name: String, after| {
                    c.team_invitation_page(&name, after).or(|err| err.status == 403, r#"{"items":[],"next":null}"#)
                },
            ),
            access: paged(
                "access",
                nouns::ACCESS,
                move || name.get(),
                move |name: String, after| d.team_access_page(&name, after),
            ),
        }
    }

    /// Refetches all data that depends on the members.
    fn refetch(self) {
        self.members.refetch();
        self.invitations.refetch();
        self.access.refetch();
    }
}

/// `/teams/:team`
#[component]
pub fn TeamPage() -> impl IntoView {
    let this = ThisTeam::of_address();
    let crumbs = Signal::derive(move || vec![Crumb::to("Teams", "/teams"), Crumb::here(this.name.get())]);
    view! {
        <Deck title=Signal::derive(move || format!("Team {}", this.name.get())) crumbs>
            <div class="page">
                {this.team.show(1, move |team| {
                    let is_admin = Signal::derive(move || team.with(|t| t.role == Role::Admin));
                    view! {
                        <PageHead
                            title=move || view! { {move || team.with(|t| t.name.clone())} }
                            sub=move || view! { <Sub this/><span class="chip line">"You are "{move || team.with(|t| t.role.as_str())}</span> }
                            acts=move || view! {
                                <Show when=move || team.with(|t| t.role != Role::Viewer)>
                                    <a class="btn" href=move || format!("/apps/new?team={}", api::client::segment(&this.name.get()))><Icon name="plus" size="i-s"/>"New app"</a>
                                </Show>
                            }
                        />
                        <People this is_admin/>
                        <Access this is_admin/>
                        <ServiceAccounts this is_admin/>
                        <NewPeople this team is_admin/>
                        <Quotas this/>
                    }
                })}
            </div>
        </Deck>
    }
    .into_any()
}

#[component]
fn Sub(this: ThisTeam) -> impl IntoView {
    this.members.show(1, move |members| {
        view! {
            <span>{move || members.with(|page| {
                if page.next.is_some() {
                    return words::count_of(page.items.len(), true, "member", "members");
                }
                let bots = page.items.iter().filter(|m| m.service).count();
                let people = words::count(page.items.len() - bots, "person", "people");
                if bots == 0 { people } else { format!("{people}, {}", words::count(bots, "service account", "service accounts")) }
            })}</span>
        }
    })
}
