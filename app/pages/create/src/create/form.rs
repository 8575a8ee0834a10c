//! The form for a new app.

use api::{
    apps::AppCreate,
    client::{Page, segment},
    ids::AppName,
    team_members::Role,
    teams::{Team, TeamAppCreate},
};
use leptos::{either::Either, prelude::*};
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_query_map},
};
use ui::{
    data::{LiveData, client, fetched},
    parts::{Glyph, Icon, Toasts, dom},
};

/// The form: name, owner and initial code.
#[component]
pub fn NameForm() -> impl IntoView {
    let name = RwSignal::new(String::new());
    let refused = RwSignal::new(None::<String>);
    // Not about the name; another name would not help.
    let full = RwSignal::new(None::<String>);
    let busy = RwSignal::new(false);
    let sample = RwSignal::new(String::new());
    let (client, navigate) = (client(), use_navigate());
    let toasts = Toasts::of_page();
    // A team's page links here with its name.
    let owner = RwSignal::new(use_query_map().with_untracked(|q| q.get("team").unwrap_or_default()));
    // Shown while typing only if further input cannot make it valid.
    let wrong =
        move || name.with(|n| if n.len() < 3 { None } else { n.parse::<AppName>().err() }).or_else(|| refused.get());
    let create = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        if busy.get_untracked() {
            return;
        }
        let wanted = Some(name.get_untracked().trim().to_owned()).filter(|n| !n.is_empty());
        let request = client.team_app_create(&TeamAppCreate {
            app: AppCreate { name: wanted, ..AppCreate::default() },
            team: Some(owner.get_untracked()).filter(|team| !team.is_empty()),
            ..TeamAppCreate::default()
        });
        let (client, navigate, sample) = (client.clone(), navigate.clone(), sample.get_untracked());
        busy.set(true);
        full.set(None);
        leptos::task::spawn_local(async move {
            match request.await {
                Ok(app) => {
                    if !sample.is_empty()
                        && let Err(error) = client.sample_deploy(&app.name, &sample).await
                    {
                        toasts.failed("Could not build the sample", &error);
                    }
                    navigate(&format!("/apps/{}", app.name), NavigateOptions::default());
                }
                Err(error) if error.id == "quota_reached" => {
                    busy.set(false);
                    full.set(Some(error.message));
                    dom::bring(FULL);
                }
                Err(error) => {
                    busy.set(false);
                    refused.set(Some(error.message));
                    dom::focus_in("main", "#an");
                }
            }
        });
    };
    view! {
        <form class="card" method="post" action="/forms/apps" on:submit=create>
            <div class="in stack g4">
                <div class="field">
                    <label for="an">"Name"</label>
                    <input
                        class="input mono"
                        id="an"
                        name="name"
                        autocomplete="off"
                        autocapitalize="off"
                        spellcheck="false"
                        maxlength="30"
                        placeholder="generated if empty"
                        aria-describedby="an-hint"
                        aria-invalid=move || wrong().is_some().to_string()
                        prop:value=move || name.get()
                        on:input=move |ev| { refused.set(None); name.set(event_target_value(&ev)); }
                    />
                    <span class="hint" id="an-hint" aria-live="polite">
                        {move || match wrong() {
                            Some(why) => Either::Left(view! { <span class="t-bad">{why}</span> }),
                            None => Either::Right("3 to 30 lower-case letters, digits and dashes, starting with a letter. It becomes part of the URL."),
                        }}
                    </span>
                </div>
                <OwnerField owner/>
                <SampleField sample/>
                {move || full.get().map(|why| view! { <Full why owner/> })}
                <div><button class="btn pri" type="submit" aria-busy=move || busy.get().to_string()><Icon name="plus" size="i-s"/>"Create app"</button></div>
            </div>
        </form>
    }
    .into_any()
}

/// The message that a quota is reached.
const FULL: &str = "full";

/// The exhausted quota, with a link to the quotas.
#[component]
fn Full(why: String, owner: RwSignal<String>) -> impl IntoView {
    let team = owner.get_untracked();
    let (page, word) = match team.as_str() {
        "" => ("/account#quotas".to_owned(), "Your quotas".to_owned()),
        team => (format!("/teams/{}#quotas", segment(team)), format!("Quotas of {team}")),
    };
    view! {
        <div class="notes" id=FULL role="alert"><div class="note bad">
            <Glyph name="bad"/><span><b>"Could not create the app."</b>" "{why}</span><a class="btn sm" href=page>{word}</a>
        </div></div>
    }
    .into_any()
}

/// The owner of the app; hidden for users without a team.
#[component]
fn OwnerField(owner: RwSignal<String>) -> impl IntoView {
    let client = client();
    let teams: LiveData<Page<Team>> = fetched(|| (), move |()| client.team_page(None));
    teams.show(1, move |teams| {
        let chosen = owner.get_untracked();
        let mut names = teams.with_untracked(|all| {
            all.items.iter().filter(|team| team.role != Role::Viewer).map(|team| team.name.clone()).collect::<Vec<_>>()
        });
        // The team of the URL, which may not be on the loaded page.
        if !chosen.is_empty() && !names.contains(&chosen) {
            names.push(chosen.clone());
        }
        (!names.is_empty()).then(|| {
            view! {
                <div class="field">
                    <label for="ow">"Owner"</label>
                    <select class="select" id="ow" name="team" on:change=move |ev| owner.set(event_target_value(&ev))>
                        <option value="" selected=chosen.is_empty()>"You"</option>
                        {names.into_iter().map(|name| view! {
                            <option value=name.clone() selected=chosen == name>"The team "{name.clone()}</option>
                        }).collect_view()}
                    </select>
                </div>
            }
        })
    })
}

#[component]
fn SampleField(sample: RwSignal<String>) -> impl IntoView {
    let client = client();
    let samples = fetched(|| (), move |()| client.sample_list());
    samples.show(1, move |samples| {
        view! {
            <fieldset class="field">
                <legend>"Code"</legend>
                <div class="stack g2">
                    <label class="choice">
                        <input type="radio" name="sample" value="" checked=true on:change=move |_| sample.set(String::new())/>
                        <span>"My own code"<span class="hint">"You push it in the next step."</span></span>
                    </label>
                    {samples.get_untracked().into_iter().map(|s| {
                        let name = s.name.clone();
                        view! {
                            <label class="choice">
                                <input type="radio" name="sample" value=s.name on:change=move |_| sample.set(name.clone())/>
                                <span>"Sample: "{s.title}<span class="hint">{s.description}</span></span>
                            </label>
                        }
                    }).collect_view()}
                </div>
            </fieldset>
        }
    })
}
