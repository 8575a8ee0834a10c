//! Schedules: the platform's regular jobs. The scheduler is in the crate `background`.

use api::schedules::{LastJob, Schedule};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use background::Enqueued;
use base::{Error, Result, Subject, SubjectKind, pages, web::Accepted};
use identity::Actor;
use store::schedules::{LIST, Row};

use crate::{Platform, jobs};

fn shown(row: Row) -> Schedule {
    let last_job = row.last_job.zip(row.last_state).map(|(id, state)| LastJob { id, state });
    Schedule {
        id: row.id,
        name: row.name,
        about: row.about,
        cron: row.cron,
        zone: row.zone,
        kind: row.kind,
        next_run_at: row.next_at,
        last_run_at: row.last_at,
        last_job,
    }
}

/// `GET /schedules`
pub async fn schedule_list(State(platform): State<Platform>, actor: Actor, headers: HeaderMap) -> Result<Response> {
    actor.must_administer()?;
    let range = pages::requested(&headers, &LIST)?;
    let page = store::schedules::schedule_list(platform.db(), &range).await?;
    Ok(pages::respond(&LIST, &range, page.map(shown)))
}

/// `POST /schedules/{schedule}/actions/run`: runs its job now; its next run stays as scheduled.
pub async fn schedule_run(
    State(platform): State<Platform>,
    actor: Actor,
    Path(name): Path<String>,
) -> Result<Accepted<api::jobs::Job>> {
    actor.must_administer()?;
    let missing = || Error::not_found("schedule", "Couldn't find that schedule.");
    let row = store::schedules::schedule_by_name(platform.db(), &name).await?.ok_or_else(missing)?;
    let mut change = actor.change(Subject::new(SubjectKind::Schedule, row.id, &name)).await?;
    let job = match background::enqueue_now(&mut change, &row.name).await?.ok_or_else(missing)? {
        Enqueued::New(job) => job,
        Enqueued::Unfinished(job) => {
            return Err(Error::conflict(format!(
                "The job of {name} is not finished yet (job {job}). Wait for it, or cancel it first."
            )));
        }
    };
    let data = serde_json::json!({ "job": job });
    change.record("schedule.run", format!("Ran {name} outside its schedule."), data);
    change.commit().await?;
    Ok(Accepted(jobs::info(&platform, job).await?))
}
