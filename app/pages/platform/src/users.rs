//! All accounts: a section of the sign-in settings, for administrators.

use api::{
    accounts::{Account, UserUpdate},
    client::Page,
};
use leptos::{either::Either, prelude::*};
use ui::{
    data::{LiveData, client, paged, refetched},
    parts::{ActButton, Ago, Avatar, ConfirmDialog, Each, Pager, Toasts, act},
    words,
};

use super::user::page_of_user;

/// The accounts of people: administrators, last seen, and suspensions.
#[component]
pub fn Users() -> impl IntoView {
    let client = client();
    let other = client.clone();
    let users: LiveData<Page<Account>> = paged(
        "accounts",
        &["account", "identity", "password", "session", "team_invitation", "team_member"],
        || (),
        move |(), after| client.user_page(after),
    );
    let me: LiveData<Account> = refetched(&["account"], || (), move |()| other.account_info());
    view! {
        <section class="sec" id="accounts" aria-labelledby="accounts-h">
            <div class="sec-h"><h2 id="accounts-h">"Accounts"</h2><span class="meta">"select a name for sign-in methods and quotas"</span></div>
            {me.show(3, move |me| users.show(3, move |list| view! {
                <div class="tw"><table role="table" class="table">
                    <thead role="rowgroup"><tr role="row">
                        <th role="columnheader">"Name"</th><th role="columnheader">"Platform"</th>
                        <th role="columnheader" class="r">"Last seen"</th><th role="columnheader" class="act"><span class="vh">"Actions"</span></th>
                    </tr></thead>
                    <tbody role="rowgroup">
                        <Each each=move || list.with(|p| p.items.clone()) key=|u| (u.id, u.admin, u.suspended_at) let:user>
                            <User is_me=me.with_untracked(|me| me.id == user.id) user users/>
                        </Each>
                    </tbody>
                </table></div>
                <Pager name="accounts" what="accounts" next=Signal::derive(move || list.with(|p| p.next.clone()))/>
            }))}
        </section>
    }
    .into_any()
}

#[component]
fn User(user: Account, is_me: bool, users: LiveData<Page<Account>>) -> impl IntoView {
    let is_retired = user.retired_at.is_some();
    let (admin, suspended, has_password) = (user.admin, user.suspended_at.is_some(), user.two_factor_authentication);
    view! {
        <tr role="row">
            <td role="cell" class="w"><span class="row g3">
                <Avatar who=user.email.clone() large=true/>
                <span style="min-width:0">
                    <a class="name" href=page_of_user(&user.email)>{user.name.clone().unwrap_or_else(|| words::who(&user.email))}</a>
                    <span class="meta" style="display:block">{user.email.clone()}</span>
                </span>
            </span></td>
            <td role="cell" class="full-s" data-l="platform"><span class="row wrap" style="display:inline-flex">
                {match (admin, suspended || has_password || is_retired) {
                    (true, _) => "administrator",
                    (false, true) => "",
                    (false, false) => "–",
                }}
                {suspended.then(|| view! { <span class="chip line">"suspended"</span> })}
                {is_retired.then(|| view! { <span class="chip line">"removed service account"</span> })}
                {has_password.then(|| view! { <span class="chip line">"password"</span> })}
            </span></td>
            <td role="cell" class="dim r full-s" data-l="last seen">{match user.last_login {
                Some(at) => Either::Left(view! { <Ago at=at/> }),
                None => Either::Right("never"),
            }}</td>
            <td role="cell" class="act many">{(!is_me && !is_retired).then(|| view! { <Changes user users/> })}</td>
        </tr>
    }
    .into_any()
}

/// Changes to somebody else's account. Far-reaching ones require confirmation.
#[component]
fn Changes(user: Account, users: LiveData<Page<Account>>) -> impl IntoView {
    let busy = RwSignal::new(false);
    let (client, toasts, id) = (client(), Toasts::of_page(), user.id.to_string());
    let (admin, suspended, email) = (user.admin, user.suspended_at.is_some(), user.email);
    let (other, of_user) = (client.clone(), id.clone());
    let change = Callback::new(move |update: UserUpdate| {
        act(busy, "Could not change the account", client.user_update(&id, &update), move |changed| {
            toasts.done(format!("{} changed", changed.email));
            users.refetch();
        });
    });
    let to_admin = Callback::new(move |()| change.run(UserUpdate { admin: Some(!admin), ..UserUpdate::default() }));
    let to_suspended =
        Callback::new(move |()| change.run(UserUpdate { suspended: Some(!suspended), ..UserUpdate::default() }));
    let no_password = Callback::new(move |()| {
        act(busy, "Could not remove the password", other.user_password_delete(&of_user), move |_| users.refetch());
    });
    let (verb, question, gives) = administration(&email, admin);
    let loses = vec![format!("{email} has to use another sign-in method, or set a new password")];
    let keeps_out = vec![
        format!("{email} can no longer sign in: sessions, tokens and open streams end immediately"),
        "Nothing is deleted, and the suspension can be lifted".into(),
    ];
    let of = email.clone();
    view! {
        {user.two_factor_authentication.then(|| view! {
            <ConfirmDialog verb="Remove password" what=format!("of {of}") effects=loses busy on_click=no_password/>
        })}
        <ConfirmDialog verb what=of.clone() question effects=vec![gives] busy on_click=to_admin/>
        {match suspended {
            true => Either::Left(view! { <ActButton class="btn gho sm".to_owned() busy on_click=to_suspended>"Lift suspension"<span class="vh">" of "{email}</span></ActButton> }),
            false => Either::Right(view! { <ConfirmDialog verb="Suspend" what=email effects=keeps_out busy on_click=to_suspended/> }),
        }}
    }
    .into_any()
}

/// The button and confirmation to grant or revoke administrator rights.
fn administration(email: &str, has_it: bool) -> (&'static str, String, String) {
    match has_it {
        true => (
            "Revoke administrator rights",
            format!("Revoke administrator rights of {email}?"),
            format!("{email} keeps only the access granted by their teams and apps"),
        ),
        false => (
            "Make administrator",
            format!("Make {email} an administrator of the platform?"),
            format!("{email} can see and change everything on this platform, and decide who can sign in"),
        ),
    }
}
