//! The frame around every page that requires a session: sidebar, top bar, notices.

use api::{client::Page, jobs::JobState, live::Topic, platform::PlatformInfo, teams::Team};
use leptos::{either::Either, html, prelude::*};
use leptos_meta::Title;
use leptos_router::hooks::use_location;

use super::{
    Avatar, Each, FindButton, Icon, Missing, Notices, Palette, Show, ThemeButton, ToastStack, Visitor,
    visitor::ADMIN_PAGES,
};
use crate::{
    data::{LiveData, client, refetched},
    live::Changes,
    nouns, words,
};

/// A breadcrumb; the last one is the page itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Crumb {
    pub text: String,
    /// Absent for the page itself.
    pub href: Option<String>,
}

impl Crumb {
    /// A linked breadcrumb.
    pub fn to(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self { text: text.into(), href: Some(href.into()) }
    }

    /// The page itself.
    pub fn here(text: impl Into<String>) -> Self {
        Self { text: text.into(), href: None }
    }
}

/// Whether the sidebar is open, on small screens.
#[derive(Clone, Copy)]
struct Drawer(RwSignal<bool>);

/// The sidebar and the current page.
#[component]
pub fn Frame(children: Children) -> impl IntoView {
    let drawer = RwSignal::new(false);
    provide_context(Drawer(drawer));
    Changes::provide();
    let account = refetched(&["account", "identity"], || (), {
        let client = client();
        move |()| client.account_info()
    });
    provide_context(Visitor(account));
    super::toast::provide();
    super::palette::provide();
    let path = use_location().pathname;
    // On navigation the drawer closes, and screen readers start at the top of the page.
    Effect::new(move |before: Option<String>| {
        let now = path.get();
        if before.is_some_and(|before| before != now) {
            drawer.set(false);
            if let Some(main) = super::dom::by_id("main") {
                let _ = main.focus();
            }
        }
        now
    });
    view! {
        <div class="shell" data-nav=move || drawer.get().then_some("open")>
            <a class="skip" href="#main" rel="external">"Skip to content"</a>
            <Sidebar drawer/>
            {children()}
            <Palette/>
            <ToastStack/>
        </div>
    }
    .into_any()
}

#[component]
fn Sidebar(drawer: RwSignal<bool>) -> impl IntoView {
    let Visitor(account) = expect_context();
    let head = account.show(1, |account| {
        view! {
            <a class="team" href="/account" aria-label="Account">
                <Avatar who=Signal::derive(move || account.with(|a| a.email.clone())) large=true/>
                <span style="flex:1;min-width:0">
                    <b class="clip">{move || account.with(|a| a.name.clone().unwrap_or_else(|| words::who(&a.email)))}</b>
                    <span class="meta clip">{move || account.with(|a| a.email.clone())}</span>
                </span>
            </a>
        }
    });
    view! {
        <aside class="side" id="side" aria-label="Sidebar" on:keydown=move |ev| {
            if ev.key() == "Escape" {
                drawer.set(false);
            }
        }>
            <span class="row">
                <a class="team" href="/apps" aria-label="Wharf, go to apps">
                    <span class="logo"><Icon name="logo"/></span>
                    <b>"Wharf"</b>
                </a>
                <a
                    class="btn gho ico show-p"
                    href="#main"
                    rel="external"
                    aria-label="Close menu"
                    on:click=move |ev| { ev.prevent_default(); drawer.set(false); }
                >
                    <Icon name="x"/>
                </a>
            </span>
            <nav aria-label="Main">
                <span class="lab">"Work"</span>
                <NavLink href="/apps" icon="apps" text="Apps"/>
                <NavLink href="/teams" icon="team" text="Teams"/>
                <Teams/>
                {account.show(0, |account| view! {
                    <Show when=move || account.with(|a| a.admin)>
                        <span class="lab">"Platform"</span>
                        {ADMIN_PAGES.map(|(href, icon, text)| view! { <NavLink href icon text/> }).into_iter().collect_view()}
                    </Show>
                })}
                <span class="lab">"You"</span>
                <NavLink href="/account" icon="sliders" text="Account"/>
            </nav>
            <PlatformFoot/>
            {head}
        </aside>
    }
    .into_any()
}

#[component]
fn NavLink(href: &'static str, icon: &'static str, text: &'static str) -> impl IntoView {
    let path = use_location().pathname;
    let here =
        move || path.with(|path| path == href || path.strip_prefix(href).is_some_and(|rest| rest.starts_with('/')));
    view! {
        <a class="nav-a" href=href aria-current=move || here().then_some("page")>
            <Icon name=icon/>
            {text}
        </a>
    }
    .into_any()
}

/// Maximum number of teams in the sidebar. The page *Teams* lists all.
const MOST_TEAMS: usize = 12;

