//! Quotas, for administrators: the defaults, and those of one account or team.

mod change;

use api::quotas::Quota;
use leptos::{either::Either, prelude::*};
use leptos_router::hooks::use_query_map;
use ui::{
    data::{LiveData, client, refetched},
    nouns,
    parts::{Cmd, Crumb, Deck, Icon, PageHead},
};

use self::change::ChangeQuotas;

/// The owner of the quotas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The defaults.
    Everybody,
    /// An account, by email address.
    User(String),
    /// A team, by name.
    Team(String),
}

impl Whose {
    /// Parses an email address or team name; `None` if empty.
    fn named(text: &str) -> Option<Self> {
        let text = text.trim().to_owned();
        match text.contains('@') {
            _ if text.is_empty() => None,
            true => Some(Self::User(text)),
            false => Some(Self::Team(text)),
        }
    }
}

/// `/quotas`, and with those of one account or team: `/quotas?of=…`
#[component]
pub fn QuotasPage() -> impl IntoView {
    let first = client();
    let everybodys: LiveData<Vec<Quota>> = refetched(nouns::ANYTHING, || (), move |()| first.quota_list());
    view! {
        <Deck title="Quotas".to_owned() crumbs=vec![Crumb::here("Quotas")]>
            <div class="page">
                <PageHead title=|| "Quotas" sub=|| view! { <span>"Limits for accounts and teams. Lowering a quota removes nothing; it only prevents additions."</span> }/>
                <section class="sec" aria-labelledby="everybody-h">
                    <div class="sec-h"><h2 id="everybody-h">"Defaults"</h2><span class="meta">"for everybody without individual quotas; administrators have none on their own apps"</span></div>
                    {everybodys.show(6, move |now| view! { <ChangeQuotas whose=Whose::Everybody quotas=everybodys now/> })}
                </section>
                <OfOne/>
            </div>
        </Deck>
    }
    .into_any()
}

/// Looks up an account or team and shows its quotas. It is part of the URL, so that this works without scripts.
#[component]
fn OfOne() -> impl IntoView {
    let query = use_query_map();
    let requested = Memo::new(move |_| query.with(|q| q.get("of").unwrap_or_default()));
    view! {
        <section class="sec" id="of" aria-labelledby="of-h">
            <div class="sec-h"><h2 id="of-h">"For one account or team"</h2></div>
            <form class="card" method="get" action="/quotas" aria-label="Look up quotas"><div class="in row wrap g4" style="align-items:flex-end">
                <div class="field" style="flex:1 1 260px">
                    <label for="quotas-of">"Email address or team name"</label>
                    <input class="input" id="quotas-of" name="of" autocomplete="off" autocapitalize="none" spellcheck="false" required
                        value=move || requested.get() prop:value=move || requested.get()/>
                </div>
                <button class="btn" type="submit"><Icon name="search" size="i-s"/>"Show"</button>
            </div></form>
            {move || match Whose::named(&requested.get()) {
                Some(whose) => Either::Left(view! { <Theirs whose/> }),
                None => Either::Right(view! { <Cmd line="wharf quotas:set apps=20 memory_mb=8GB --team TEAM".to_owned()/> }),
            }}
        </section>
    }
    .into_any()
}

#[component]
fn Theirs(whose: Whose) -> impl IntoView {
    let (client, requested) = (client(), whose.clone());
    let quotas: LiveData<Vec<Quota>> = refetched(
        nouns::ANYTHING,
        || (),
        move |()| match &requested {
            Whose::Everybody => client.quota_list(),
            Whose::User(user) => client.user_quota_list(user),
            Whose::Team(team) => client.team_quota_list(team),
        },
    );
    let title = match &whose {
        Whose::User(user) => user.clone(),
        Whose::Team(team) => format!("The team {team}"),
        Whose::Everybody => String::new(),
    };
    view! {
        <h3 style="overflow-wrap:anywhere">{title}</h3>
        {quotas.show(6, move |now| view! { <ChangeQuotas whose=whose.clone() quotas now/> })}
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_users_and_names_are_teams() {
        assert_eq!(Whose::named(" ada@acme.test "), Some(Whose::User("ada@acme.test".into())));
        assert_eq!(Whose::named("crew"), Some(Whose::Team("crew".into())));
        assert_eq!(Whose::named("  "), None);
    }
}
