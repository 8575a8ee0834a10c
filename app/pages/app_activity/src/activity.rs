//! Everything that changed an app, newest first: releases and builds in one timeline.

use api::{
    builds::{Build, BuildStatus},
    client::{Asked, Page},
    releases::{Release, ReleaseStatus, Rollout},
    statuses::AppStatus,
};
use chrono::{DateTime, NaiveDate, Utc};
use leptos::{either::Either, prelude::*};
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_query_map},
};
use pages_app::{app_frame::ThisApp, builds::build_title, rollback::RollbackButton};
use ui::{
    clock::Clock,
    data::{LiveData, client, cursor, fetched},
    parts::{Ago, Avatar, Each, Icon, LiveMark, Show, dom},
    words,
};

use super::{
    compare::{Compare, pair},
    release_phase::{CancelPhase, outcome_text},
};

/// The start of the timeline from the query: before this release and this build, `?older=12.40`.
pub const OLDER: &str = "older";

/// A point of the timeline.
#[derive(Clone, PartialEq)]
enum Item {
    /// With the build that created it.
    Release(Box<Release>, Option<BuildSummary>),
    Build(Box<Build>),
}

/// The build of a release: its number, and the first line of the commit's message.
#[derive(Clone, Debug, PartialEq)]
struct BuildSummary {
    number: i32,
    message: Option<String>,
}

/// Releases selected for comparison, at most two.
#[derive(Clone, Copy)]
struct Ticks(RwSignal<Vec<i32>>);

impl Ticks {
    fn toggle(self, version: i32) {
        self.0.update(|all| match all.iter().position(|v| *v == version) {
            Some(at) => drop(all.remove(at)),
            None => {
                all.push(version);
                // Selecting a third one deselects the first.
                let over = all.len().saturating_sub(2);
                all.drain(..over);
            }
        });
    }
}

impl Item {
    fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Release(r, _) => r.created_at,
            Self::Build(b) => b.created_at,
        }
    }

    /// A key that changes with everything shown, so that a changed item is rerendered.
    fn key(&self) -> String {
        match self {
            Self::Release(r, build) => format!(
                "{}{:?}{}{}{:?}{:?}{:?}{build:?}",
                r.id, r.status, r.current, r.cancelled, r.error, r.rollout, r.up_at
            ),
            Self::Build(b) => format!("{}{:?}{}", b.id, b.status, b.queue_position),
        }
    }

    fn is_code(&self) -> bool {
        match self {
            Self::Release(r, build) => build.is_some() || r.commit.is_some() || r.description.starts_with("Deploy"),
            Self::Build(_) => true,
        }
    }
}

/// A page of the timeline, and the start of the next one.
#[derive(Clone, PartialEq)]
struct TimelinePage {
    items: Vec<Item>,
    older: Option<String>,
}

/// The positions in both lists from the query.
fn cursors(older: Option<&str>) -> (Option<String>, Option<String>) {
    let number = |text: &str| text.parse::<u32>().ok().map(|n| n.to_string());
    let (release, build) = older.and_then(|text| text.split_once('.')).unwrap_or_default();
    (number(release), number(build))
}

/// Merges two pages and the live updates; a build that became a release is part of it. Where one
/// page ends earlier than the other, the rest of the other belongs to the next page.
fn merge_pages(
    releases: &Page<Release>,
    builds: &Page<Build>,
    status: Option<&AppStatus>,
    from: Option<&str>,
) -> TimelinePage {
    let ends = [
        releases.next.as_ref().and(releases.items.last()).map(|r| r.created_at),
        builds.next.as_ref().and(builds.items.last()).map(|b| b.created_at),
    ];
    let end = ends.into_iter().flatten().max();
    // Live updates are at the beginning.
    let mut items = items(&releases.items, &builds.items, status.filter(|_| from.is_none()));
    items.retain(|item| end.is_none_or(|end| item.at() >= end));
    let after = end.map(|end| {
        let (mut release, mut build) = cursors(from);
        for shown in releases.items.iter().filter(|r| r.created_at >= end) {
            release = Some(shown.version.to_string());
        }
        for shown in builds.items.iter().filter(|b| b.created_at >= end) {
            build = Some(shown.number.to_string());
        }
        format!("{}.{}", release.unwrap_or_default(), build.unwrap_or_default())
    });
    // Without an end of its own, a page would link to itself as the next one.
    TimelinePage { items, older: after.filter(|after| from != Some(after)) }
}

