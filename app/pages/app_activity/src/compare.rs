//! The comparison of two releases: differences and user impact.

use api::releases::{Changed, Commit, Impact, ReleaseChanges, ReleaseChangesQuery};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use pages_app::app_frame::ThisApp;
use ui::{
    data::{client, fetched},
    parts::{Avatar, Icon},
    words,
};

/// Parses `v214..v218`, in either order.
pub fn pair(text: &str) -> Option<(i32, i32)> {
    let (a, b) = text.split_once("..")?;
    let version = |v: &str| v.trim_start_matches('v').parse::<i32>().ok().filter(|n| *n > 0);
    let (a, b) = (version(a)?, version(b)?);
    (a != b).then_some((a.min(b), a.max(b)))
}

/// The panel beside the timeline.
#[component]
pub fn Compare(app: ThisApp, from: i32, to: i32) -> impl IntoView {
    let client = client();
    let changes = fetched(
        move || app.name.get(),
        move |name: String| {
            let since = ReleaseChangesQuery { since: Some(format!("v{from}")) };
            client.release_changes(&name, &format!("v{to}"), &since)
        },
    );
    let navigate = use_navigate();
    let close = move |_| navigate(&app.path("/activity"), NavigateOptions { scroll: false, ..Default::default() });
    view! {
        <aside class="drawer" id="compare" tabindex="-1" aria-labelledby="compare-h">
            <header class="stack g2">
                <div class="row">
                    <h2 id="compare-h">{format!("v{from} to v{to}")}</h2>
                    <span class="push"></span>
                    <button class="btn gho sm ico" type="button" aria-label="Close comparison" on:click=close><Icon name="x" size="i-s"/></button>
                </div>
            </header>
            {changes.show(8, |changes| view! { {move || changes.with(sections)} })}
        </aside>
    }
    .into_any()
}

fn summary(c: &ReleaseChanges) -> String {
    let mut parts = Vec::new();
    if let Some(at) = c.from_at {
        parts.push(format!("{} apart", words::span((c.to_at - at).num_seconds())));
    }
    if !c.commits.is_empty() {
        let mut people: Vec<&str> = c.commits.iter().map(|c| c.author.as_str()).collect();
        people.sort_unstable();
        people.dedup();
        parts.push(words::count(c.commits.len(), "commit", "commits"));
        parts.push(format!("by {}", words::count(people.len(), "person", "people")));
    }
    parts.join(" · ")
}

fn sections(c: &ReleaseChanges) -> AnyView {
    let config = c.config_added.len() + c.config_changed.len() + c.config_removed.len();
    view! {
        <section><p class="meta">{summary(c)}</p></section>
        {impact(c)}
        {commits("Commits", &c.commits, c.more_commits)}
        {commits("Removed commits", &c.commits_removed, c.more_commits)}
        <section>
            <h3>"Config"<span class="n">{if config == 0 { "unchanged" } else { "values hidden" }}</span></h3>
            <ul class="df">
                {lines("a", "+", &c.config_added, "new")}
                {lines("m", "~", &c.config_changed, "changed")}
                {lines("d", "−", &c.config_removed, "removed")}
                <li class="s"><span></span><span>{words::count(c.config_same, "key", "keys")}" unchanged"</span></li>
            </ul>
        </section>
        <section>
            <h3>"Slug"<span class="n">{if c.same_slug { "unchanged" } else { "changed" }}</span></h3>
            <ul class="df">
                {(!c.same_slug).then(|| changed(&Changed { name: "size".into(), from: c.slug_size_from.map(size), to: c.slug_size_to.map(size) }))}
                {c.buildpack.as_ref().map(changed)}
                {c.stack.as_ref().map(changed)}
                {c.processes.iter().map(changed).collect_view()}
                {c.processes.is_empty().then(|| view! { <li class="s"><span></span><span>"process types unchanged"</span></li> })}
            </ul>
        </section>
    }
    .into_any()
}

fn size(bytes: i64) -> String {
    words::bytes(bytes.max(0) as u64)
}

fn lines(class: &'static str, sign: &'static str, names: &[String], what: &'static str) -> AnyView {
    let each = names.iter().cloned();
    each.map(|name| view! { <li class=class><span aria-hidden="true">{sign}</span><span style="overflow-wrap:anywhere">{name}</span><span class="s">{what}</span></li> })
        .collect_view()
        .into_any()
}

