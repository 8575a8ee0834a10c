//! What all pages of one app share: its data, its head and its tabs.

use api::{
    builds::BuildRedeploy,
    live::Topic,
    statuses::{AppStatus, Condition},
};
use leptos::{either::Either, prelude::*};
use leptos_router::{
    components::Outlet,
    hooks::{use_location, use_params_map},
};
use ui::{
    data::{LiveData, client},
    parts::{ActButton, Ago, Crumb, Deck, Glyph, Icon, PageHead, Show, Status, Toasts, act, condition},
};

/// The app of the URL, for all its pages.
#[derive(Clone, Copy)]
pub struct ThisApp {
    pub name: Memo<String>,
    pub status: LiveData<AppStatus>,
    /// The user's permissions; `None` until the browser has them.
    rights: RwSignal<Vec<String>>,
}

impl ThisApp {
    /// Reads the app's name from the URL and provides the app through the context.
    pub fn provide() -> Self {
        let params = use_params_map();
        let name = Memo::new(move |_| params.with(|p| p.get("app").unwrap_or_default()));
        let client = client();
        let status = LiveData::new(
            move || name.get(),
            move |name: String| client.app_status(&name),
            |app| Some(Topic::App { app }),
        );
        let rights = RwSignal::new(Vec::new());
        // Parsed once for all readers, because each call parses the whole response.
        Effect::new(move |_| {
            if let Some(status) = status.get()
                && rights.with_untracked(|rights| *rights != status.permissions)
            {
                rights.set(status.permissions);
            }
        });
        let this = Self { name, status, rights };
        provide_context(this);
        this
    }

    /// The app of this page.
    pub fn of_page() -> Self {
        expect_context()
    }

    /// The path of a page of this app; `page` is empty or starts with a slash.
    pub fn path(self, page: &str) -> String {
        format!("/apps/{}{page}", self.name.get())
    }
}

/// Whether code has ever been released.
pub fn is_deployed(status: &AppStatus) -> bool {
    status.releases.iter().any(|r| r.slug.is_some()) || status.releases.len() >= 10
}

/// Whether the user has the permission `right` on the app. Other actions are not offered.
pub fn may(status: Signal<AppStatus>, right: &'static str) -> Memo<bool> {
    Memo::new(move |_| status.with(|s| s.permissions.iter().any(|p| p == right)))
}

impl ThisApp {
    /// Like [`may`], without the app's status at hand; false until it has arrived.
    pub fn may(self, right: &'static str) -> Memo<bool> {
        Memo::new(move |_| self.rights.with(|rights| rights.iter().any(|r| r == right)))
    }
}

const TABS: [(&str, &str); 7] = [
    ("", "Overview"),
    ("/activity", "Activity"),
    ("/resources", "Resources"),
    ("/logs", "Logs"),
    ("/terminal", "Terminal"),
    ("/metrics", "Metrics"),
    ("/settings", "Settings"),
];

/// The tab that is shown, as an index into [`TABS`].
fn tab(path: &str, app: &str) -> usize {
    let rest = path.strip_prefix("/apps/").and_then(|p| p.strip_prefix(app)).unwrap_or_default();
    TABS.iter().position(|(page, _)| *page == rest.trim_end_matches('/')).unwrap_or(0)
}

/// Head, tabs and the page of an app.
#[component]
pub fn AppFrame() -> impl IntoView {
    let app = ThisApp::provide();
    let path = use_location().pathname;
    let tab = Memo::new(move |_| path.with(|path| app.name.with(|name| tab(path, name))));
    let word = move || TABS[tab.get()].1;
    let crumbs = Signal::derive(move || {
        let name = app.name.get();
        match tab.get() {
            0 => vec![Crumb::to("Apps", "/apps"), Crumb::here(name)],
            n => vec![
                Crumb::to("Apps", "/apps"),
                Crumb::to(name.clone(), format!("/apps/{name}")),
                Crumb::here(TABS[n].1),
            ],
        }
    });
    let title =
        Signal::derive(
            move || if tab.get() == 0 { app.name.get() } else { format!("{} of {}", word(), app.name.get()) },
        );
    // The log uses the whole window; all other pages start with the app's head. A memo, or
    // every tab would recreate the head while the old one is still subscribed.
    let fixed = Memo::new(move |_| TABS[tab.get()].0 == "/logs");
    // Shown until the app's status says otherwise, so that the layout rarely shifts.
    let lacks = move |right: &str| app.rights.with(|rights| !rights.is_empty() && !rights.iter().any(|r| r == right));
    let hides = move |page: &str| match page {
        "/logs" => lacks("logs"),
        "/terminal" => lacks("run"),
        _ => false,
    };
    view! {
        <Deck title crumbs fixed>
            {move || if fixed.get() {
                Either::Left(view! { <h1 class="vh">"Logs of " {move || app.name.get()}</h1> })
            } else {
                Either::Right(view! { <Head app tab/> })
            }}
            <nav class="tabs" aria-label="App">
                {TABS.iter().enumerate().map(|(i, (page, word))| view! {
                    <a href=move || app.path(page) hidden=move || hides(page) aria-current=move || (tab.get() == i).then_some("page")>{*word}</a>
                }).collect_view()}
            </nav>
            <Outlet/>
        </Deck>
    }
    .into_any()
}

