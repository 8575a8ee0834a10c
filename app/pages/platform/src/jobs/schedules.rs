//! The platform's schedules: the next run, and the outcome of the last one.

use api::{client::Page, jobs::JobState, schedules::Schedule};
use leptos::{either::Either, prelude::*};
use ui::{
    clock::Clock,
    data::{LiveData, client, paged},
    parts::{ActButton, Ago, Each, Pager, Toasts, act},
    words,
};

/// All schedules.
#[component]
pub fn Schedules() -> impl IntoView {
    let client = client();
    let schedules: LiveData<Page<Schedule>> =
        paged("schedules", &["schedule", "job"], || (), move |(), after| client.schedule_page(after));
    view! {
        <section class="sec" id="schedules" aria-labelledby="schedules-h">
            <div class="sec-h"><h2 id="schedules-h">"Schedules"</h2><span class="meta">"a single run makes up for all missed ones"</span></div>
            {schedules.show(3, move |list| view! {
                <div class="card"><div class="tw"><table role="table" class="table">
                    <thead role="rowgroup"><tr role="row">
                        <th role="columnheader">"Schedule"</th><th role="columnheader">"When"</th>
                        <th role="columnheader">"Next run"</th><th role="columnheader">"Last run"</th>
                        <th role="columnheader" class="act"><span class="vh">"Actions"</span></th>
                    </tr></thead>
                    <tbody role="rowgroup">
                        <Each each=move || list.with(|p| p.items.clone()) key=key let:schedule><Row schedule/></Each>
                    </tbody>
                </table></div></div>
                <Pager name="schedules" what="schedules" next=Signal::derive(move || list.with(|p| p.next.clone()))/>
            })}
        </section>
    }
    .into_any()
}

/// The part of a schedule that changes.
fn key(schedule: &Schedule) -> impl std::fmt::Debug + use<> {
    (schedule.id, schedule.next_run_at, schedule.last_run_at, schedule.last_job.as_ref().map(|job| (job.id, job.state)))
}

#[component]
fn Row(schedule: Schedule) -> impl IntoView {
    let clock = Clock::of_page();
    let became = schedule.last_job.as_ref().map(|job| match job.state {
        JobState::Succeeded => ("dim", "succeeded"),
        JobState::Failed => ("t-bad", "failed"),
        JobState::Cancelled => ("dim", "cancelled"),
        _ => ("dim", "unfinished"),
    });
    let next = schedule.next_run_at;
    view! {
        <tr role="row">
            <td role="cell" class="w">
                <span class="name">{schedule.name.clone()}</span>
                <div class="meta">{schedule.about.clone()}</div>
            </td>
            <td role="cell" class="full-s" data-l="when"><span class="mono small nowrap">{schedule.cron.clone()}</span><div class="meta">{schedule.zone.clone()}</div></td>
            <td role="cell" data-l="next run">{match next {
                Some(at) => Either::Left(view! {
                    <time class="nowrap" datetime=at.to_rfc3339() title=words::exact(at)>{move || words::until(at, clock)}</time>
                }),
                None => Either::Right("never"),
            }}</td>
            <td role="cell" class="dim" data-l="last run">
                {match schedule.last_run_at {
                    Some(at) => Either::Left(view! { <Ago at=at/> }),
                    None => Either::Right("never"),
                }}
                {became.map(|(class, word)| view! { <div class=format!("meta {class}")>{word}</div> })}
            </td>
            <td role="cell" class="act"><RunNow schedule/></td>
        </tr>
    }
    .into_any()
}

#[component]
fn RunNow(schedule: Schedule) -> impl IntoView {
    let (busy, client, toasts) = (RwSignal::new(false), client(), Toasts::of_page());
    let (name, shown) = (schedule.name.clone(), schedule.name);
    let run = Callback::new(move |()| {
        act(busy, "Could not run the schedule", client.schedule_run(&name), move |job| {
            toasts.done(format!("{} started", job.kind));
        });
    });
    view! { <ActButton class="btn sm".to_owned() busy on_click=run>"Run now"<span class="vh">" "{shown}</span></ActButton> }
        .into_any()
}
