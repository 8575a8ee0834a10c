//! The filters of the log: text, source, process, level.

use std::time::Duration;

use api::log_lines::{LogFilter, LogLevel};
use leptos::{leptos_dom::helpers::debounce, prelude::*};
use pages_app::app_frame::ThisApp;
use ui::{
    parts::{Glyph, Icon, LiveMark, Show, dom},
    words,
};

use super::{Reading, viewer::Viewer};

#[derive(Clone, Copy, PartialEq)]
enum Source {
    Everything,
    App,
    Router,
    Platform,
}

impl Source {
    fn of(filter: &LogFilter) -> Self {
        match (filter.source.as_deref(), filter.dyno.as_deref()) {
            (_, Some("router")) => Self::Router,
            (Some("app"), _) => Self::App,
            (Some("heroku"), _) => Self::Platform,
            _ => Self::Everything,
        }
    }

    fn apply(self, filter: &mut LogFilter) {
        let router = filter.dyno.as_deref() == Some("router");
        filter.source = match self {
            Self::App => Some("app".into()),
            Self::Platform => Some("heroku".into()),
            Self::Everything | Self::Router => None,
        };
        if self == Self::Router {
            filter.dyno = Some("router".into());
        } else if router {
            filter.dyno = None;
        }
    }
}

/// The controls above the lines.
#[component]
pub fn Toolbar(app: ThisApp, reading: Reading, viewer: Viewer) -> impl IntoView {
    view! {
        <div class="row wrap">
            <Search reading/>
            <Processes app reading/>
            <Levels reading/>
            <button class="btn pri" type="button" aria-pressed=move || viewer.follow.get().to_string() on:click=move |_| viewer.set_follow(!viewer.follow.get_untracked())>
                {move || if viewer.follow.get() { view! { <Icon name="pause" size="i-s"/> } } else { view! { <Icon name="play" size="i-s"/> } }}
                {move || if viewer.follow.get() { "Pause" } else { "Follow" }}
            </button>
            <button class="btn ico" type="button" aria-label="Copy these lines" on:click=move |_| dom::copy(&viewer.text())><Icon name="copy" size="i-s"/></button>
            <button class="btn ico" type="button" aria-label="Download these lines" on:click=move |_| dom::download(&format!("{}.log", app.name.get_untracked()), &viewer.text())>
                <Icon name="dl" size="i-s"/>
            </button>
        </div>
        <div class="row wrap g3">
            <div class="seg" role="group" aria-label="Source">
                {[(Source::Everything, "All sources"), (Source::App, "App"), (Source::Router, "Router"), (Source::Platform, "Platform")].into_iter().map(|(source, word)| view! {
                    <button
                        type="button"
                        aria-pressed=move || reading.filter.with(|f| Source::of(f) == source).to_string()
                        on:click=move |_| reading.filter.update(|f| source.apply(f))
                    >
                        {word}
                    </button>
                }).collect_view()}
            </div>
            <LiveMark/>
            <span class="push legend hide-p">
                <span><i class="box" style="--c:var(--c4)"></i>"lines"</span>
                <span><i class="box" style="--c:var(--bad-dot)"></i>"errors"</span>
                <span><Glyph name="rel"/>"release"</span>
                <span><Glyph name="cfg"/>"config"</span>
                <span><Glyph name="bad"/>"crash"</span>
            </span>
        </div>
    }
    .into_any()
}

