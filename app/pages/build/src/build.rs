//! One build: its state and output.

use api::{
    builds::{Build, BuildStatus},
    ids::BuildId,
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use pages_app::{app_frame::ThisApp, builds::build_title};
use ui::{
    clock::Clock,
    data::{client, fetched},
    parts::{ActButton, Avatar, BuildOutput, Crumb, Deck, Icon, PageHead, Show, Status, Toasts, Tone, act},
    words,
};

/// `/apps/:app/builds/:n`, a number per app.
#[component]
pub fn BuildPage() -> impl IntoView {
    let app = ThisApp::provide();
    let params = use_params_map();
    let number = Memo::new(move |_| params.with(|p| p.get("n").and_then(|n| n.parse::<i32>().ok()).unwrap_or(0)));
    let client = client();
    let build = fetched(
        move || (app.name.get(), number.get()),
        move |(name, number): (String, i32)| client.build_info(&name, &number.to_string()),
    );
    let crumbs = Signal::derive(move || {
        let name = app.name.get();
        vec![
            Crumb::to("Apps", "/apps"),
            Crumb::to(name.clone(), format!("/apps/{name}")),
            Crumb::to("Activity", format!("/apps/{name}/activity")),
            Crumb::here(format!("Build {}", number.get())),
        ]
    });
    let title = Signal::derive(move || format!("Build {} of {}", number.get(), app.name.get()));
    view! {
        <Deck title crumbs>
            <div class="page">
                {build.show(4, move |build| {
                    // If the status contains the build, that one is newer, because it is updated live.
                    let found = Memo::new(move |_| {
                        let n = number.get();
                        let data = app.status.get().and_then(|s| s.builds.into_iter().find(|b| b.number == n));
                        data.unwrap_or_else(|| build.get())
                    });
                    let id = Memo::new(move |_| found.with(|b| b.id));
                    move || view! { <OneBuild app id=id.get() found/> }
                })}
            </div>
        </Deck>
    }
    .into_any()
}

#[component]
fn OneBuild(app: ThisApp, id: BuildId, found: Memo<Build>) -> impl IntoView {
    let clock = Clock::of_page();
    let of = move |f: &dyn Fn(&Build) -> String| found.with(f);
    let took = move |b: &Build| {
        let end = if b.status.is_pending() { clock.now() } else { b.updated_at };
        words::span((end - b.created_at).num_seconds())
    };
    let state = move || {
        found.with(|b| match b.status {
            BuildStatus::Pending if b.queue_position > 0 => (Tone::Busy, words::queued(b.queue_position)),
            BuildStatus::Pending => (Tone::Busy, format!("Building, {}", took(b))),
            BuildStatus::Succeeded => (Tone::Ok, format!("Built in {}", took(b))),
            BuildStatus::Failed => (Tone::Bad, format!("Failed after {}", took(b))),
            BuildStatus::Unknown => (Tone::Idle, "Unknown".to_owned()),
        })
    };
    let deploys = app.may("deploy");
    let pending = Memo::new(move |_| found.with(|b| b.status.is_pending()));
    let error = Memo::new(move |_| found.with(|b| b.error.clone()));
    let released = Memo::new(move |_| found.with(|b| b.release.is_some()));
    let plain = Memo::new(move |_| of(&|b| b.output_stream_url.clone()));
    let user = Memo::new(move |_| of(&|b| b.user.email.clone()));
    view! {
        <PageHead
            title=move || view! {
                {move || of(&|b| format!("Build {}", b.number))}
                " "
                <Status tone=Signal::derive(move || state().0) word=Signal::derive(move || state().1)/>
            }
            sub=move || view! {
                <span>{move || of(&build_title)}</span>
                <span class="row" style="gap:6px"><Avatar who=user/>{move || words::who(&user.get())}</span>
            }
            acts=move || view! {
                <a class="btn" href=move || plain.get() rel="external" target="_blank"><Icon name="ext" size="i-s"/>"Plain text"</a>
                <Show when=move || pending.get() && deploys.get()><Cancel app id/></Show>
            }
        />
        {move || error.get().map(|why| view! {
            <section class="notes" aria-label="Why it failed">
                <div class="note bad" style="overflow-wrap:anywhere">
                    <ui::parts::Glyph name="bad"/>
                    <span><b>{if released.get() { how_the_release_ended(&why) } else { how_it_ended(&why) }}"."</b>{move || match released.get() {
                        true => " The release that was up before serves, if there is one.",
                        false => " Nothing was released; the previous release keeps running.",
                    }}</span>
                </div>
            </section>
        })}
        <div class="cols">
            <BuildOutput app=app.name.get_untracked() id height=556/>
            <aside class="stack g6" aria-label="About this build">
                <section class="sec">
                    <h2>"Inputs"</h2>
                    <dl class="kv">
                        <dt>"Commit"</dt><dd class="sha">{move || of(&|b| b.source_blob.version.as_deref().map_or("–".into(), words::short_commit))}</dd>
                        <dt>"Stack"</dt><dd>{move || of(&|b| b.stack.clone())}</dd>
                        <dt>"Buildpack"</dt>
                        <dd>{move || of(&|b| {
                            let names: Vec<String> = b.buildpacks.iter().filter_map(|p| p.name.clone().or_else(|| p.url.clone())).collect();
                            if names.is_empty() { "detected".into() } else { names.join(", ") }
                        })}</dd>
                    </dl>
                </section>
                <Show when=move || pending.get()>
                    <section class="sec">
                        <h2>"What happens next"</h2>
                        <ul class="effects">
                            <li><Icon name="box"/><span>"The slug is created and stored"</span></li>
                            <li><Icon name="term"/><span>"The release phase runs, if the Procfile has one"</span></li>
                            <li><Icon name="restart"/><span>"New dynos start; traffic switches when they respond"</span></li>
                            <li><Icon name="rollback"/><span>"If they do not stay up, traffic goes back to the old ones"</span></li>
                        </ul>
                    </section>
                </Show>
            </aside>
        </div>
    }
    .into_any()
}

/// The sentence for a build that failed because its release did: `v7 did not stay up: …`.
fn how_the_release_ended(why: &str) -> String {
    format!("The deploy failed: {}", why.trim_end_matches('.'))
}

/// The sentence for a build's error such as "failed to compile Python app", without the full stop.
fn how_it_ended(why: &str) -> String {
    let why = why.trim_end_matches('.');
    match why {
        "Build cancelled" => "The build was cancelled".into(),
        why if why.starts_with("failed to ") => format!("The build {why}"),
        why => format!("The build failed: {why}"),
    }
}

#[component]
fn Cancel(app: ThisApp, id: BuildId) -> impl IntoView {
    let busy = RwSignal::new(false);
    let client = client();
    let toasts = Toasts::of_page();
    let cancel = Callback::new(move |()| {
        let request = client.build_cancel(&app.name.get_untracked(), &id.to_string());
        act(busy, "Could not cancel the build", request, move |_| toasts.done("Build cancelled"));
    });
    view! { <ActButton class="btn dgr".to_owned() busy on_click=cancel><Icon name="x" size="i-s"/>"Cancel build"</ActButton> }
}

#[cfg(test)]
mod tests {
    use super::how_it_ended;

    #[test]
    fn errors_become_sentences() {
        assert_eq!(how_it_ended("failed to compile Python app"), "The build failed to compile Python app");
        assert_eq!(how_it_ended("the build took too long."), "The build failed: the build took too long");
        assert_eq!(how_it_ended("Build cancelled"), "The build was cancelled");
    }
}
