//! Whether admins of the team can invite people without an account, and the policy behind it.

use api::{
    invitation_policy::{InvitationPolicy, Inviters},
    teams::{Team, TeamUpdate},
};
use leptos::prelude::*;
use ui::{
    data::{LiveData, client, refetched},
    parts::{ActButton, Show, Visitor, act},
};

use super::ThisTeam;

/// For the team's admins; administrators of the platform change it.
#[component]
pub fn NewPeople(this: ThisTeam, team: Signal<Team>, is_admin: Signal<bool>) -> impl IntoView {
    let (client, Visitor(account)) = (client(), expect_context());
    let policy: LiveData<InvitationPolicy> =
        refetched(&["invitation_policy"], || (), move |()| client.invitation_policy_info());
    view! {
        <Show when=move || is_admin.get()>
            <section class="sec" id="new-people" aria-labelledby="new-people-h">
                <div class="sec-h"><h2 id="new-people-h">"New users"</h2><span class="meta">"people without an account on this platform"</span></div>
                {policy.show(1, move |policy| view! {
                    <div class="card">
                        <p class="in small" role="status">{move || policy.with(|policy| describe(policy, team.with(|team| team.invites)))}</p>
                        {account.show(0, move |account| view! {
                            <Show when=move || account.with(|a| a.admin)><Allow this team policy/></Show>
                        })}
                    </div>
                })}
            </section>
        </Show>
    }
    .into_any()
}

/// Who can invite new users to a team with this `invites` flag.
fn describe(policy: &InvitationPolicy, invites: bool) -> String {
    let within = match policy.domains.is_empty() {
        true => String::new(),
        false => format!(" with an address at {}", policy.domains.join(" or ")),
    };
    match (policy.who, invites) {
        (Inviters::Domains, _) => format!("Everybody can invite people{within}."),
        (Inviters::Teams, true) => format!("Admins of this team can invite people{within} who are new to the platform."),
        (Inviters::Teams, false) => "Admins of this team can add people who already have an account. Only platform administrators can invite others.".into(),
        _ => "Only administrators of the platform can invite people who are new to it. Admins of this team can add those who already have an account.".into(),
    }
}

#[component]
fn Allow(this: ThisTeam, team: Signal<Team>, policy: Signal<InvitationPolicy>) -> impl IntoView {
    let (busy, client) = (RwSignal::new(false), client());
    let does = move || team.with(|team| team.invites);
    let turn = Callback::new(move |()| {
        let update = TeamUpdate { invites: Some(!untrack(does)), ..TeamUpdate::default() };
        let request = client.team_update(&this.name.get_untracked(), &update);
        act(busy, "Could not save the change", request, move |team| this.team.put(team));
    });
    view! {
        <div class="ft">
            <Show when=move || policy.with(|p| p.who != Inviters::Teams) fallback=|| view! { <span>"As a platform administrator, you can change this."</span> }>
                <span>"This has no effect yet: the "<a class="ul" href="/sign-in">"invitation policy"</a>" does not allow teams to invite."</span>
            </Show>
            <span class="push"></span>
            <ActButton class="btn sm".to_owned() busy on_click=turn>
                {move || if does() { "Disallow invitations by its admins" } else { "Allow invitations by its admins" }}
            </ActButton>
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_described_for_the_team() {
        let policy = |who: Inviters, domains: &[&str]| InvitationPolicy {
            who,
            domains: domains.iter().map(|d| (*d).to_owned()).collect(),
        };
        assert!(describe(&policy(Inviters::Administrators, &["a.test"]), true).starts_with("Only administrators"));
        assert!(describe(&policy(Inviters::Teams, &[]), false).contains("platform administrators"));
        assert_eq!(
            describe(&policy(Inviters::Teams, &[]), true),
            "Admins of this team can invite people who are new to the platform."
        );
        assert_eq!(
            describe(&policy(Inviters::Domains, &["a.test", "b.test"]), false),
            "Everybody can invite people with an address at a.test or b.test."
        );
    }
}