fn items(releases: &[Release], builds: &[Build], status: Option<&AppStatus>) -> Vec<Item> {
    let mut all_releases: Vec<Release> = status.map(|s| s.releases.clone()).unwrap_or_default();
    let mut all_builds: Vec<Build> = status.map(|s| s.builds.clone()).unwrap_or_default();
    let newest = all_releases.iter().any(|r| r.current);
    for release in releases {
        if !all_releases.iter().any(|r| r.id == release.id) {
            let mut release = release.clone();
            release.current &= !newest;
            all_releases.push(release);
        }
    }
    for build in builds {
        if !all_builds.iter().any(|b| b.id == build.id) {
            all_builds.push(build.clone());
        }
    }
    let made = |release: &Release| {
        let id = release.id.get();
        let build = all_builds.iter().find(|b| b.release.is_some_and(|r| r.id == id))?;
        Some(BuildSummary { number: build.number, message: build.source_blob.version_description.clone() })
    };
    let mut items: Vec<Item> = all_releases.iter().map(|r| Item::Release(Box::new(r.clone()), made(r))).collect();
    items.extend(
        all_builds
            .iter()
            .filter(|b| b.release.is_none() || b.status.is_pending())
            .map(|b| Item::Build(Box::new(b.clone()))),
    );
    items.sort_by_key(|item| std::cmp::Reverse(item.at()));
    items
}

#[derive(Clone, Copy, PartialEq)]
enum Show {
    All,
    Code,
    Config,
}

/// `/apps/:app/activity`
#[component]
pub fn ActivityPage() -> impl IntoView {
    let app = ThisApp::of_page();
    let (for_releases, for_builds) = (client(), client());
    let query = use_query_map();
    let older = cursor(OLDER);
    let releases: LiveData<Page<Release>> = fetched(
        move || (app.name.get(), older.get()),
        move |(name, older): (String, Option<String>)| {
            for_releases.release_page(&name, cursors(older.as_deref()).0.as_deref())
        },
    );
    let builds: LiveData<Page<Build>> = fetched(
        move || (app.name.get(), older.get()),
        move |(name, older): (String, Option<String>)| -> Asked<Page<Build>> {
            for_builds.build_page(&name, cursors(older.as_deref()).1.as_deref())
        },
    );
    let compared = Memo::new(move |_| query.with(|q| q.get("compare")).as_deref().and_then(pair));
    let ticks = Ticks(RwSignal::new(compared.get_untracked().map(|(a, b)| vec![a, b]).unwrap_or_default()));
    provide_context(ticks);
    // The URL follows the selection, so that a comparison can be shared, and vice versa.
    let navigate = use_navigate();
    Effect::new(move |before: Option<()>| {
        let chosen = ticks.0.get();
        if let [a, b] = chosen[..]
            && before.is_some()
        {
            let to = app.path(&format!("/activity?compare=v{}..v{}", a.min(b), a.max(b)));
            navigate(&to, NavigateOptions { scroll: false, ..Default::default() });
        }
    });
    Effect::new(move |before: Option<Option<(i32, i32)>>| {
        let now = compared.get();
        if before.is_some_and(|before| before != now) {
            ticks.0.set(now.map(|(a, b)| vec![a, b]).unwrap_or_default());
            if now.is_some() {
                dom::bring("compare");
            }
        }
        now
    });
    view! {
        <div class=move || if compared.get().is_some() { "split" } else { "" }>
            <div class="page" id=OLDER>
                {releases.show(8, move |releases| builds.show(8, move |builds| view! { <Timeline app releases builds older/> }))}
            </div>
            {move || compared.get().map(|(from, to)| view! { <Compare app from to/> })}
        </div>
    }
    .into_any()
}

