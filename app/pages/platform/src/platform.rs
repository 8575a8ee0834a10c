//! The platform itself: checks, reconcilers and jobs.

use api::{
    jobs::JobState,
    live::Topic,
    platform::{JobInfo, PlatformInfo, ReconcilerInfo},
};
use leptos::{either::Either, prelude::*};
use ui::{
    clock::Clock,
    data::{LiveData, client},
    parts::{Ago, Crumb, Deck, Each, LiveMark, Meter, PageHead, Show, Status, Tone},
    words,
};

use super::backups::Backups;

/// `/platform`
#[component]
pub fn PlatformPage() -> impl IntoView {
    let client = client();
    let info: LiveData<PlatformInfo> =
        LiveData::new(|| (), move |()| client.platform_info(), |()| Some(Topic::Platform));
    view! {
        <Deck title="Platform".to_owned() crumbs=vec![Crumb::here("Platform")]>
            <div class="page">{info.show(6, |info| view! { <Platform info/> })}</div>
        </Deck>
    }
    .into_any()
}

#[component]
fn Platform(info: Signal<PlatformInfo>) -> impl IntoView {
    let clock = Clock::of_page();
    let up = move || info.with(|i| words::span((clock.now() - i.started_at).num_seconds()));
    view! {
        <PageHead
            title=|| "Platform"
            sub=move || view! {
                <span>"Wharf "{move || info.with(|i| i.version.clone())}</span>
                <span class="faint">"up for "{up}</span>
                <span class="faint">{move || info.with(|i| i.url.clone())}</span>
                <LiveMark/>
            }
        />
        <div class="cols">
            <div class="stack g6">
                <Backups/>
                <Reconcilers info/>
                <Jobs info/>
            </div>
            <aside class="stack g6" aria-label="Health">
                <Checks info/>
                <Disk info/>
            </aside>
        </div>
    }
    .into_any()
}

#[component]
fn Checks(info: Signal<PlatformInfo>) -> impl IntoView {
    let checks = Memo::new(move |_| info.with(|i| i.checks.clone()));
    let holding = move || checks.with(|c| format!("{} of {} pass", c.iter().filter(|c| c.ok).count(), c.len()));
    view! {
        <section class="sec">
            <div class="sec-h"><h2>"Checks"</h2><span class="push meta">{holding}</span></div>
            <div class="card">
                <ul class="proofs">
                    {move || checks.get().into_iter().map(|check| {
                        let (tone, glyph) = if check.ok { ("ok", "#g-seal") } else { ("bad", "#g-sealbad") };
                        view! {
                            <li class=tone>
                                <svg aria-hidden="true"><use href=glyph></use></svg>
                                <span>{check.name}</span>
                                <span class="when">{if check.ok { "" } else { "action needed" }}</span>
                                <span class="how" style="overflow-wrap:anywhere">{check.detail}</span>
                            </li>
                        }
                    }).collect_view()}
                </ul>
            </div>
        </section>
    }
    .into_any()
}

#[component]
fn Disk(info: Signal<PlatformInfo>) -> impl IntoView {
    let used = Signal::derive(move || info.with(|i| i.disk.total.saturating_sub(i.disk.free)) as f64);
    let total = Signal::derive(move || info.with(|i| i.disk.total) as f64);
    view! {
        <section class="sec">
            <h2>"Disk"</h2>
            <div class="card"><div class="in stack g2">
                <div class="row small"><span class="dim">"Used"</span><span class="push">{move || format!("{} of {}", words::bytes(used.get() as u64), words::bytes(total.get() as u64))}</span></div>
                <Meter label="Disk used" value=used limit=total/>
            </div></div>
        </section>
    }
    .into_any()
}

#[component]
fn Reconcilers(info: Signal<PlatformInfo>) -> impl IntoView {
    let names = Memo::new(move |_| info.with(|i| i.reconcilers.iter().map(|r| r.name.clone()).collect::<Vec<_>>()));
    view! {
        <section class="sec">
            <div class="sec-h"><h2>"Reconcilers"</h2><span class="meta">"keep the actual state in line with the desired state"</span></div>
            <div class="card"><div class="tw"><table role="table" class="table">
                <thead role="rowgroup"><tr role="row">
                    <th role="columnheader">"Reconciler"</th><th role="columnheader">"State"</th><th role="columnheader">"Last run"</th>
                    <th role="columnheader" class="r">"Duration"</th><th role="columnheader" class="r">"Runs"</th>
                </tr></thead>
                <tbody role="rowgroup">
                    <Each each=move || names.get() key=String::clone children=move |name| view! { <Reconciler name info/> }/>
                </tbody>
            </table></div></div>
        </section>
    }
    .into_any()
}

