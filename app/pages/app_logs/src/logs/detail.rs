//! One complete line: its fields, its link, and related views.

use leptos::prelude::*;
use pages_app::{app_frame::ThisApp, codes};
use ui::{
    clock::Clock,
    parts::{Icon, ansi, dom, log::fields},
    words,
};

use super::{Position, viewer::Viewer};

/// The panel of the selected line, if any.
#[component]
pub fn Detail(viewer: Viewer, app: ThisApp) -> impl IntoView {
    let clock = Clock::of_page();
    let panel = move || {
        viewer.selected.get().map(|line| {
            let text = ansi::strip(&line.text);
            let pairs: Vec<(String, String)> = if line.dyno == "router" {
                fields(&text).into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
            } else {
                Vec::new()
            };
            let of = |key: &str| pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
            let (code, request) = (of("code").as_deref().and_then(codes::meaning), of("request_id"));
            let around = line.at - chrono::Duration::seconds(30);
            let (at, moment) = (line.at, line.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
            let (whole, seq) = (line.to_string(), line.seq);
            let link = move || {
                let origin = window().location().origin().unwrap_or_default();
                dom::copy(&format!("{origin}{}?line={seq}", app.path("/logs")));
            };
            view! {
                <section class="ld" aria-label="Selected line">
                    <div class="row">
                        <b class="small">{words::exact(line.at)}</b>
                        <span class="meta mono">{line.source.clone()}"["{line.dyno.clone()}"]"</span>
                        <span class="push"></span>
                        <button class="btn gho sm ico" type="button" aria-label="Close" on:click=move |_| { viewer.selected.set(None); viewer.schedule(); }>
                            <Icon name="x" size="i-s"/>
                        </button>
                    </div>
                    <pre class="ld-t" tabindex="0">{text}</pre>
                    <dl class="kv left">
                        {code.map(|code| view! { <dt>"Meaning"</dt><dd>{code}</dd> })}
                        {request.clone().map(|id| view! { <dt>"Request"</dt><dd class="mono">{id}</dd> })}
                    </dl>
                    <div class="row wrap">
                        {request.map(|id| view! {
                            <button class="btn sm" type="button" on:click=move |_| viewer.search(id.clone())>"Lines of this request"</button>
                        })}
                        <button class="btn sm" type="button" on:click=move |_| viewer.go(Position::At(around))>"Show in context"</button>
                        <a class="btn sm" href=move || app.path(&format!("/metrics?at={moment}"))>"Metrics at " {move || words::clock_time(clock.local(at))}</a>
                        <button class="btn sm gho" type="button" on:click=move |_| dom::copy(&whole)><Icon name="copy" size="i-s"/>"Copy line"</button>
                        <button class="btn sm gho" type="button" on:click=move |_| link()><Icon name="link" size="i-s"/>"Copy link"</button>
                    </div>
                </section>
            }
        })
    };
    view! { {panel} }.into_any()
}
