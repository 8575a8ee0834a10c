//! Who has an account: a section of the page about sign-in, for administrators.

use api::accounts::{Account, UserUpdate};
use leptos::{either::Either, prelude::*};

use crate::{
    data::{Moving, asked, client},
    parts::{ActButton, Ago, AskFirst, Avatar, Toasts, act},
    words,
};

/// The accounts of people: who administers, who was here when, and who is kept out.
#[component]
pub fn Users() -> impl IntoView {
    let client = client();
    let other = client.clone();
    let users: Moving<Vec<Account>> = asked(|| (), move |()| client.user_list());
    let me: Moving<Account> = asked(|| (), move |()| other.account_info());
    view! {
        <section class="sec" id="accounts" aria-labelledby="accounts-h">
            <div class="sec-h"><h2 id="accounts-h">"Accounts"</h2><span class="meta">"everybody who can be let in"</span></div>
            {me.show(3, move |me| users.show(3, move |list| view! {
                <div class="tw"><table role="table" class="table">
                    <thead role="rowgroup"><tr role="row">
                        <th role="columnheader">"Name"</th><th role="columnheader">"Platform"</th>
                        <th role="columnheader" class="r">"Last seen"</th><th role="columnheader" class="act"><span class="vh">"Actions"</span></th>
                    </tr></thead>
                    <tbody role="rowgroup">
                        <For each=move || list.get() key=|u| (u.id, u.admin, u.suspended_at) let:user>
                            <User is_me=me.with_untracked(|me| me.id == user.id) user users/>
                        </For>
                    </tbody>
                </table></div>
            }))}
        </section>
    }
    .into_any()
}

#[component]
fn User(user: Account, is_me: bool, users: Moving<Vec<Account>>) -> impl IntoView {
    let busy = RwSignal::new(false);
    let (client, toasts, id) = (client(), Toasts::of_page(), user.id.to_string());
    let (admin, suspended) = (user.admin, user.suspended_at.is_some());
    let change = Callback::new(move |update: UserUpdate| {
        act(busy, "The account was not changed", client.user_update(&id, &update), move |changed| {
            toasts.done(format!("{} is changed", changed.email));
            users.again();
        });
    });
    let to_admin = Callback::new(move |()| change.run(UserUpdate { admin: Some(!admin), ..UserUpdate::default() }));
    let to_suspended =
        Callback::new(move |()| change.run(UserUpdate { suspended: Some(!suspended), ..UserUpdate::default() }));
    let email = user.email.clone();
    view! {
        <tr role="row">
            <td role="cell" class="w"><span class="row g3">
                <Avatar who=user.email.clone() large=true/>
                <span style="min-width:0">
                    <span class="name">{user.name.clone().unwrap_or_else(|| words::who(&user.email))}</span>
                    <span class="meta" style="display:block">{user.email.clone()}</span>
                </span>
            </span></td>
            <td role="cell" data-l="platform">
                {if admin { "administrator" } else { "" }}
                {suspended.then(|| view! { <span class="chip line">"suspended"</span> })}
            </td>
            <td role="cell" class="dim r" data-l="last seen">{match user.last_login {
                Some(at) => Either::Left(view! { <Ago at=at/> }),
                None => Either::Right("never"),
            }}</td>
            <td role="cell" class="act">{(!is_me).then(|| view! { <Changes email admin suspended busy to_admin to_suspended/> })}</td>
        </tr>
    }
    .into_any()
}

/// What can be changed of somebody else's account. What gives much, or takes it, is asked first.
#[component]
fn Changes(
    email: String,
    admin: bool,
    suspended: bool,
    busy: RwSignal<bool>,
    to_admin: Callback<()>,
    to_suspended: Callback<()>,
) -> impl IntoView {
    let of = email.clone();
    let keeps_out = vec![
        format!("{email} is not let in any more: sessions, tokens and open streams end at once"),
        "Nothing of theirs is removed, and they can be let in again".into(),
    ];
    let (verb, question) = match admin {
        true => ("Remove as administrator", format!("Shall {email} no longer administer the platform?")),
        false => ("Make administrator", format!("Make {email} an administrator of the platform?")),
    };
    let administers = vec![match admin {
        true => format!("{email} sees and changes only what their teams and apps let them"),
        false => format!("{email} may see and change everything on this platform, and let others in"),
    }];
    view! {
        <AskFirst verb what=email.clone() question effects=administers busy on_click=to_admin/>
        {match suspended {
            true => Either::Left(view! { <ActButton class="btn gho sm".to_owned() busy on_click=to_suspended>"Let in"<span class="vh">" "{of}</span></ActButton> }),
            false => Either::Right(view! { <AskFirst verb="Suspend" what=email effects=keeps_out busy on_click=to_suspended/> }),
        }}
    }
    .into_any()
}