#[component]
fn Reconciler(name: String, info: Signal<PlatformInfo>) -> impl IntoView {
    let wanted = name.clone();
    let row = Memo::new(move |_| info.with(|i| i.reconcilers.iter().find(|r| r.name == wanted).cloned()));
    let failed = Memo::new(move |_| row.with(|r| r.as_ref().map(|r| r.failed.clone()).unwrap_or_default()));
    let of = move |f: fn(&ReconcilerInfo) -> String| row.with(|r| r.as_ref().map(f).unwrap_or_default());
    let done = move || of(|r| r.done.join(" · "));
    let state = move || if failed.with(Vec::is_empty) { (Tone::Ok, "OK") } else { (Tone::Bad, "Failed") };
    view! {
        <tr role="row">
            <td role="cell" class="w">
                <span class="name mono small">{name}</span>
                <div class="meta clip" style="max-width:clamp(220px,22vw,420px)">{done}</div>
                {move || failed.get().into_iter().map(|why| view! { <div class="meta t-bad" style="overflow-wrap:anywhere">{why}</div> }).collect_view()}
            </td>
            <td role="cell"><Status tone=Signal::derive(move || state().0) word=Signal::derive(move || state().1.to_owned())/></td>
            <td role="cell" class="dim">{move || match row.with(|r| r.as_ref().and_then(|r| r.last_run_at)) {
                Some(at) => Either::Left(view! { <Ago at=at/> }),
                None => Either::Right("never"),
            }}</td>
            <td role="cell" class="r hide-s" data-l="duration">{move || of(|r| words::milliseconds(r.duration_ms as f64))}</td>
            <td role="cell" class="r hide-s" data-l="runs">{move || of(|r| words::thousands(r.runs))}</td>
        </tr>
    }
    .into_any()
}

#[component]
fn Jobs(info: Signal<PlatformInfo>) -> impl IntoView {
    let jobs = Memo::new(move |_| info.with(|i| i.jobs.clone()));
    view! {
        <section class="sec">
            <div class="sec-h"><h2>"Jobs"</h2><span class="meta">"unfinished and recently failed"</span><a class="push small" href="/jobs">"All jobs and schedules"</a></div>
            <Show
                when=move || !jobs.with(Vec::is_empty)
                fallback=|| view! { <div class="card"><p class="in small dim">"No unfinished or failed jobs."</p></div> }
            >
                <div class="card"><div class="tw"><table role="table" class="table">
                    <thead role="rowgroup"><tr role="row">
                        <th role="columnheader">"Job"</th><th role="columnheader">"State"</th><th role="columnheader" class="r">"Attempt"</th><th role="columnheader">"Since"</th>
                    </tr></thead>
                    <tbody role="rowgroup">
                        <Each each=move || jobs.get() key=|j| (j.id, j.state, j.attempt) let:job><Job job/></Each>
                    </tbody>
                </table></div></div>
            </Show>
        </section>
    }
    .into_any()
}

#[component]
fn Job(job: JobInfo) -> impl IntoView {
    let tone = match job.state {
        JobState::Failed => Tone::Bad,
        JobState::Running => Tone::Busy,
        _ => Tone::Idle,
    };
    let mut word = job.state.to_string();
    if let Some(first) = word.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    view! {
        <tr role="row">
            <td role="cell" class="w">
                <span class="name mono small">{job.kind}</span>
                <div class="meta mono clip">{job.subject.to_string()}</div>
                {job.error.map(|why| view! { <div class="meta t-bad" style="overflow-wrap:anywhere">{why}</div> })}
            </td>
            <td role="cell"><Status tone=tone word=word/></td>
            <td role="cell" class="r" data-l="attempt">{job.attempt}</td>
            <td role="cell" class="dim"><Ago at=job.created_at/></td>
        </tr>
    }
    .into_any()
}
