//! Settings of an app: its name, config vars, buildpacks, maintenance, and its end.

mod config_vars;
mod destroy;
mod dotenv;
mod general;

use leptos::prelude::*;

use super::app_frame::ThisApp;
use config_vars::ConfigVarsSection;
use destroy::DestroySection;
use general::{BuildpacksSection, GeneralSection, MaintenanceSection};

const SECTIONS: [(&str, &str); 5] = [
    ("general", "General"),
    ("config", "Config vars"),
    ("build", "Buildpacks"),
    ("maintenance", "Maintenance"),
    ("destroy", "Destroy"),
];

/// `/apps/:app/settings`
#[component]
pub fn SettingsPage() -> impl IntoView {
    let app = ThisApp::of_page();
    view! {
        <div class="page">
            <div class="set">
                <nav aria-label="Settings">
                    {SECTIONS.into_iter().map(|(id, word)| view! { <a class="nav-a" href=format!("#{id}") rel="external">{word}</a> }).collect_view()}
                </nav>
                <div class="stack g6">
                    {app.status.show(3, move |status| view! { <GeneralSection app status/> })}
                    <ConfigVarsSection app/>
                    <BuildpacksSection app/>
                    {app.status.show(2, move |status| view! { <MaintenanceSection app status/> <DestroySection app status/> })}
                </div>
            </div>
        </div>
    }
    .into_any()
}
