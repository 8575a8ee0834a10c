//! The quotas of the team and their usage.

use accounts::quotas::{QuotaTable, page_of};
use api::quotas::Quota;
use leptos::prelude::*;
use ui::{
    data::{LiveData, client, refetched},
    nouns,
    parts::{Show, Visitor},
};

use super::ThisTeam;

/// For all members; platform administrators change them on another page.
#[component]
pub fn Quotas(this: ThisTeam) -> impl IntoView {
    let (client, Visitor(account)) = (client(), expect_context());
    let quotas: LiveData<Vec<Quota>> =
        refetched(nouns::ANYTHING, move || this.name.get(), move |team: String| client.team_quota_list(&team));
    view! {
        <section class="sec" id="quotas" aria-labelledby="quotas-h">
            <div class="sec-h"><h2 id="quotas-h">"Quotas"</h2><span class="meta">"for all apps of the team together"</span>
                {account.show(0, move |account| view! {
                    <Show when=move || account.with(|a| a.admin)>
                        <a class="push small ul" href=move || page_of(&this.name.get())>"Change"<span class="vh">" quotas of the team"</span></a>
                    </Show>
                })}
            </div>
            {quotas.show(6, |now| view! { <QuotaTable now/> })}
        </section>
    }
    .into_any()
}
