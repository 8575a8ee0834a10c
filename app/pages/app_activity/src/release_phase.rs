//! What became of a release: its release phase and its rollout; and the button that cancels a release phase.

use api::releases::{Release, ReleaseStatus, Rollout};
use leptos::prelude::*;
use pages_app::app_frame::ThisApp;
use ui::{
    data::client,
    parts::{ActButton, Icon, Show, Toasts, act},
    words,
};

/// Describes what became of a release, or how far it is. `None` if it is current and all is well, or if that is not known.
pub fn outcome_text(release: &Release) -> Option<String> {
    phase_text(release).or_else(|| rollout_text(release))
}

/// Describes the rollout of a release.
fn rollout_text(release: &Release) -> Option<String> {
    let up = || words::span(release.up_seconds);
    let why = || release.failure().unwrap_or_else(|| "it crashed".into());
    // The one before serves again.
    let serves = if release.status == ReleaseStatus::Failed { "; the previous release keeps running" } else { "" };
    match (release.rollout, release.up_at) {
        (Rollout::Failed, None) => Some(format!("never came up ({}){serves}", why())),
        (Rollout::Failed, Some(_)) => Some(format!("up for {}, then {}{serves}", up(), why())),
        (Rollout::Superseded, None) => Some("replaced before it was up".into()),
        (Rollout::Waiting, _) => release.current.then(|| "starting".into()),
        (Rollout::Watching, _) => release.current.then(|| format!("up; being watched for {} s", release.watch_seconds)),
        (_, Some(_)) if !release.current => Some(format!("was up for {}", up())),
        _ => None,
    }
}

/// Describes a release phase that has not succeeded.
fn phase_text(release: &Release) -> Option<String> {
    if release.failed_dyno.is_some() {
        return None;
    }
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