#[component]
fn Timeline(
    app: ThisApp,
    releases: Signal<Page<Release>>,
    builds: Signal<Page<Build>>,
    older: Memo<Option<String>>,
) -> impl IntoView {
    let clock = Clock::of_page();
    let show = RwSignal::new(Show::All);
    let all = Memo::new(move |_| {
        let (status, from) = (app.status.get(), older.get());
        releases.with(|r| builds.with(|b| merge_pages(r, b, status.as_ref(), from.as_deref())))
    });
    let shown = Memo::new(move |_| {
        let fits = |item: &Item| match show.get() {
            Show::All => true,
            Show::Code => item.is_code(),
            Show::Config => !item.is_code(),
        };
        all.get().items.into_iter().filter(fits).collect::<Vec<_>>()
    });
    let today = Memo::new(move |_| clock.local(clock.now()).date());
    // Days in the user's time zone, with their items.
    let days = Memo::new(move |_| {
        let mut days: Vec<(NaiveDate, Vec<Item>)> = Vec::new();
        for item in shown.get() {
            let day = clock.local(item.at()).date();
            match days.last_mut() {
                Some((last, items)) if *last == day => items.push(item),
                _ => days.push((day, vec![item])),
            }
        }
        days
    });
    view! {
        <div class="row wrap g3">
            <div class="seg" role="group" aria-label="Show">
                {[(Show::All, "All"), (Show::Code, "Code"), (Show::Config, "Config and more")].into_iter().map(|(choice, word)| view! {
                    <button type="button" aria-pressed=move || (show.get() == choice).to_string() on:click=move |_| show.set(choice)>{word}</button>
                }).collect_view()}
            </div>
            <Show when=move || older.with(Option::is_none)><LiveMark/></Show>
            <span class="push meta hide-p">"select two releases to compare them"</span>
        </div>
        <div class="stack">
            <Each each=move || days.get() key=|(day, items)| (*day, items.iter().map(Item::key).collect::<String>()) let:day>
                <h2 class="day">{move || words::day(day.0, today.get())}</h2>
                <ol class="tl">
                    {day.1.into_iter().map(|item| match item {
                        Item::Release(release, build) => Either::Left(view! { <ReleaseItem app release=*release made=build/> }),
                        Item::Build(build) => Either::Right(view! { <BuildItem app item=*build/> }),
                    }).collect_view()}
                </ol>
            </Each>
        </div>
        <Show when=move || shown.with(Vec::is_empty)>
            <p class="small dim">{move || if all.with(|a| a.older.is_some()) || older.with(Option::is_some) { "Nothing of this kind in this period." } else { "Nothing of this kind yet." }}</p>
        </Show>
        <nav class="row wrap" aria-label="Pages of the timeline">
            <Show when=move || older.with(Option::is_some)><a class="btn" href=move || app.path("/activity")>"Newest"</a></Show>
            <Show when=move || all.with(|a| a.older.is_some())>
                <a class="btn" href=move || app.path(&format!("/activity?{OLDER}={}#{OLDER}", all.with(|a| a.older.clone().unwrap_or_default())))>"Show older"<Icon name="right" size="i-s"/></a>
            </Show>
        </nav>
    }
    .into_any()
}

