//! Identity providers and their rules, for administrators.

mod details;
mod rules;

use accounts::passwords::PasswordSwitch;
use api::identity_providers::{IdentityProvider, IdentityProviderCreate, IdentityProviderUpdate, IdentityRule};
use leptos::prelude::*;
use ui::{
    data::{LiveData, client, refetched},
    parts::{ActButton, Cmd, ConfirmDialog, Crumb, Deck, Each, PageHead, Toasts, act},
};

use super::{invitation_policy::InvitationPolicySection, mails::MailServerSection, users::Users};

use details::Details;
use rules::NewRule;

type Providers = LiveData<Vec<IdentityProvider>>;

/// `/sign-in`
#[component]
pub fn IdentityProvidersPage() -> impl IntoView {
    let client = client();
    let providers: Providers =
        refetched(&["identity_provider", "identity"], || (), move |()| client.identity_provider_list());
    view! {
        <Deck title="Sign-in".to_owned() crumbs=vec![Crumb::here("Sign-in")]>
            <div class="page">
                <PageHead title=|| "Sign-in" sub=|| view! { <span>"Identity providers: who may sign in, and with what access"</span> } acts=|| ()/>
                {providers.show(4, move |list| view! {
                    <Each each=move || list.get() key=|p| (p.id, p.updated_at) let:provider><Provider provider providers/></Each>
                    <NewProvider providers/>
                })}
                <InvitationPolicySection/>
                <PasswordSwitch/>
                <MailServerSection/>
                <Users/>
            </div>
        </Deck>
    }
    .into_any()
}

fn list(domains: &str) -> Vec<String> {
    domains.split([',', ' ']).map(str::trim).filter(|d| !d.is_empty()).map(String::from).collect()
}

/// The description of a rule.
fn describe(rule: &IdentityRule) -> String {
    let who = match (&rule.domain, &rule.group) {
        (Some(domain), _) => format!("Anyone with an address at {domain}"),
        (None, group) => format!("Anyone in the group {}", group.as_deref().unwrap_or_default()),
    };
    let mut gets = vec!["can sign in".to_owned()];
    if rule.admin {
        gets.push("becomes an administrator of the platform".into());
    }
    if let (Some(team), Some(role)) = (&rule.team, &rule.role) {
        let article = if role == "admin" { "an" } else { "a" };
        gets.push(format!("becomes {article} {role} of {team}"));
    }
    format!("{} {}", who, gets.join(" and "))
}

#[component]
fn Provider(provider: IdentityProvider, providers: Providers) -> impl IntoView {
    let busy = RwSignal::new(false);
    let (client, toasts) = (client(), Toasts::of_page());
    let (name, rules) = (provider.name.clone(), provider.rules.clone());
    let remove = {
        let (client, name) = (client.clone(), name.clone());
        Callback::new(move |()| {
            act(busy, "Could not remove the provider", client.identity_provider_delete(&name), move |gone| {
                toasts.done(format!("Provider {} removed", gone.title));
                providers.refetch();
            });
        })
    };
    let save = Callback::new(move |update: IdentityProviderUpdate| {
        act(busy, "Could not change the provider", client.identity_provider_update(&name, &update), move |_| {
            providers.refetch()
        });
    });
    let effects = vec![
        format!(
            "Sign-in through {} stops working; users without another sign-in method are locked out",
            provider.title
        ),
        "Access granted only by its rules is revoked: team memberships and administrator rights".into(),
    ];
    let (domains, admits) = (RwSignal::new(provider.domains.join(", ")), RwSignal::new(provider.admits));
    let allow = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        save.run(IdentityProviderUpdate {
            domains: Some(list(&domains.get_untracked())),
            admits: Some(admits.get_untracked()),
            ..Default::default()
        });
    };
    let of = provider.clone();
    let field = format!("domains-{}", provider.name);
    let label = provider.title.clone();
    view! {
        <section class="sec" aria-label=label>
            <div class="sec-h"><h2>{provider.title.clone()}</h2><span class="meta">{provider.issuer}</span>
                <span class="push"><ConfirmDialog verb="Remove" what=provider.title.clone() effects=effects busy on_click=remove/></span>
            </div>
            <div class="card">
                <div class="in stack g2 small"><span class="meta">"Register this redirect URI with the provider:"</span><Cmd line=provider.redirect_uri/></div>
                <form class="ft" on:submit=allow>
                    <label for=field.clone()>"Trusted email domains"</label>
                    <input class="input sm" style="flex:1 1 200px" id=field placeholder="example.com" value=domains.get_untracked() prop:value=move || domains.get() on:input=move |ev| domains.set(event_target_value(&ev))/>
                    <Admits id=format!("admits-{}", of.name) admits/>
                    <button class="btn sm" type="submit">"Save"</button>
                </form>
                <ul class="list small" aria-label="Rules">
                    {rules.iter().enumerate().map(|(at, rule)| {
                        let without: Vec<_> = rules.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, r)| r.clone()).collect();
                        let drop = Callback::new(move |()| save.run(IdentityProviderUpdate { rules: Some(without.clone()), ..Default::default() }));
                        view! {
                            <li class="row"><span>{describe(rule)}</span><span class="push"></span>
                                <ActButton class="btn gho sm".to_owned() busy on_click=drop>"Remove rule"</ActButton></li>
                        }
                    }).collect_view()}
                </ul>
                <NewRule provider=provider.name.clone() rules=provider.rules.clone() providers/>
                <Details provider=of busy save/>
            </div>
        </section>
    }
    .into_any()
}