fn changed(c: &Changed) -> AnyView {
    let (class, sign) = match (&c.from, &c.to) {
        (None, _) => ("a", "+"),
        (_, None) => ("d", "−"),
        _ => ("m", "~"),
    };
    let values: Vec<String> = [&c.from, &c.to].into_iter().flatten().cloned().collect();
    view! {
        <li class=class>
            <span aria-hidden="true">{sign}</span>
            <span style="overflow-wrap:anywhere">{c.name.clone()}": "{values.join(" → ")}</span>
            <span class="s"></span>
        </li>
    }
    .into_any()
}

fn commits(title: &'static str, all: &[Commit], more: bool) -> Option<AnyView> {
    (!all.is_empty()).then(|| {
        view! {
            <section>
                <h3>{title}<span class="n">{if more && all.len() >= 100 { "100+".to_owned() } else { all.len().to_string() }}</span></h3>
                <ul class="stack g2">
                    {all.iter().cloned().map(|commit| view! {
                        <li class="row">
                            <span class="sha">{words::short_commit(&commit.id)}</span>
                            <bdi class="clip" title=commit.subject.clone()>{commit.subject.clone()}</bdi>
                            <span class="push"><Avatar who=commit.author.clone()/><span class="vh">{commit.author}</span></span>
                        </li>
                    }).collect_view()}
                </ul>
            </section>
        }
        .into_any()
    })
}

/// A metric of both releases, and its change. `None` unless it was measured for both.
fn impact(c: &ReleaseChanges) -> Option<AnyView> {
    let (a, b) = (c.impact_before?, c.impact_after?);
    let ms = |f: &Impact| f.p95_ms;
    let failed = |f: &Impact| (f.requests > 0).then(|| f.failed as f64 * 100.0 / f.requests as f64);
    let memory = |f: &Impact| Some(f.memory_max as f64).filter(|m| *m > 0.0);
    Some(view! {
        <section>
            <h3>"User impact"<span class="n">{format!("first {} of v{}, {} of v{}", words::short_span(a.seconds), c.from, words::short_span(b.seconds), c.to)}</span></h3>
            <table role="table" class="table">
                <thead role="rowgroup"><tr role="row">
                    <th role="columnheader">"Measure"</th>
                    <th role="columnheader" class="r">{format!("v{}", c.from)}</th>
                    <th role="columnheader" class="r">{format!("v{}", c.to)}</th>
                    <th role="columnheader" class="r">"Change"</th>
                </tr></thead>
                <tbody role="rowgroup">
                    {measure("Response p95", ms(&a), ms(&b), words::milliseconds)}
                    {measure("Errors", failed(&a), failed(&b), |v| format!("{v:.2} %"))}
                    {measure("Memory, max", memory(&a), memory(&b), |v| words::bytes(v as u64))}
                </tbody>
            </table>
        </section>
    }
    .into_any())
}

fn measure(name: &'static str, a: Option<f64>, b: Option<f64>, formatter: fn(f64) -> String) -> AnyView {
    let (tone, change) = change(a, b);
    let shown = |v: Option<f64>| v.map_or("–".to_owned(), formatter);
    view! {
        <tr role="row">
            <td role="cell">{name}</td>
            <td role="cell" class="r dim">{shown(a)}</td>
            <td role="cell" class="r">{shown(b)}</td>
            <td role="cell" class=format!("r {tone}")>{change}</td>
        </tr>
    }
    .into_any()
}

/// For all of these, higher is worse. Changes below three per cent are noise.
fn change(a: Option<f64>, b: Option<f64>) -> (&'static str, String) {
    let (Some(a), Some(b)) = (a, b) else { return ("faint", "–".into()) };
    if a == b {
        return ("faint", "no change".into());
    }
    if a == 0.0 {
        return ("t-warn", "new".into());
    }
    let percent = (b - a) * 100.0 / a;
    let tone = if percent > 3.0 {
        "t-warn"
    } else if percent < -3.0 {
        "t-ok"
    } else {
        "faint"
    };
    (tone, format!("{}{:.1} %", if percent > 0.0 { "+" } else { "−" }, percent.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_parsed() {
        assert_eq!(pair("v3..v12"), Some((3, 12)));
        assert_eq!(pair("12..3"), Some((3, 12)));
        for bad in ["", "v3", "v3..", "v3..v3", "v0..v1", "a..b"] {
            assert_eq!(pair(bad), None, "{bad}");
        }
    }

    #[test]
    fn changes_have_a_direction() {
        assert_eq!(change(Some(100.0), Some(120.0)), ("t-warn", "+20.0 %".into()));
        assert_eq!(change(Some(100.0), Some(80.0)), ("t-ok", "−20.0 %".into()));
        assert_eq!(change(Some(0.0), Some(0.0)), ("faint", "no change".into()));
        assert_eq!(change(None, Some(1.0)).1, "–");
    }
}
