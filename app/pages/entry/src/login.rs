//! Sign in: through a provider, with password and code, or with a one-time link. Works without scripts.

use accounts::{
    passwords::{PasswordForm, REFUSED},
    refusals::message,
};
use api::{
    client::segment,
    identity_providers::ProviderKind,
    sign_in::{SignInOptions, SignInProvider},
};
use leptos::{either::Either, prelude::*};
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use ui::{
    data::{client, fetched},
    parts::{Cmd, Glyph, Icon},
};

/// The description of `next`; `None` if it is not a page of the console. Links to this page can come from
/// anywhere and must not be able to put text on it.
fn destination(next: &str) -> Option<&'static str> {
    let path = next.split(['?', '#']).next()?.strip_prefix('/')?;
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["apps"] => Some("the apps"),
        ["apps", "new"] => Some("a new app"),
        ["apps", app, ..] if !app.is_empty() => Some("a page of an app"),
        ["teams", ..] => Some("your teams"),
        ["account"] => Some("your account"),
        ["platform" | "sign-in" | "audit"] => Some("the platform"),
        ["oauth", "authorize"] => Some("the application that requests access"),
        _ => None,
    }
}

/// `/login`, also with the reason of a failed sign-in: `/login?error=…`.
#[component]
pub fn LoginPage() -> impl IntoView {
    let client = client();
    let options = fetched(|| (), move |()| client.sign_in_options());
    view! {
        <Title text="Sign in"/>
        <div class="login">
            <main id="main">{options.show(6, |options| view! { <Ways options=options.get_untracked()/> })}</main>
            <Harbour/>
        </div>
    }
    .into_any()
}

#[component]
fn Ways(options: SignInOptions) -> impl IntoView {
    let query = use_query_map().get_untracked();
    let (next, error) = (query.get("next").filter(|next| !next.is_empty()), query.get("error"));
    let title = query.get("provider").and_then(|name| options.providers.iter().find(|p| p.name == name));
    let title = title.map_or("the provider".to_owned(), |provider| provider.title.clone());
    let mut domains: Vec<String> = options.providers.iter().flat_map(|p| p.domains.clone()).collect();
    domains.sort();
    domains.dedup();
    let (has_buttons, has_password) = (!options.providers.is_empty(), options.password);
    let refused = RwSignal::new(error.map(|why| message(&why, &title)));
    let lead = match (has_buttons, has_password) {
        (true, _) => "Use your team's identity provider.",
        (false, true) => "Use your password and a code, or a one-time link.",
        (false, false) => "Use a one-time link. No password needed.",
    };
    let there = next.as_deref().and_then(destination);
    let on = next.clone().unwrap_or_default();
    view! {
        <div class="lbox">
            <div class="stack g3">
                <span class="logo"><Icon name="logo"/></span>
                <h1 style="font-size:1.5rem">"Sign in to Wharf"</h1>
                <p class="dim small">{lead}
                    {there.filter(|_| has_buttons || has_password).map(|there| format!(" You will return to {there}."))}
                </p>
            </div>
            {move || refused.get().map(|why| view! {
                <div class="notes" role="alert" id=REFUSED tabindex="-1" autofocus><div class="note bad"><Glyph name="bad"/><span>{why}</span></div></div>
            })}
            <div class="card" style="box-shadow:var(--shadow-2)">
                {has_buttons.then(|| view! { <div class="in stack g2"><Buttons providers=options.providers.clone() next=next.clone()/></div> })}
                {has_password.then(|| view! {
                    <div class="in" style=has_buttons.then_some("border-top:1px solid var(--line)")><PasswordForm next=next.clone() is_first=!has_buttons refused/></div>
                })}
                <div class="in" style=(has_buttons || has_password).then_some("border-top:1px solid var(--line)")>
                    {if has_buttons || has_password {
                        Either::Left(view! { <details class="small"><summary style="cursor:pointer" class="dim">"Use a one-time link"</summary><div style="padding-top:8px"><ByLink/></div></details> })
                    } else {
                        Either::Right(view! { <ByLink/> })
                    }}
                </div>
            </div>
            <p class="meta">{match (has_buttons || has_password, domains.is_empty()) {
                (true, false) => format!("New here? Ask an administrator for an invitation, or sign in with an address at {}.", domains.join(" or ")),
                (true, true) => "New here? Ask an administrator for an invitation.".to_owned(),
                (false, _) => "Already signed in on another browser? Create a link for this one on its account page.".to_owned(),
            }}</p>
            {there.map(|there| view! { <p class="meta">"Already signed in here? "<a class="ul" rel="external" href=on>"Continue to "{there}</a></p> })}
        </div>
    }
    .into_any()
}

#[component]
fn Buttons(providers: Vec<SignInProvider>, next: Option<String>) -> impl IntoView {
    let next = next.map(|next| format!("?next={}", segment(&next))).unwrap_or_default();
    providers
        .into_iter()
        .enumerate()
        .map(|(at, provider)| {
            let icon = match provider.kind {
                ProviderKind::GitHub => "branch",
                ProviderKind::GitLab => "fork",
                ProviderKind::Google => "globe",
                _ => "shield",
            };
            // These are handled by the server, not by pages.
            view! {
                <a class=if at == 0 { "btn pri" } else { "btn" } rel="external" href=format!("/login/oauth/{}{next}", segment(&provider.name))>
                    <Icon name=icon/>"Continue with "{provider.title}
                </a>
            }
        })
        .collect_view()
        .into_any()
}

#[component]
fn ByLink() -> impl IntoView {
    view! {
        <div class="stack g3 small">
            <p>"On the machine running Wharf, print a link and open it in this browser:"</p>
            <Cmd line="wharfd login-link".to_owned()/>
            <p class="meta">"It works once and is valid for 30 minutes. Starting the platform prints one too."</p>
        </div>
    }
    .into_any()
}

/// Water below a pier: the only illustration in the console.
#[component]
fn Harbour() -> impl IntoView {
    let wave = |y: f64| {
        let mut path = format!("M-80 {y}");
        for _ in 0..20 {
            path.push_str(" q20 -8 40 0 t40 0");
        }
        path
    };
    view! {
        <svg class="harbour" viewBox="0 0 1440 360" preserveAspectRatio="xMaxYMax slice" aria-hidden="true">
            <g fill="none" stroke="var(--accent-line)" stroke-width="1.5">
                {(0..9).map(|i| view! {
                    <path d=wave(170.0 + f64::from(i) * 22.0) transform=format!("translate({} 0)", -(i * 37) % 80) opacity=format!("{:.2}", 0.95 - f64::from(i) * 0.09)></path>
                }).collect_view()}
            </g>
            <g stroke="var(--accent-fill)" fill="none">
                <path d="M940 72H1440" stroke-width="9"></path>
                {(0..7).map(|i| {
                    let x = if i == 0 { 980 } else { 980 + i * 66 };
                    view! { <path d=format!("M{x} 76V{}", 168 + i * 9) stroke-width="7"></path> }
                }).collect_view()}
            </g>
        </svg>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::destination;

    #[test]
    fn text_from_the_url_is_not_shown() {
        assert_eq!(destination("/apps/shop/logs?q=1"), Some("a page of an app"));
        assert_eq!(destination("/account"), Some("your account"));
        assert_eq!(destination("/apps/call-0900-1234-to-unlock"), Some("a page of an app"));
        for hostile in
            ["//evil.test/apps", "/\\evil.test", "https://evil.test/apps", "/your-account-is-locked", "/", ""]
        {
            assert_eq!(destination(hostile), None, "{hostile}");
        }
    }
}
