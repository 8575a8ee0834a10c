//! Bundles: pages whose code the browser loads together, when it first needs one of them.
//!
//! Code outside the bundles is loaded with every page. [`wasm_split`] marks where `style/build.sh`
//! splits the module; on the server the same functions are ordinary ones. All split points are in this
//! crate, because their symbols are unique only within one; what a bundle contains is what they reach,
//! in the crate of the bundle and in others. No page is shown
//! before its code is loaded: the server lists a page's bundles in its head, the browser waits for
//! them before hydration, and the router before it leaves the current page.

use leptos::prelude::*;
use leptos_router::{Lazy, LazyRoute, hooks::use_location};
use ui::parts::Skeleton;
use wasm_split_helpers::{SplitLoaderError, wasm_split};

use crate::pages;

/// Declares them: bundle: pages. Each page becomes a view for the routes.
macro_rules! bundles {
    ($($bundle:ident: $($page:ident),+;)+) => {
        $($(
            #[doc = concat!("[`pages::", stringify!($page), "`], of the bundle `", stringify!($bundle), "`.")]
            #[allow(non_snake_case, reason = "a page has the same name everywhere")]
            pub(crate) fn $page() -> Lazy<routes::$page> {
                Lazy::new()
            }
        )+)+

        mod routes {
            use super::*;

            $($(
                pub struct $page;

                impl LazyRoute for $page {
                    fn data() -> Self {
                        Self
                    }

                    async fn view(_: Self) -> AnyView {
                        code::$page::$page().await.unwrap_or_else(|_| reload_page())
                    }

                    async fn preload() {
                        // If this fails, so does `view`, which reloads the page.
                        let _ = code::$page::load().await;
                    }
                }
            )+)+
        }

        #[allow(non_snake_case, reason = "a page has the same name everywhere")]
        mod code {
            use super::*;

            $($(pub mod $page {
                use super::*;

                #[wasm_split($bundle, fallible, preload(load))]
                pub fn $page() -> Result<AnyView, SplitLoaderError> {
                    Ok(pages::$page().into_any())
                }
            })+)+
        }

        async fn load_one(bundle: &str) -> Result<(), SplitLoaderError> {
            match bundle {
                $(stringify!($bundle) => {
                    $(code::$page::load().await?;)+
                })+
                _ => {}
            }
            Ok(())
        }

        /// Bundles and pages.
        #[cfg(test)]
        const ALL: &[(&str, &str)] = &[$($((stringify!($bundle), stringify!($page))),+),+];
    };
}

// A bundle whose name extends that of another, such as `app_logs`, is always loaded together with that one.
bundles! {
    entry: LoginPage, SignInLinkPage, ConsentPage;
    apps: AppsPage;
    create: NewAppPage;
    build: BuildPage;
    app: AppFrame;
    app_overview: OverviewPage;
    app_activity: ActivityPage;
    app_resources: ResourcesPage;
    app_logs: LogsPage;
    app_metrics: MetricsPage;
    app_settings: SettingsPage;
    app_terminal: TerminalPage;
    teams: TeamsPage, TeamPage;
    platform: PlatformPage, IdentityProvidersPage, UserPage, AuditPage, JobsPage;
    quotas: QuotasPage;
    account: AccountPage;
    parts: PartsPage;
}

/// The bundles of the page at `path`: the names of `manifest.json`.
pub fn of(path: &str) -> &'static [&'static str] {
    let path: Vec<&str> = path.trim_matches('/').split('/').collect();
    match path.as_slice() {
        ["login"] | ["login", _] | ["oauth", "authorize"] => &["entry"],
        ["apps"] => &["apps"],
        ["apps", "new"] => &["create"],
        ["apps", _] => &["app", "app_overview"],
        ["apps", _, "activity"] => &["app", "app_activity"],
        ["apps", _, "resources"] => &["app", "app_resources"],
        ["apps", _, "logs"] => &["app", "app_logs"],
        ["apps", _, "metrics"] => &["app", "app_metrics"],
        ["apps", _, "settings"] => &["app", "app_settings"],
        ["apps", _, "terminal"] => &["app", "app_terminal"],
        ["apps", _, "builds", _] => &["build"],
        ["teams"] | ["teams", _] => &["teams"],
        ["platform" | "sign-in" | "audit" | "jobs"] | ["users", _] => &["platform"],
        ["quotas"] => &["quotas"],
        ["account"] => &["account"],
        ["parts"] => &["parts"],
        _ => &[],
    }
}

/// Loads the missing bundles of the page at `path`. False if one failed to load.
pub async fn load(path: &str) -> bool {
    for bundle in of(path) {
        if load_one(bundle).await.is_err() {
            return false;
        }
    }
    true
}

/// Shown in place of a page whose code failed to load: the platform may have been upgraded
/// since. Reloads the page from the server, and with it the new code.
fn reload_page() -> AnyView {
    let here = use_location();
    Effect::new(move |_| {
        let query = here.search.get_untracked();
        let query = if query.is_empty() { query } else { format!("?{query}") };
        let _ = window().location().assign(&format!("{}{query}", here.pathname.get_untracked()));
    });
    view! { <main class="page" id="main"><Skeleton lines=3/></main> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page cannot be hydrated without its bundles.
    #[test]
    fn every_route_names_the_bundles_of_its_page() {
        let after = |line: &'static str, mark| line.split(mark).nth(1);
        let (mut parent, mut pages) = ("", 0);
        for line in include_str!("app.rs").lines() {
            let Some(path) = after(line, "path=path!(\"").and_then(|rest| rest.split('"').next()) else {
                parent = if line.contains("</ParentRoute>") { "" } else { parent };
                continue;
            };
            let address = format!("{parent}{path}").replace(':', "");
            if line.contains("<ParentRoute") {
                parent = path;
            } else if let Some(page) = after(line, "view=bundles::").and_then(|rest| rest.split('(').next()) {
                let bundle = ALL.iter().find(|(_, of)| *of == page).map(|(bundle, _)| *bundle);
                assert_eq!(of(&address).last().copied(), bundle, "{address}");
                pages += 1;
            }
        }
        assert_eq!(pages, ALL.len() - 1, "all except the frame of an app");
        assert!(of("/nowhere").is_empty());
    }
}