#[component]
fn Head(app: ThisApp, tab: Memo<usize>) -> impl IntoView {
    view! {
        <div class="app-head">
            {app.status.show(1, move |status| {
                let state = Memo::new(move |_| status.with(|s| {
                    let (mut up, mut wanted) = (0, 0);
                    for f in &s.formation {
                        wanted += f.quantity;
                        up += s.dynos.iter().filter(|d| d.kind == f.kind && d.state == api::dynos::DynoState::Up).count() as i32;
                    }
                    condition(s.condition, up, wanted)
                }));
                view! {
                    <PageHead
                        title=move || view! {
                            {move || status.with(|s| s.app.name.clone())}
                            " "
                            <Status tone=Signal::derive(move || state.get().0) word=Signal::derive(move || state.get().1)/>
                        }
                        sub=move || view! { <Sub status/> }
                        acts=move || view! { <Acts app status tab/> }
                    />
                    <Held app status/>
                }
            })}
        </div>
    }
    .into_any()
}

/// A release that does not start, shown on every page of the app, because its push has long finished.
#[component]
fn Held(app: ThisApp, status: Signal<AppStatus>) -> impl IntoView {
    let held = Memo::new(move |_| status.with(|s| s.held.clone()));
    let log = move |dyno: &str| app.path(&format!("/logs?dyno={}", api::client::segment(dyno)));
    move || {
        held.get().map(|held| {
            view! {
                <div class="notes">
                    <div class="note warn" role="status">
                        <Glyph name="warn"/>
                        <span>
                            <b>{format!("v{} does not start.", held.version)}</b>
                            {format!(" {}: {}. ", held.dyno, held.last_exit.as_deref().unwrap_or("crashed"))}
                            {format!("Visitors still get v{}.", held.serving)}
                        </span>
                        <a class="btn sm" href=log(&held.dyno)>"View its log"</a>
                    </div>
                </div>
            }
        })
    }
}

#[component]
fn Sub(status: Signal<AppStatus>) -> impl IntoView {
    let url = Memo::new(move |_| status.with(|s| s.app.web_url.clone()));
    let host =
        move || url.get().trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/').to_owned();
    let release =
        Memo::new(move |_| status.with(|s| s.releases.iter().find(|r| r.current).map(|r| (r.version, r.created_at))));
    view! {
        <a href=move || url.get() class="row" style="gap:4px" rel="external noopener" target="_blank">
            {host}
            <Icon name="ext" size="i-s"/>
            <span class="vh">"(opens in a new tab)"</span>
        </a>
        {move || release.get().map(|(version, at)| view! {
            <span class="faint">"release " <b class="dim">{format!("v{version}")}</b> ", " <Ago at=at/></span>
        })}
    }
    .into_any()
}

#[component]
fn Acts(app: ThisApp, status: Signal<AppStatus>, tab: Memo<usize>) -> impl IntoView {
    let busy = RwSignal::new(false);
    let (client, for_redeploy) = (client(), client());
    let toasts = Toasts::of_page();
    let redeploy = Callback::new(move |()| {
        let request = for_redeploy.build_redeploy(&app.name.get_untracked(), &BuildRedeploy::default());
        act(busy, "Could not redeploy the app", request, move |build| {
            toasts.done(format!("Build {} of the current code has started", build.number));
        });
    });
    let restart = Callback::new(move |()| {
        let request = client.dyno_restart_all(&app.name.get_untracked());
        act(busy, "Could not restart the app", request, move |_| toasts.done("All dynos are restarting"));
    });
    let (scales, deploys) = (may(status, "scale"), may(status, "deploy"));
    let running = Memo::new(move |_| status.with(|s| !s.dynos.is_empty()));
    let deployed = Memo::new(move |_| status.with(|s| s.condition != Condition::Empty));
    view! {
        <Show when=move || matches!(tab.get(), 0 | 2) && running.get() && scales.get()>
            <ActButton class="btn".to_owned() busy on_click=restart><Icon name="restart" size="i-s"/>"Restart all"</ActButton>
        </Show>
        <Show when=move || tab.get() == 1 && deployed.get() && deploys.get()>
            <ActButton class="btn".to_owned() busy on_click=redeploy><Icon name="restart" size="i-s"/>"Redeploy"</ActButton>
        </Show>
        <Show when=move || tab.get() == 0 && deployed.get()>
            <a class="btn pri" href=move || status.with(|s| s.app.web_url.clone()) rel="external noopener" target="_blank">
                <Icon name="ext" size="i-s"/>
                "Open app"
            </a>
        </Show>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::{TABS, tab};

    #[test]
    fn the_path_selects_the_tab() {
        assert_eq!(tab("/apps/shop", "shop"), 0);
        assert_eq!(TABS[tab("/apps/shop/logs", "shop")].1, "Logs");
        assert_eq!(TABS[tab("/apps/shop/settings/", "shop")].1, "Settings");
    }
}