#[component]
fn Search(reading: Reading) -> impl IntoView {
    let by_regex = RwSignal::new(reading.filter.with_untracked(|f| f.regex.is_some()));
    let text = RwSignal::new(
        reading.filter.with_untracked(|f| f.text.clone().or_else(|| f.regex.clone()).unwrap_or_default()),
    );
    let apply = move || {
        let wanted = Some(text.get_untracked()).filter(|t| !t.trim().is_empty());
        let (plain, regex) = if by_regex.get_untracked() { (None, wanted) } else { (wanted, None) };
        if reading.filter.with_untracked(|f| f.text != plain || f.regex != regex) {
            reading.filter.update(|f| (f.text, f.regex) = (plain, regex));
        }
    };
    // Also set from elsewhere: by the lines of a request.
    Effect::new(move |before: Option<()>| {
        let wanted = reading.filter.with(|f| f.text.clone().or_else(|| f.regex.clone()).unwrap_or_default());
        if before.is_some() && text.with_untracked(|t| t.trim() != wanted.trim()) {
            text.set(wanted);
        }
    });
    let mut soon = debounce(Duration::from_millis(250), move |()| apply());
    view! {
        <div class="qbar" role="search">
            <Icon name="search" size="i-s"/>
            <label class="vh" for="lq">"Search the log"</label>
            <input
                id="lq"
                data-find=""
                autocomplete="off"
                spellcheck="false"
                placeholder="Search the entire history"
                prop:value=move || text.get()
                on:input=move |ev| { text.set(event_target_value(&ev)); soon(()); }
                on:change=move |_| apply()
            />
            <button class="btn gho sm" type="button" aria-pressed=move || by_regex.get().to_string() aria-label="Regular expression" title="Regular expression"
                on:click=move |_| { by_regex.update(|on| *on = !*on); apply(); }>".*"</button>
            <Show when=move || !text.with(String::is_empty)>
                <button class="btn gho sm ico" type="button" aria-label="Clear search" on:click=move |_| { text.set(String::new()); apply(); }><Icon name="x" size="i-s"/></button>
            </Show>
        </div>
    }
    .into_any()
}

#[component]
fn Processes(app: ThisApp, reading: Reading) -> impl IntoView {
    let kinds = Memo::new(move |_| {
        let mut names: Vec<String> = app
            .status
            .get()
            .map(|s| s.formation.iter().map(|f| f.kind.clone()).chain(s.dynos.iter().map(|d| d.name.clone())).collect())
            .unwrap_or_default();
        names.sort();
        names.dedup();
        names
    });
    let chosen = move || reading.filter.with(|f| f.dyno.clone().filter(|d| d != "router").unwrap_or_default());
    view! {
        <select class="select" aria-label="Process" prop:value=chosen on:change=move |ev| {
            let dyno = Some(event_target_value(&ev)).filter(|d| !d.is_empty());
            reading.filter.update(|f| f.dyno = dyno);
        }>
            <option value="">"All processes"</option>
            {move || {
                let now = chosen();
                let mut names = kinds.get();
                if !now.is_empty() && !names.contains(&now) {
                    names.push(now.clone());
                }
                names.into_iter().map(|name| view! { <option value=name.clone() selected=name == now>{name.clone()}</option> }).collect_view()
            }}
        </select>
    }
    .into_any()
}

#[component]
fn Levels(reading: Reading) -> impl IntoView {
    let chosen = move || match reading.filter.with(|f| f.level) {
        Some(LogLevel::Error) => "error",
        Some(LogLevel::Warn) => "warn",
        _ => "",
    };
    view! {
        <select class="select" aria-label="Level" prop:value=chosen on:change=move |ev| {
            let level = match event_target_value(&ev).as_str() {
                "error" => Some(LogLevel::Error),
                "warn" => Some(LogLevel::Warn),
                _ => None,
            };
            reading.filter.update(|f| f.level = level);
        }>
            <option value="">"All levels"</option>
            <option value="warn" selected=move || chosen() == "warn">"Warnings and errors"</option>
            <option value="error" selected=move || chosen() == "error">"Errors"</option>
        </select>
    }
    .into_any()
}

impl Viewer {
    /// Shows only lines with this text.
    pub fn search(self, text: String) {
        self.selected.set(None);
        self.reading().filter.set(LogFilter { text: Some(text), ..Default::default() });
    }

    /// Goes to another position, without filters.
    pub fn go(self, position: super::Position) {
        self.selected.set(None);
        self.follow.set(false);
        self.reading().filter.set(LogFilter::default());
        self.reading().position.set(position);
    }
}

/// `12,345 lines`
pub fn lines(n: u64) -> String {
    words::count(n as usize, "line", "lines")
}