/// Whether a provider admits everybody with an address in its domains, or only those admitted otherwise.
#[component]
fn Admits(#[prop(into)] id: String, admits: RwSignal<bool>) -> impl IntoView {
    let hint = format!("{id}-hint");
    view! {
        <span class="stack g1">
            <label class="check"><input type="checkbox" aria-describedby=hint.clone() checked=admits.get_untracked()
                prop:checked=move || admits.get() on:change=move |ev| admits.set(event_target_checked(&ev))/>"Let everybody in these domains sign in"</label>
            <span class="hint meta" id=hint>"Otherwise people need a rule or an invitation. With * (every domain) they always do."</span>
        </span>
    }
    .into_any()
}

#[component]
fn NewProvider(providers: Providers) -> impl IntoView {
    let kind = RwSignal::new("github".to_owned());
    let text = || RwSignal::new(String::new());
    let (name, title, issuer, id, secret, domains) = (text(), text(), text(), text(), text(), text());
    let admits = RwSignal::new(true);
    let (busy, client) = (RwSignal::new(false), client());
    let add = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let given = |text: RwSignal<String>| Some(text.get_untracked()).filter(|t| !t.trim().is_empty());
        let create = IdentityProviderCreate {
            kind: kind.get_untracked(),
            client_id: id.get_untracked(),
            client_secret: secret.get_untracked(),
            name: given(name),
            title: given(title),
            issuer: given(issuer),
            domains: list(&domains.get_untracked()),
            admits: Some(admits.get_untracked()),
            ..Default::default()
        };
        act(busy, "Could not add the provider", client.identity_provider_create(&create), move |_| {
            [name, title, issuer, id, secret, domains].iter().for_each(|field| field.set(String::new()));
            providers.refetch();
        });
    };
    let field = |label: &'static str,
                 id: &'static str,
                 hint: &'static str,
                 kind: &'static str,
                 value: RwSignal<String>| {
        view! {
            <div class="field" style="flex:1 1 220px"><label for=id>{label}</label>
                <input class="input" id=id type=kind placeholder=hint autocomplete="off" prop:value=move || value.get() on:input=move |ev| value.set(event_target_value(&ev))/></div>
        }
    };
    view! {
        <section class="sec" aria-labelledby="new-h">
            <h2 id="new-h" style="font-size:var(--t-lead)">"Add a provider"</h2>
            <form class="card" on:submit=add>
                <div class="in row wrap g4" style="align-items:flex-end">
                    <div class="field" style="flex:1 1 220px"><label for="kind">"Provider"</label>
                        <select class="input" id="kind" on:change=move |ev| kind.set(event_target_value(&ev))>
                            <option value="github">"GitHub"</option><option value="gitlab">"GitLab"</option>
                            <option value="google">"Google"</option><option value="openid">"Any OpenID provider"</option>
                        </select></div>
                    {field("Client ID", "client-id", "", "text", id)}
                    {field("Client secret", "client-secret", "", "password", secret)}
                    {field("Trusted email domains", "new-domains", "example.com", "text", domains)}
                    {field("Issuer", "issuer", "https://id.example.com", "url", issuer)}
                    {field("Name in URLs", "provider-name", "acme", "text", name)}
                    {field("Button label", "provider-title", "Acme ID", "text", title)}
                    <Admits id="new-admits" admits/>
                </div>
                <div class="ft"><span>"GitHub, GitLab and Google need no issuer unless self-hosted."</span><span class="push"></span>
                    <button class="btn pri" type="submit" aria-busy=move || busy.get().to_string()>"Add provider"</button></div>
            </form>
        </section>
    }
    .into_any()
}
