//! Jobs and schedules, for administrators: the platform's background work, its progress and its errors.

mod schedules;

use api::{
    client::{Page, read},
    jobs::{Job, JobQuery, JobState},
    live::{self, Topic},
};
use leptos::{either::Either, prelude::*};
use leptos_router::hooks::use_query_map;
use serde::Deserialize;
use ui::{
    clock::Clock,
    data::{LiveData, client, paged},
    live::{Changes, Live, Message},
    parts::{ActButton, Ago, Crumb, Deck, Each, LiveMark, PageHead, Pager, Show, Status, Toasts, Tone, act},
    words,
};

use self::schedules::Schedules;

/// The states to show: the value in the query, and the label.
const CHOICES: [(&str, &str); 5] = [
    ("", "All"),
    ("unfinished", "Unfinished"),
    ("succeeded", "Succeeded"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
];

/// `/jobs`, and those in one state: `/jobs?state=…`
#[component]
pub fn JobsPage() -> impl IntoView {
    follow_jobs();
    view! {
        <Deck title="Jobs".to_owned() crumbs=vec![Crumb::here("Jobs")]>
            <div class="page">
                <PageHead title=|| "Jobs" sub=|| view! { <span>"Work that the platform does in the background. It continues after a restart."</span><LiveMark/> }/>
                <Schedules/>
                <Jobs/>
            </div>
        </Deck>
    }
    .into_any()
}

/// The part of the topic's value that is used here.
#[derive(Deserialize)]
struct Changed {
    jobs_changed_at: Option<String>,
}

/// Refetches the lists of this page when a job has changed, too: most jobs leave nothing in the audit log.
fn follow_jobs() {
    let (changes, live) = (expect_context::<Changes>(), Live::of_page());
    Effect::new(move |_| {
        let last = StoredValue::new(None::<String>);
        live.subscribe(Topic::Platform, move |message| {
            let Message::Value(json) = message else { return };
            let Ok(Changed { jobs_changed_at }) = read(json) else { return };
            if last.try_get_value().is_some_and(|last| last != jobs_changed_at) {
                last.try_set_value(jobs_changed_at);
                changes.add(&live::Changed { nouns: ["job".to_owned()].into(), anything: false });
            }
        });
    });
}

#[component]
fn Jobs() -> impl IntoView {
    let (client, query) = (client(), use_query_map());
    let state = Memo::new(move |_| query.with(|q| q.get("state").unwrap_or_default()));
    let jobs: LiveData<Page<Job>> = paged(
        "jobs",
        &["job", "schedule"],
        move || state.get(),
        move |state: String, after| {
            client.job_page(&JobQuery { state: Some(state).filter(|s| !s.is_empty()), kind: None }, after)
        },
    );
    let choice = move |(name, word): (&'static str, &'static str)| {
        let href = if name.is_empty() { "/jobs".to_owned() } else { format!("/jobs?state={name}") };
        let here = move || (state.get() == name).then_some("page");
        view! { <a href=href aria-current=here>{word}</a> }
    };
    view! {
        <section class="sec" id="jobs" aria-labelledby="jobs-h">
            <div class="sec-h">
                <h2 id="jobs-h">"Jobs"</h2>
                <span class="meta">"newest first; removed a week after they end"</span>
                <nav class="seg push" aria-label="State">{CHOICES.map(choice).into_iter().collect_view()}</nav>
            </div>
            {jobs.show(8, move |list| view! { <List list/> })}
        </section>
    }
    .into_any()
}

#[component]
fn List(list: Signal<Page<Job>>) -> impl IntoView {
    let key = |job: &Job| (job.id, job.state, job.can_cancel, job.attempt, job.error.clone(), job.waits_for.clone());
    view! {
        <Show
            when=move || list.with(|p| !p.items.is_empty())
            fallback=|| view! { <div class="card"><p class="in small dim">"No jobs in this state."</p></div> }
        >
            <div class="card"><div class="tw"><table role="table" class="table">
                <thead role="rowgroup"><tr role="row">
                    <th role="columnheader">"Job"</th><th role="columnheader">"State"</th>
                    <th role="columnheader">"Progress"</th><th role="columnheader" class="r">"Attempt"</th>
                    <th role="columnheader">"Started"</th><th role="columnheader" class="act"><span class="vh">"Actions"</span></th>
                </tr></thead>
                <tbody role="rowgroup">
                    <Each each=move || list.with(|p| p.items.clone()) key let:job><Row job list/></Each>
                </tbody>
            </table></div></div>
        </Show>
        <Pager name="jobs" what="jobs" next=Signal::derive(move || list.with(|p| p.next.clone()))/>
    }
    .into_any()
}

/// The tone and the label of a state.
fn status(job: &Job) -> (Tone, &'static str) {
    match job.state {
        state if !state.has_ended() && job.cancel_requested_at.is_some() => (Tone::Busy, "Cancelling"),
        JobState::Pending => (Tone::Idle, "Pending"),
        JobState::Waiting => (Tone::Idle, "Waiting"),
        JobState::Running => (Tone::Busy, "Running"),
        JobState::Succeeded => (Tone::Ok, "Succeeded"),
        JobState::Failed => (Tone::Bad, "Failed"),
        JobState::Cancelled => (Tone::Idle, "Cancelled"),
        JobState::Unknown => (Tone::Idle, "Unknown"),
    }
}

#[component]
fn Row(job: Job, list: Signal<Page<Job>>) -> impl IntoView {
    let clock = Clock::of_page();
    let (tone, word) = status(&job);
    let id = job.id;
    // Updated every second, without rerendering the rest of the row.
    let reported = Memo::new(move |_| {
        list.with(|p| p.items.iter().find(|job| job.id == id).map(|job| (job.progress, job.note.clone())))
    });
    let about = job.about.clone().unwrap_or_else(|| job.subject.to_string());
    let schedule = job.schedule.as_ref().map(|name| format!(" · schedule {name}")).unwrap_or_default();
    let waits_for = job.waits_for.as_ref().map(|what| format!("for {what}"));
    let (run_at, state) = (job.run_at, job.state);
    let began = match job.started_at {
        Some(at) => Either::Left(view! { <Ago at=at/> }),
        None => Either::Right(move || format!("due {}", words::until(run_at, clock))),
    };
    let is_crashed = job.crashes > 0;
    let can_cancel = job.can_cancel;
    view! {
        <tr role="row">
            <td role="cell" class="w">
                <span class="name mono small">{job.kind.clone()}</span>
                <div class="meta" style="overflow-wrap:anywhere">{about.clone()}{schedule}</div>
                {job.error.clone().map(|why| view! { <div class="meta t-bad" style="overflow-wrap:anywhere">{why}</div> })}
                {job.cancel_advice.clone().map(|advice| view! { <div class="meta">{advice}</div> })}
            </td>
            <td role="cell">
                <Status tone=tone word=word.to_owned()/>
                {waits_for.map(|what| view! { <div class="meta">{what}</div> })}
            </td>
            <td role="cell" class="full-s" style="min-width:120px">
                {move || reported.get().filter(|_| state == JobState::Running).map(|(progress, note)| view! { <Progress progress note/> })}
            </td>
            <td role="cell" class="r" data-l="attempt">
                {job.attempt}
                {is_crashed.then(|| view! { <div class="meta t-warn nowrap">{words::count(job.crashes as usize, "crash", "crashes")}</div> })}
            </td>
            <td role="cell" class="dim" data-l="began">{began}</td>
            <td role="cell" class="act">{can_cancel.then(|| view! { <CancelButton job/> })}</td>
        </tr>
    }
    .into_any()
}

#[component]
fn Progress(progress: Option<f64>, note: Option<String>) -> impl IntoView {
    let percent = progress.map(|part| part * 100.0);
    view! {
        {percent.map(|percent| view! {
            <div class="meter" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100"
                aria-valuenow=format!("{percent:.0}") style=format!("--v:{percent:.1}")></div>
        })}
        {note.map(|note| view! { <div class="meta" style="overflow-wrap:anywhere">{note}</div> })}
    }
    .into_any()
}

#[component]
fn CancelButton(job: Job) -> impl IntoView {
    let (busy, client, toasts) = (RwSignal::new(false), client(), Toasts::of_page());
    let (id, kind) = (job.id.to_string(), job.kind);
    let cancel = Callback::new(move |()| {
        act(busy, "Could not cancel the job", client.job_cancel(&id), move |job| {
            toasts.done(match job.state {
                JobState::Running => format!("{} stops within seconds", job.kind),
                _ => format!("{} cancelled", job.kind),
            });
        });
    });
    view! { <ActButton class="btn gho sm dgr".to_owned() busy on_click=cancel>"Cancel"<span class="vh">" "{kind}</span></ActButton> }.into_any()
}
