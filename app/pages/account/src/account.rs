//! The user's own account: tokens, sessions and appearance.

use accounts::{
    created_token::CreatedToken,
    identities::Identities,
    passwords::Passwords,
    quotas::{QuotaTable, page_of},
    token_fields::{Chosen, TokenFields},
};
use api::{authorizations::Authorization, client::Page, passwords::Password, quotas::Quota, sessions::Session};
use leptos::{either::Either, prelude::*};
use ui::{
    data::{LiveData, client, paged, refetched},
    nouns,
    parts::{
        ActButton, Ago, Cmd, CopyButton, Crumb, Deck, Each, Icon, PageHead, Pager, Show, Toasts, Visitor, act, dom,
        theme,
    },
    words,
};

use crate::oauth_clients::OauthClients;

/// `/account`
#[component]
pub fn AccountPage() -> impl IntoView {
    let Visitor(account) = expect_context();
    let first = client();
    let password: LiveData<Password> =
        refetched(&["password", "password_policy", "account", "identity"], || (), move |()| first.password_info());
    view! {
        <Deck title="Account".to_owned() crumbs=vec![Crumb::here("Account")]>
            <div class="page">
                {account.show(1, |account| view! {
                    <PageHead
                        title=move || view! { {move || account.with(|a| a.name.clone().unwrap_or_else(|| words::who(&a.email)))} }
                        sub=move || view! {
                            <span>{move || account.with(|a| a.email.clone())}</span>
                            {move || account.with(|a| a.admin).then(|| view! { <span class="chip line">"Administrator"</span> })}
                        }
                        acts=|| view! {
                            <form method="post" action="/logout"><button class="btn" type="submit"><Icon name="out" size="i-s"/>"Sign out"</button></form>
                        }
                    />
                })}
                <Identities password/>
                <Passwords password/>
                <Sessions/>
                <Tokens/>
                <OauthClients/>
                <Quotas/>
                <Appearance/>
            </div>
        </Deck>
    }
    .into_any()
}

#[component]
fn Tokens() -> impl IntoView {
    let client = client();
    let tokens: LiveData<Page<Authorization>> = paged(
        "tokens",
        &["authorization", "token", "oauth_client", "consent", "session", "account"],
        || (),
        move |(), after| client.authorization_page(after),
    );
    let made = RwSignal::new(None::<Authorization>);
    view! {
        <section class="sec" id="tokens" aria-labelledby="tokens-h">
            <div class="sec-h"><h2 id="tokens-h">"API tokens"</h2><span class="meta">"for git, the command line and other programs"</span></div>
            <CreatedToken made title=|token| format!("Token for {}", token.description)/>
            {tokens.show(3, move |list| view! {
                <div class="card">
                    <div class="tw"><table role="table" class="table">
                        <thead role="rowgroup"><tr role="row">
                            <th role="columnheader">"Description"</th><th role="columnheader">"Token"</th><th role="columnheader">"Scope"</th><th role="columnheader">"Created"</th><th role="columnheader">"Expires"</th>
                            <th role="columnheader">"Last used"</th><th role="columnheader" class="act"><span class="vh">"Actions"</span></th>
                        </tr></thead>
                        <tbody role="rowgroup">
                            <Each each=move || list.with(|p| p.items.clone()) key=|t| (t.id, t.last_used_at) let:token><TokenRow token tokens/></Each>
                        </tbody>
                    </table></div>
                    <NewToken tokens made/>
                </div>
                <Pager name="tokens" what="tokens" next=Signal::derive(move || list.with(|p| p.next.clone()))/>
            })}
            <p class="meta">"The command line creates its own:"</p>
            <Cmd line="wharf login".to_owned()/>
        </section>
    }
    .into_any()
}

#[component]
fn TokenRow(token: Authorization, tokens: LiveData<Page<Authorization>>) -> impl IntoView {
    let clock = ui::clock::Clock::of_page();
    let busy = RwSignal::new(false);
    let client = client();
    let toasts = Toasts::of_page();
    let id = token.id;
    let reach = token.reach();
    let revoke = Callback::new(move |()| {
        act(busy, "Could not revoke the token", client.authorization_delete(&id.to_string()), move |gone| {
            tokens.refetch();
            toasts.done(format!("Token for {} revoked", gone.description));
        });
    });
    view! {
        <tr role="row">
            <td role="cell" class="w name">{token.description.clone()}{token.client.map(|_| view! { " "<span class="chip line">"OAuth client"</span> })}</td>
            <td role="cell" class="sha">{token.access_token.map(|t| t.token)}</td>
            <td role="cell" class="dim" data-l="scope">{reach}</td>
            <td role="cell" class="dim" data-l="created"><Ago at=token.created_at/></td>
            <td role="cell" class="dim" data-l="expires">{match token.expires_at {
                Some(at) => Either::Left(view! { <time datetime=at.to_rfc3339() title=words::exact(at)>{move || words::date(at, clock)}</time> }),
                None => Either::Right("no expiry"),
            }}</td>
            <td role="cell" class="dim" data-l="last used">{match token.last_used_at {
                Some(at) => Either::Left(view! { <Ago at=at/> }),
                None => Either::Right("never"),
            }}</td>
            <td role="cell" class="act"><ActButton class="btn gho sm dgr".to_owned() busy on_click=revoke>"Revoke"<span class="vh">" the token for "{token.description}</span></ActButton></td>
        </tr>
    }
    .into_any()
}

