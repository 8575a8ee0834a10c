//! Settings of an app: name, config vars, buildpacks, deploys, maintenance, destruction.

mod access;
mod config_vars;
mod deploys;
mod destroy;
mod general;

use leptos::prelude::*;
use pages_app::app_frame::{ThisApp, may};
use ui::parts::Show;

use access::AccessSection;
use config_vars::ConfigVarsSection;
use deploys::DeploysSection;
use destroy::DestroySection;
use general::{BuildpacksSection, GeneralSection, MaintenanceSection};

/// The sections, and the permission that each requires.
const SECTIONS: [(&str, &str, &str); 7] = [
    ("general", "General", "view"),
    ("config", "Config vars", "config"),
    ("build", "Buildpacks", "deploy"),
    ("deploys", "Deploys", "deploy"),
    ("access", "Access", "view"),
    ("maintenance", "Maintenance", "operate"),
    ("destroy", "Destroy", "manage"),
];

/// `/apps/:app/settings`
#[component]
pub fn SettingsPage() -> impl IntoView {
    let app = ThisApp::of_page();
    view! {
        <div class="page">
            <div class="set">
                <nav aria-label="Settings">
                    {app.status.show(1, |status| SECTIONS.into_iter().map(|(id, word, right)| {
                        let shown = may(status, right);
                        view! { <Show when=move || shown.get()><a class="nav-a" href=format!("#{id}") rel="external">{word}</a></Show> }
                    }).collect_view())}
                </nav>
                <div class="stack g6">
                    {app.status.show(6, move |status| {
                        let [config, deploy, operate, manage] =
                            ["config", "deploy", "operate", "manage"].map(|right| may(status, right));
                        view! {
                            <GeneralSection app status/>
                            <Show when=move || config.get()><ConfigVarsSection app changes=deploy/></Show>
                            <Show when=move || deploy.get()><BuildpacksSection app/></Show>
                            <Show when=move || deploy.get()><DeploysSection app status/></Show>
                            <AccessSection app status/>
                            <Show when=move || operate.get()><MaintenanceSection app status/></Show>
                            <Show when=move || manage.get()><DestroySection app status/></Show>
                        }
                    })}
                </div>
            </div>
        </div>
    }
    .into_any()
}
