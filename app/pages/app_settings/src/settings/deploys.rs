//! The watch period: how long new web dynos have to stay up before the old ones are stopped.

use api::{apps::AppUpdate, builds::MOST_WATCH_SECONDS, statuses::AppStatus};
use leptos::prelude::*;
use pages_app::app_frame::ThisApp;
use ui::{
    data::client,
    parts::{Show, Toasts, act},
};

/// The setting, and what it means.
#[component]
pub fn DeploysSection(app: ThisApp, status: Signal<AppStatus>) -> impl IntoView {
    let now = Memo::new(move |_| status.with(|s| s.app.watch_seconds));
    let text = RwSignal::new(now.get_untracked().to_string());
    let busy = RwSignal::new(false);
    let client = client();
    let toasts = Toasts::of_page();
    let wanted = Memo::new(move |_| {
        let seconds = text.with(|t| t.trim().parse::<i32>().ok());
        seconds.filter(|seconds| (0..=MOST_WATCH_SECONDS).contains(seconds))
    });
    let changed = Memo::new(move |_| wanted.get() != Some(now.get()));
    let save = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let Some(seconds) = wanted.get_untracked() else { return };
        let update = AppUpdate { watch_seconds: Some(seconds), ..Default::default() };
        let request = client.app_update(&app.name.get_untracked(), &update);
        act(busy, "Could not change the watch period", request, move |updated| {
            if let Some(mut now) = app.status.get() {
                now.app = updated;
                app.status.put(now);
            }
            toasts.done(format!("New web dynos are watched for {seconds} s"));
        });
    };
    view! {
        <section class="sec" id="deploys" aria-labelledby="deploys-h">
            <h2 id="deploys-h" style="font-size:var(--t-lead)">"Deploys"</h2>
            <div class="card">
                <form class="in row wrap g4" style="align-items:flex-start" on:submit=save>
                    <div class="field" style="flex:1 1 240px">
                        <label for="watch">"Watch period in seconds"</label>
                        <input class="input mono" id="watch" inputmode="numeric" maxlength="3" autocomplete="off" aria-describedby="watch-hint"
                            aria-invalid=move || wanted.get().is_none().to_string()
                            prop:value=move || text.get() value=now.get_untracked().to_string() on:input=move |ev| text.set(event_target_value(&ev))/>
                        <span class="hint" id="watch-hint">"New web dynos get the requests as soon as they are up. If one of them exits within this time, the old ones, which keep running until then, take over again and the release fails. From 0 to 600."</span>
                    </div>
                    <Show when=move || changed.get() && wanted.get().is_some()>
                        <button class="btn" type="submit" style="margin-top:26px" aria-busy=move || busy.get().to_string()>"Save watch period"</button>
                    </Show>
                </form>
            </div>
        </section>
    }
    .into_any()
}