#[component]
fn NewToken(tokens: LiveData<Page<Authorization>>, made: RwSignal<Option<Authorization>>) -> impl IntoView {
    let name = RwSignal::new(String::new());
    let chosen = Chosen::usual();
    let busy = RwSignal::new(false);
    let client = client();
    let make = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let description =
            Some(name.get_untracked().trim().to_owned()).filter(|n| !n.is_empty()).unwrap_or_else(|| "console".into());
        let create = chosen.create(description);
        act(busy, "Could not create the token", client.authorization_create(&create), move |token| {
            made.set(Some(token));
            name.set(String::new());
            tokens.refetch();
        });
    };
    view! {
        <form class="ft" on:submit=make>
            <label class="vh" for="token-for">"Description of the token"</label>
            <input class="input sm" style="flex:1 1 200px" id="token-for" placeholder="Description, e.g. laptop" prop:value=move || name.get() on:input=move |ev| name.set(event_target_value(&ev))/>
            <TokenFields chosen of="the token" everything=true/>
            <button class="btn sm" type="submit" aria-busy=move || busy.get().to_string()><Icon name="plus" size="i-s"/>"New token"</button>
        </form>
    }
    .into_any()
}

#[component]
fn Sessions() -> impl IntoView {
    let client = client();
    let sessions: LiveData<Page<Session>> =
        paged("sessions", &["session", "password", "account"], || (), move |(), after| client.session_page(after));
    view! {
        <section class="sec" id="sessions" aria-labelledby="sessions-h">
            <div class="sec-h"><h2 id="sessions-h">"Sessions"</h2><span class="meta">"signed-in browsers"</span></div>
            {sessions.show(2, move |list| view! {
                <div class="card">
                    <ul class="list small">
                        <Each each=move || list.with(|p| p.items.clone()) key=|s| s.id let:session><SessionRow session sessions/></Each>
                    </ul>
                    <Show when=move || list.with(|p| p.items.iter().any(|s| !s.current) || p.next.is_some())><EndOthers sessions/></Show>
                    <SignInLink/>
                </div>
                <Pager name="sessions" what="sessions" next=Signal::derive(move || list.with(|p| p.next.clone()))/>
            })}
        </section>
    }
    .into_any()
}

/// `Firefox on Linux`, from a user agent; its first words for other programs.
fn browser(agent: &str) -> String {
    let has = |word: &&(&str, &str)| agent.contains(word.0);
    let program = [("Firefox/", "Firefox"), ("Edg/", "Edge"), ("Chrome/", "Chrome"), ("Safari/", "Safari")];
    let system =
        [("Android", "Android"), ("iPhone", "iPhone"), ("Windows", "Windows"), ("Mac OS", "macOS"), ("Linux", "Linux")];
    match (program.iter().find(has), system.iter().find(has)) {
        (Some((_, program)), Some((_, system))) => format!("{program} on {system}"),
        _ => agent.chars().take(40).collect(),
    }
}

#[component]
fn SessionRow(session: Session, sessions: LiveData<Page<Session>>) -> impl IntoView {
    let busy = RwSignal::new(false);
    let client = client();
    let id = session.id;
    let end = Callback::new(move |()| {
        act(busy, "Could not end the session", client.session_delete(&id.to_string()), move |_| sessions.refetch());
    });
    view! {
        <li class="row wrap g3">
            <Icon name="globe"/>
            <span class="name" title=session.user_agent.clone()>{session.user_agent.as_deref().map_or("Unknown browser".into(), browser)}</span>
            {session.current.then(|| view! { <span class="chip ok">"this browser"</span> })}
            <span class="meta">{session.address.clone()}</span>
            <span class="push meta">"seen "<Ago at=session.last_seen_at/></span>
            {(!session.current).then(|| view! { <ActButton class="btn gho sm dgr".to_owned() busy on_click=end>"End"<span class="vh">" this session"</span></ActButton> })}
        </li>
    }
    .into_any()
}

