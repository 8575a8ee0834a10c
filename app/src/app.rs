//! The app: its pages and what they share.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{Outlet, ParentRoute, Redirect, Route, Router, Routes},
    path,
};

use crate::{clock::Clock, live::Live, pages, parts};

/// Sets the status of the answer while the server renders a page. Provided by the server.
#[derive(Clone)]
pub struct Answer(Arc<dyn Fn(u16) + Send + Sync>);

impl Answer {
    /// `set` is called with an HTTP status.
    pub fn new(set: impl Fn(u16) + Send + Sync + 'static) -> Self {
        Self(Arc::new(set))
    }

    /// Answers this page with `status`. Does nothing in the browser.
    pub(crate) fn with(status: u16) {
        if let Some(answer) = use_context::<Self>() {
            (answer.0)(status);
        }
    }
}

/// The whole console. Needs an [`api::Client`] in context; in the browser also an
/// `Arc<dyn live::Socket>`.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    Clock::provide();
    Live::provide();
    // For whoever has to know that the page answers: tests, and style sheets.
    Effect::new(|_| {
        if let Some(root) = document().document_element() {
            let _ = root.set_attribute("data-alive", "");
        }
    });
    view! {
        <Title formatter=|title: String| if title.is_empty() { "Wharf".into() } else { format!("{title} · Wharf") }/>
        <Router>
            <Routes fallback=pages::NotFoundPage>
                <Route path=path!("/login") view=pages::LoginPage ssr=SsrMode::Async/>
                <Route path=path!("/oauth/authorize") view=pages::ConsentPage ssr=SsrMode::Async/>
                <Route path=path!("/") view=|| view! { <Redirect path="/apps"/> } ssr=SsrMode::Async/>
                <ParentRoute path=path!("") view=Framed ssr=SsrMode::Async>
                    <Route path=path!("/apps") view=pages::AppsPage/>
                    <Route path=path!("/apps/new") view=pages::NewAppPage/>
                    <Route path=path!("/apps/:app/builds/:n") view=pages::BuildPage/>
                    <ParentRoute path=path!("/apps/:app") view=pages::AppFrame>
                        <Route path=path!("") view=pages::OverviewPage/>
                        <Route path=path!("/activity") view=pages::ActivityPage/>
                        <Route path=path!("/resources") view=pages::ResourcesPage/>
                        <Route path=path!("/logs") view=pages::LogsPage/>
                        <Route path=path!("/metrics") view=pages::MetricsPage/>
                        <Route path=path!("/settings") view=pages::SettingsPage/>
                    </ParentRoute>
                    <Route path=path!("/parts") view=pages::PartsPage/>
                    <Route path=path!("/teams") view=pages::TeamsPage/>
                    <Route path=path!("/teams/:team") view=pages::TeamPage/>
                    <Route path=path!("/platform") view=pages::PlatformPage/>
                    <Route path=path!("/sign-in") view=pages::IdentityProvidersPage/>
                    <Route path=path!("/audit") view=pages::AuditPage/>
                    <Route path=path!("/account") view=pages::AccountPage/>
                </ParentRoute>
            </Routes>
        </Router>
    }
    .into_any()
}

/// Pages of somebody who is signed in.
#[component]
fn Framed() -> impl IntoView {
    view! { <parts::Frame><Outlet/></parts::Frame> }
}
