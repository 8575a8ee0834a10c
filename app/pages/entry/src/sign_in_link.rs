//! The page of a one-time link: the account, and the button that signs in. Works without scripts.
//!
//! Opening the page has no effect. Submitting its form uses up the secret; the API accepts it only from this page.

use api::{client::segment, sessions::SignInLinkInfo};
use leptos::{either::Either, prelude::*};
use leptos_meta::Title;
use leptos_router::hooks::use_params_map;
use ui::{
    Answer,
    data::{LiveData, client, fetched},
    parts::{Glyph, Icon},
};

/// `/login/:secret`
#[component]
pub fn SignInLinkPage() -> impl IntoView {
    let client = client();
    let secret = use_params_map().with_untracked(|params| params.get("secret").unwrap_or_default());
    let action = format!("/login/{}", segment(&secret));
    // An invalid link is not an error of the page.
    let link: LiveData<Option<SignInLinkInfo>> =
        fetched(|| (), move |()| client.sign_in_link_info(&secret).or(|err| err.status == 404, "null"));
    view! {
        <Title text="Sign in"/>
        <div class="login"><main id="main"><div class="lbox">
            {link.show(4, move |link| match link.get_untracked() {
                Some(link) => Either::Left(view! { <Offer link action=action.clone()/> }),
                None => Either::Right(view! { <InvalidLink/> }),
            })}
        </div></main></div>
    }
    .into_any()
}

#[component]
fn Offer(link: SignInLinkInfo, action: String) -> impl IntoView {
    let SignInLinkInfo { email, signed_in_as, .. } = link;
    let here = signed_in_as.map(|now| {
        if now == email {
            Either::Left(view! {
                <div class="note info"><Glyph name="info"/><span>"This browser is already signed in as "<b>{now}</b>". "<a class="ul" href="/apps" rel="external">"Go to apps"</a></span></div>
            })
        } else {
            Either::Right(view! {
                <div class="note warn"><Glyph name="warn"/><span>"This browser is signed in as "<b>{now}</b>". Continuing ends that session."</span></div>
            })
        }
    });
    view! {
        <div class="stack g3">
            <span class="logo"><Icon name="logo"/></span>
            <h1 style="font-size:1.5rem">"Sign in to Wharf"</h1>
            <p class="dim small">"This link signs you in on this browser as "<b style="overflow-wrap:anywhere">{email.clone()}</b>". It works once."</p>
        </div>
        {here.map(|note| view! { <div class="notes">{note}</div> })}
        <form class="card" method="post" action=action style="box-shadow:var(--shadow-2)">
            <div class="in stack g2">
                <button class="btn pri" type="submit"><Icon name="user" size="i-s"/><span class="clip" style="line-height:1.6">"Sign in as "{email}</span></button>
            </div>
        </form>
        <p class="meta">"If somebody else sent you this link and this is not your account, close the page. You have not been signed in."</p>
    }
    .into_any()
}

#[component]
fn InvalidLink() -> impl IntoView {
    Answer::with(404);
    view! {
        <div class="stack g3">
            <span class="logo"><Icon name="logo"/></span>
            <h1 style="font-size:1.5rem">"This link is not valid"</h1>
            <p class="dim small" role="alert">"It may have expired or already been used: a link works once and is valid for 30 minutes."</p>
        </div>
        <div><a class="btn" href="/login" rel="external">"Other ways to sign in"</a></div>
    }
    .into_any()
}
