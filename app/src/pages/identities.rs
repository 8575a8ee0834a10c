//! By whom one's own account is vouched for: a section of the account page.

use api::identities::Identity;
use leptos::prelude::*;

use crate::{
    data::{Moving, client, kept},
    parts::{Ago, AskFirst, Each, Icon, Show, act},
};

/// The accounts at providers that sign this one in.
#[component]
pub fn Identities() -> impl IntoView {
    let client = client();
    let identities: Moving<Vec<Identity>> = kept(|| (), move |()| client.identity_list());
    view! {
        <section class="sec" id="identities" aria-labelledby="identities-h">
            <div class="sec-h"><h2 id="identities-h">"Sign-in"</h2><span class="meta">"accounts elsewhere that sign you in here"</span></div>
            {identities.show(1, move |list| view! {
                <div class="card"><ul class="list small" style="padding-inline:16px">
                    <Each each=move || list.get() key=|i| i.id let:identity><IdentityRow identity identities/></Each>
                    <Show when=move || list.with(Vec::is_empty)>
                        <li class="row dim">"None yet. One is linked when you sign in through a provider that has verified the address of this account."</li>
                    </Show>
                </ul></div>
            })}
        </section>
    }
    .into_any()
}

#[component]
fn IdentityRow(identity: Identity, identities: Moving<Vec<Identity>>) -> impl IntoView {
    let (busy, client, id) = (RwSignal::new(false), client(), identity.id);
    let unlink = Callback::new(move |()| {
        act(busy, "The account was not unlinked", client.identity_delete(&id.to_string()), move |_| identities.again());
    });
    let effects = vec![
        format!("{} signs you in here no more, until you sign in through it again", identity.title),
        "What only its rules gave is taken back: places in teams, and the administration of the platform".into(),
    ];
    view! {
        <li class="row wrap g3">
            <Icon name="shield"/>
            <span class="name">{identity.title.clone()}</span>
            <span class="meta">{identity.email}</span>
            <span class="push meta">"used "<Ago at=identity.last_used_at/></span>
            <AskFirst verb="Unlink" what=format!("the account at {}", identity.title) effects busy on_click=unlink/>
        </li>
    }
    .into_any()
}
