//! The app: its pages and what they share.

use leptos::prelude::*;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{Outlet, ParentRoute, Redirect, Route, Router, Routes},
    path,
};

use crate::{bundles, clock::Clock, live::Live, pages, parts, prefetch};

/// The whole console. Needs an [`api::Client`] in context; in the browser also an
/// `Arc<dyn live::Socket>`.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    Clock::provide();
    Live::provide();
    // For tests and style sheets that need to know that the page is interactive.
    Effect::new(|_| {
        if let Some(root) = document().document_element() {
            let _ = root.set_attribute("data-alive", "");
        }
    });
    view! {
        <Title formatter=|title: String| if title.is_empty() { "Wharf".into() } else { format!("{title} · Wharf") }/>
        <Router>
            <Routes fallback=pages::NotFoundPage>
                <Route path=path!("/login") view=bundles::LoginPage() ssr=SsrMode::Async/>
                <Route path=path!("/login/:secret") view=bundles::SignInLinkPage() ssr=SsrMode::Async/>
                <Route path=path!("/oauth/authorize") view=bundles::ConsentPage() ssr=SsrMode::Async/>
                <Route path=path!("/") view=|| view! { <Redirect path="/apps"/> } ssr=SsrMode::Async/>
                <ParentRoute path=path!("") view=Framed ssr=SsrMode::Async>
                    <Route path=path!("/apps") view=bundles::AppsPage()/>
                    <Route path=path!("/apps/new") view=bundles::NewAppPage()/>
                    <Route path=path!("/apps/:app/builds/:n") view=bundles::BuildPage()/>
                    <ParentRoute path=path!("/apps/:app") view=bundles::AppFrame()>
                        <Route path=path!("") view=bundles::OverviewPage()/>
                        <Route path=path!("/activity") view=bundles::ActivityPage()/>
                        <Route path=path!("/resources") view=bundles::ResourcesPage()/>
                        <Route path=path!("/logs") view=bundles::LogsPage()/>
                        <Route path=path!("/metrics") view=bundles::MetricsPage()/>
                        <Route path=path!("/settings") view=bundles::SettingsPage()/>
                    </ParentRoute>
                    <Route path=path!("/parts") view=bundles::PartsPage()/>
                    <Route path=path!("/teams") view=bundles::TeamsPage()/>
                    <Route path=path!("/teams/:team") view=bundles::TeamPage()/>
                    <Route path=path!("/platform") view=bundles::PlatformPage()/>
                    <Route path=path!("/sign-in") view=bundles::IdentityProvidersPage()/>
                    <Route path=path!("/users/:user") view=bundles::UserPage()/>
                    <Route path=path!("/quotas") view=bundles::QuotasPage()/>
                    <Route path=path!("/jobs") view=bundles::JobsPage()/>
                    <Route path=path!("/audit") view=bundles::AuditPage()/>
                    <Route path=path!("/account") view=bundles::AccountPage()/>
                </ParentRoute>
            </Routes>
        </Router>
    }
    .into_any()
}

/// Pages that require a session.
#[component]
fn Framed() -> impl IntoView {
    prefetch::watch();
    view! { <parts::Frame><Outlet/></parts::Frame> }
}
