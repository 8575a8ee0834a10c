//! The state of a release phase, and the button that cancels it.

use api::releases::{Release, ReleaseStatus};
use leptos::prelude::*;

use super::app_frame::ThisApp;
use crate::{
    data::client,
    parts::{ActButton, Icon, Show, Toasts, act},
};

/// Describes a release phase that has not succeeded.
pub fn phase_text(release: &Release) -> Option<String> {
    match (release.status, release.cancellation()) {
        (ReleaseStatus::Failed, Some(why)) => Some(format!("release phase {why}; the previous release keeps running")),
        (ReleaseStatus::Failed, None) => Some("release phase failed; the previous release keeps running".into()),
        (ReleaseStatus::Pending, Some(_)) => Some("release phase is being cancelled".into()),
        (ReleaseStatus::Pending, None) if release.queued => Some("release phase queued".into()),
        (ReleaseStatus::Pending, None) => Some("release phase running".into()),
        _ => None,
    }
}

/// Cancels the release phase of a release, for users who may deploy.
#[component]
pub fn CancelPhase(app: ThisApp, version: i32) -> impl IntoView {
    let busy = RwSignal::new(false);
    let client = client();
    let toasts = Toasts::of_page();
    let deploys = app.may("deploy");
    let cancel = Callback::new(move |()| {
        let request = client.release_cancel(&app.name.get_untracked(), &version.to_string());
        let done = move |_| toasts.done(format!("Release phase of v{version} cancelled"));
        act(busy, format!("Could not cancel the release phase of v{version}"), request, done);
    });
    view! {
        <Show when=move || deploys.get()>
            <ActButton class="btn dgr sm".to_owned() busy on_click=cancel>
                <Icon name="x" size="i-s"/>"Cancel"<span class="vh">{format!(" the release phase of v{version}")}</span>
            </ActButton>
        </Show>
    }
    .into_any()
}