/// The user's teams, to switch between them.
#[component]
fn Teams() -> impl IntoView {
    let client = client();
    let teams: LiveData<Page<Team>> = refetched(nouns::TEAMS, || (), move |()| client.team_page(None));
    let path = use_location().pathname;
    teams.show(0, move |teams| {
        let link = move |team: Team| {
            let href = format!("/teams/{}", team.name);
            let here = { let href = href.clone(); move || path.with(|p| *p == href).then_some("page") };
            view! { <a class="nav-a small" style="padding-left:34px" href=href aria-current=here><span class="clip">{team.name}</span></a> }
        };
        let shown = move || teams.with(|page| page.items.iter().take(MOST_TEAMS).cloned().collect::<Vec<_>>());
        view! { <Each each=shown key=|t| t.name.clone() let:team>{link(team)}</Each> }
    })
}

/// The results of the platform's checks, for those with access.
#[component]
fn PlatformFoot() -> impl IntoView {
    let info: LiveData<Option<PlatformInfo>> = LiveData::new(
        || (),
        {
            let client = client();
            // Without access there is no panel, and no error either.
            move |()| client.platform_info().or(|_| true, "null")
        },
        |()| Some(Topic::Platform),
    );
    info.show(1, |info| {
        let shown = Memo::new(move |_| {
            info.with(|info| {
                info.as_ref().map(|i| {
                    let failed = i.jobs.iter().filter(|job| job.state == JobState::Failed).count();
                    (i.checks.iter().filter(|c| c.ok).count(), i.checks.len(), i.version.clone(), failed)
                })
            })
        });
        move || match shown.get() {
            Some((good, all, version, failed)) => {
                let (tone, glyph, verdict) = match all {
                    0 => ("idle", "#g-sealwait", "Not checked"),
                    _ if good == all => ("ok", "#g-seal", "All checks pass"),
                    _ => ("warn", "#g-sealold", "Needs attention"),
                };
                Either::Left(view! {
                    <a class="platform" href="/platform">
                        <span class=format!("proof {tone}")>
                            <svg aria-hidden="true"><use href=glyph></use></svg>
                            <span><b>{verdict}</b></span>
                        </span>
                        <span style="padding-left:22px">{format!("{good} of {all} · Wharf {version}")}</span>
                        {(failed > 0).then(|| view! { <span style="padding-left:22px">{words::count(failed, "failed job", "failed jobs")}</span> })}
                    </a>
                })
            }
            None => Either::Right(view! { <span class="platform"></span> }),
        }
    })
}

/// The page itself: top bar with breadcrumbs, and the content.
#[component]
pub fn Deck(
    #[prop(into)] title: Signal<String>,
    #[prop(into)] crumbs: Signal<Vec<Crumb>>,
    /// As tall as the window: the content scrolls on its own.
    #[prop(into, optional)]
    fixed: Signal<bool>,
    children: Children,
) -> impl IntoView {
    let Drawer(drawer) = expect_context();
    let main = NodeRef::<html::Main>::new();
    // The server writes the title last; under load, the page may have been disposed by then.
    let first = title.get_untracked();
    let missing = Missing::of_page();
    view! {
        <Title text=move || missing.or(|| title.try_get().unwrap_or_else(|| first.clone()))/>
        <div class="deck" data-fixed=move || fixed.get().then_some("")>
            <header class="top">
                <a
                    class="btn gho ico menu-b"
                    href="#side"
                    rel="external"
                    role="button"
                    aria-label="Menu"
                    aria-controls="side"
                    aria-expanded=move || drawer.get().to_string()
                    on:click=move |ev| { ev.prevent_default(); drawer.set(true); super::dom::focus_in("side", "nav a"); }
                >
                    <Icon name="menu"/>
                </a>
                <nav aria-label="Breadcrumb" style="min-width:0;flex:1">
                    <ol class="crumbs">
                        {move || crumbs.get().into_iter().map(|crumb| match crumb.href {
                            Some(href) => Either::Left(view! { <li><a href=href>{crumb.text}</a></li> }),
                            None => Either::Right(view! { <li><span aria-current="page">{crumb.text}</span></li> }),
                        }).collect_view()}
                    </ol>
                </nav>
                <FindButton/>
                <ThemeButton/>
            </header>
            <main id="main" tabindex="-1" node_ref=main>
                <Notices/>
                {children()}
            </main>
        </div>
    }
    .into_any()
}

/// The head of a page: title, subtitle and actions.
#[component]
pub fn PageHead(
    #[prop(into)] title: ViewFn,
    #[prop(into, optional)] sub: ViewFn,
    #[prop(into, optional)] acts: ViewFn,
) -> impl IntoView {
    view! {
        <div class="head">
            <div>
                <h1>{title.run()}</h1>
                <div class="sub">{sub.run()}</div>
            </div>
            <div class="acts">{acts.run()}</div>
        </div>
    }
    .into_any()
}