#[component]
fn ReleaseItem(app: ThisApp, release: Release, made: Option<BuildSummary>) -> impl IntoView {
    let clock = Clock::of_page();
    let ticks: Ticks = expect_context();
    let code = made.is_some() || release.commit.is_some();
    let number = made.as_ref().map(|m| m.number);
    let title = made.and_then(|m| m.message).unwrap_or_else(|| release.description.clone());
    let (tone, glyph) = match (release.status, release.rollout) {
        (ReleaseStatus::Failed, _) | (_, Rollout::Failed) => ("bad", "bad"),
        (ReleaseStatus::Pending, _) => ("busy", "busy"),
        (_, rollout) if rollout.is_open() && release.current => ("busy", "busy"),
        _ if !code => ("idle", "cfg"),
        // A dot is for what was seen to work.
        (_, Rollout::Unknown) => ("ok", "ok"),
        _ if !release.was_good() => ("idle", "idle"),
        _ => ("ok", "ok"),
    };
    let item = if release.current { format!("now {tone}") } else { tone.to_owned() };
    let version = release.version;
    let at = release.created_at;
    let never_worked = matches!(release.rollout, Rollout::Failed | Rollout::Superseded);
    let can_go_back = release.eligible_for_rollback && !release.current && !never_worked;
    let failed = release.failure().is_some();
    let outcome = outcome_text(&release);
    let can_cancel = release.may_cancel();
    view! {
        <li class=item id=format!("v{version}")>
            <span class="g"><svg class=if glyph == "busy" { "spin" } else { "" } aria-hidden="true"><use href=format!("#g-{glyph}")></use></svg></span>
            <div class="b">
                <div class="row wrap" style="gap:2px 8px">
                    <b class="nowrap">{format!("v{version}")}</b>
                    <bdi style="overflow-wrap:anywhere" title=release.description.clone()>{title}</bdi>
                    {release.current.then(|| view! { <span class="chip" style="--ks:var(--accent-fill);--k:var(--on-accent)">"Current"</span> })}
                </div>
                <div class="row wrap meta" style="gap:2px 8px;padding:3px 0 4px">
                    <Avatar who=release.user.email.clone()/>
                    <span>{words::who(&release.user.email)}", "<time datetime=at.to_rfc3339() title=words::exact(at)>{move || words::clock_time(clock.local(at))}</time></span>
                    {release.commit.as_deref().map(|c| view! { <span class="sha">{words::short_commit(c)}</span> })}
                    {outcome.map(|said| view! { <span class=format!("t-{tone}") style="overflow-wrap:anywhere">{said}</span> })}
                </div>
                <div class="vs">
                    {(version > 1).then(|| view! { <a href=move || app.path(&format!("/activity?compare=v{}..v{version}", version - 1))>"What changed"</a> })}
                    {number.map(|n| view! { <a href=move || app.path(&format!("/builds/{n}"))>"Build log"</a> })}
                    {release.output_stream_url.clone().map(|url| view! { <a href=url rel="external" target="_blank">"Release phase output"</a> })}
                    {failed.then(|| view! { <a href=move || app.path("/logs")>"Logs"</a> })}
                </div>
            </div>
            <div class="do row" style="align-self:start">
                <label class="row small dim">
                    <input type="checkbox" aria-label=format!("Compare v{version}")
                        prop:checked=move || ticks.0.with(|t| t.contains(&version)) on:change=move |_| ticks.toggle(version)/>
                    <span aria-hidden="true">"Compare"</span>
                </label>
                {can_cancel.then(|| view! { <CancelPhase app version/> })}
                {can_go_back.then(|| view! { <RollbackButton app=app.name.get_untracked() version/> })}
            </div>
        </li>
    }
    .into_any()
}

#[component]
fn BuildItem(app: ThisApp, item: Build) -> impl IntoView {
    let clock = Clock::of_page();
    let (tone, glyph) = match item.status {
        BuildStatus::Failed => ("bad", "bad"),
        BuildStatus::Pending => ("busy", "busy"),
        BuildStatus::Succeeded => ("ok", "ok"),
        BuildStatus::Unknown => ("idle", "cfg"),
    };
    let (number, at, until, status) = (item.number, item.created_at, item.updated_at, item.status);
    let outcome = move || match status {
        BuildStatus::Pending => format!("building for {}", words::span((clock.now() - at).num_seconds())),
        BuildStatus::Failed => format!("failed after {}, nothing released", words::span((until - at).num_seconds())),
        BuildStatus::Succeeded => format!("built in {}", words::span((until - at).num_seconds())),
        BuildStatus::Unknown => "unknown".to_owned(),
    };
    let queued = item.queue_position;
    view! {
        <li class=tone>
            <span class="g"><svg class=if glyph == "busy" { "spin" } else { "" } aria-hidden="true"><use href=format!("#g-{glyph}")></use></svg></span>
            <div class="b">
                <div class="row wrap" style="gap:2px 8px">
                    <b class="nowrap">{format!("Build {number}")}</b>
                    <bdi style="overflow-wrap:anywhere">{build_title(&item)}</bdi>
                </div>
                <div class="row wrap meta" style="gap:2px 8px;padding:3px 0 4px">
                    <Avatar who=item.user.email.clone()/>
                    <span>{words::who(&item.user.email)}", "<Ago at=at/></span>
                    {item.source_blob.version.as_deref().map(|c| view! { <span class="sha">{words::short_commit(c)}</span> })}
                    <span>{move || if queued > 0 { words::lower(&words::queued(queued)) } else { outcome() }}</span>
                </div>
                {item.error.clone().map(|why| view! { <div class="term" tabindex="0" aria-label="Why it failed"><pre class="e">{why}</pre></div> })}
            </div>
            <div class="do row" style="align-self:start">
                <a class="btn sm" href=move || app.path(&format!("/builds/{number}"))>
                    {if status.is_pending() { "Watch" } else { "Open log" }}
                </a>
            </div>
        </li>
    }
    .into_any()
}