#[component]
fn EndOthers(sessions: LiveData<Page<Session>>) -> impl IntoView {
    let (busy, client, toasts) = (RwSignal::new(false), client(), Toasts::of_page());
    let end = Callback::new(move |()| {
        act(busy, "Could not end the sessions", client.session_delete_others(), move |_| {
            sessions.refetch();
            toasts.done("All other browsers have been signed out");
        });
    });
    view! {
        <div class="ft">
            <span>"Unrecognised or forgotten browser?"</span>
            <span class="push"></span>
            <ActButton class="btn sm".to_owned() busy on_click=end><Icon name="out" size="i-s"/>"End all other sessions"</ActButton>
        </div>
    }
    .into_any()
}

#[component]
fn SignInLink() -> impl IntoView {
    let busy = RwSignal::new(false);
    let link = RwSignal::new(None::<String>);
    let client = client();
    let make = Callback::new(move |()| {
        act(busy, "Could not create the link", client.sign_in_link_create(), move |made| {
            link.try_set(Some(made.url));
        });
    });
    view! {
        <div class="ft">
            {move || match link.get() {
                Some(url) => Either::Left(view! {
                    <div class="cmd" style="flex:1"><code tabindex="0">{url.clone()}</code><CopyButton text=url label="Copy link"/></div>
                    <span>"Works once, in one browser."</span>
                }),
                None => Either::Right(view! {
                    <span>"A one-time link signs you in on another browser."</span>
                    <span class="push"></span>
                    <ActButton class="btn sm".to_owned() busy on_click=make><Icon name="link" size="i-s"/>"Create a sign-in link"</ActButton>
                }),
            }}
        </div>
    }
    .into_any()
}

/// The user's own quotas, without those of teams.
#[component]
fn Quotas() -> impl IntoView {
    let (client, Visitor(account)) = (client(), expect_context());
    let quotas: LiveData<Vec<Quota>> = refetched(nouns::ANYTHING, || (), move |()| client.user_quota_list("~"));
    view! {
        <section class="sec" id="quotas" aria-labelledby="quotas-h">
            <div class="sec-h"><h2 id="quotas-h">"Quotas"</h2><span class="meta">"for your own apps; team apps count towards the team's quotas"</span>
                {account.show(0, |account| view! {
                    <Show when=move || account.with(|a| a.admin)>
                        <a class="push small ul" href=move || account.with(|a| page_of(&a.email))>"Change"<span class="vh">" your quotas"</span></a>
                    </Show>
                })}
            </div>
            {quotas.show(6, |now| view! { <QuotaTable now/> })}
        </section>
    }
    .into_any()
}

#[component]
fn Appearance() -> impl IntoView {
    let theme = RwSignal::new(None::<String>);
    let compact = RwSignal::new(false);
    Effect::new(move |_| {
        theme.set(theme::chosen());
        compact.set(dom::remembered("wharfDensity").is_some());
    });
    let choose = move |wanted: Option<&'static str>| {
        theme::choose(wanted);
        theme.set(wanted.map(str::to_owned));
    };
    let densify = move |on: bool| {
        compact.set(on);
        dom::remember("wharfDensity", on.then_some("compact"));
        if let Some(root) = document().document_element() {
            let _ =
                if on { root.set_attribute("data-density", "compact") } else { root.remove_attribute("data-density") };
        }
    };
    view! {
        <section class="sec" id="appearance" aria-labelledby="appearance-h">
            <div class="sec-h"><h2 id="appearance-h">"Appearance"</h2><span class="meta">"on this device"</span></div>
            <div class="card"><div class="in row wrap g6">
                <div class="seg" role="group" aria-label="Theme">
                    {[(None, "System"), (Some("light"), "Light"), (Some("dark"), "Dark")].into_iter().map(|(value, word)| view! {
                        <button type="button" aria-pressed=move || (theme.get().as_deref() == value).to_string() on:click=move |_| choose(value)>{word}</button>
                    }).collect_view()}
                </div>
                <label class="check" style="align-items:center">
                    <input type="checkbox" class="switch" prop:checked=move || compact.get() on:change=move |ev| densify(event_target_checked(&ev))/>
                    "Compact rows"
                </label>
            </div></div>
        </section>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::browser;

    #[test]
    fn user_agents_are_described() {
        let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36";
        assert_eq!(browser(agent), "Chrome on Linux");
        assert_eq!(browser("curl/8.5.0"), "curl/8.5.0");
    }
}
