//! The app: its pages and what they share.

use api::sanitize;
use leptos::prelude::*;
use leptos_meta::{ServerMetaContext, Title, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{Outlet, ParentRoute, Redirect, Route, Router, Routes},
    path,
};
use ui::{NotFoundPage, clock::Clock, live::Live, parts};

use crate::{bundles, prefetch};

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
    // The server writes the title into the page as it is; a browser sets it as text.
    let is_html = use_context::<ServerMetaContext>().is_some();
    let missing = parts::Missing::provide();
    view! {
        // For pages that consist of nothing but what was not found.
        <Title formatter=move |title: String| full_title(&title, is_html) text=move || missing.or(String::new)/>
        <Router>
            <Routes fallback=NotFoundPage>
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
                        <Route path=path!("/terminal") view=bundles::TerminalPage()/>
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

/// What the browser shows for a page with this title, escaped if it is written as HTML: it may contain what a link says.
fn full_title(title: &str, is_html: bool) -> String {
    let full = if title.is_empty() { "Wharf".to_owned() } else { format!("{title} · Wharf") };
    if is_html { sanitize::html(&full) } else { full }
}

/// Pages that require a session.
#[component]
fn Framed() -> impl IntoView {
    prefetch::watch();
    view! { <parts::Frame><Outlet/></parts::Frame> }
}

#[cfg(test)]
mod tests {
    use super::full_title;

    #[test]
    fn a_title_in_html_is_text() {
        for (title, text, html) in [
            ("", "Wharf", "Wharf"),
            ("dusk", "dusk · Wharf", "dusk · Wharf"),
            ("</title><i>&lt;", "</title><i>&lt; · Wharf", "&lt;/title&gt;&lt;i&gt;&amp;lt; · Wharf"),
        ] {
            assert_eq!((full_title(title, false), full_title(title, true)), (text.to_owned(), html.to_owned()));
        }
    }
}
