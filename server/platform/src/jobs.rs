//! Jobs, for administrators: lists and cancellation. How jobs run is in the crate `background`.

use api::{
    ids::JobId,
    jobs::{Job, JobQuery, JobState, JobStep},
};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use background::Cancel;
use base::{Error, Result, Subject, SubjectKind, pages, web::Search};
use identity::Actor;
use store::jobs::{Filter, LIST, Row, Which};

use crate::Platform;

fn missing() -> Error {
    Error::not_found("job", "Couldn't find that job. Jobs are removed a week after they have ended.")
}

/// A description of a job's subject.
fn about(row: &Row) -> Option<String> {
    if row.subject == background::PLATFORM {
        return Some("the platform".to_owned());
    }
    let app = row.app.as_deref()?;
    Some(match (row.build, row.release) {
        (Some(build), _) => format!("build {build} of {app}"),
        (None, Some(release)) => format!("v{release} of {app}"),
        (None, None) => app.to_owned(),
    })
}

/// Why an unfinished job of this kind cannot be cancelled, and what to do instead.
fn advice(platform: &Platform, kind: &str) -> Option<&'static str> {
    match platform.background().kind(kind).map(|kind| kind.cancel) {
        Some(Cancel::Allowed) => None,
        Some(Cancel::Instead(advice)) => Some(advice),
        None => Some("This version of the platform does not know jobs of this kind."),
    }
}

fn shown(platform: &Platform, row: Row) -> Job {
    let state = row.state;
    let advice = (!state.has_ended()).then(|| advice(platform, &row.kind)).flatten();
    Job {
        about: about(&row),
        can_cancel: !state.has_ended() && advice.is_none() && row.cancel_requested_at.is_none(),
        cancel_advice: advice.map(str::to_owned),
        id: row.id,
        kind: row.kind,
        subject: row.subject,
        schedule: row.schedule,
        state,
        progress: row.progress,
        note: row.note,
        waits_for: row.waits_for,
        attempt: row.attempt,
        crashes: row.crashes,
        run_at: row.run_at,
        error: row.error,
        cancel_requested_at: row.cancel_requested_at,
        created_at: row.created_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
        steps: Vec::new(),
    }
}

/// A job with its steps.
pub(crate) async fn info(platform: &Platform, id: JobId) -> Result<Job> {
    let row = store::jobs::job_info(platform.db(), id).await?.ok_or_else(missing)?;
    let steps = store::jobs::job_step_list(platform.db(), id).await?;
    let steps = steps.into_iter().map(|(name, finished_at)| JobStep { name, finished_at }).collect();
    Ok(Job { steps, ..shown(platform, row) })
}

/// The jobs in the state called `name`.
fn which(name: &str) -> Result<Which> {
    match (name, JobState::named(name)) {
        ("unfinished", _) => Ok(Which::Unfinished),
        (_, Some(state)) => Ok(Which::In(state)),
        (_, None) => {
            let known = JobState::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ");
            Err(Error::invalid(format!("There is no state {name:.50?}. Valid states: unfinished, {known}.")))
        }
    }
}

/// `GET /jobs`
pub async fn job_list(
    State(platform): State<Platform>,
    actor: Actor,
    Search(query): Search<JobQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    actor.must_administer()?;
    // Forms send empty fields, which are ignored.
    let given = |text: Option<String>| text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    let state = given(query.state).map(|name| which(&name)).transpose()?;
    let filter = Filter { state, kind: given(query.kind) };
    let range = pages::requested(&headers, &LIST)?;
    let page = store::jobs::job_list(platform.db(), &filter, &range).await?;
    Ok(pages::respond(&LIST, &range, page.map(|row| shown(&platform, row))))
}

/// `GET /jobs/{job}`
pub async fn job_info(State(platform): State<Platform>, actor: Actor, Path(job): Path<String>) -> Result<Json<Job>> {
    actor.must_administer()?;
    let id = job.parse().map_err(|_| missing())?;
    Ok(Json(info(&platform, id).await?))
}

/// `POST /jobs/{job}/actions/cancel`: stops within seconds if it is running. Repeating the request has no effect.
pub async fn job_cancel(State(platform): State<Platform>, actor: Actor, Path(job): Path<String>) -> Result<Json<Job>> {
    actor.must_administer()?;
    let id: JobId = job.parse().map_err(|_| missing())?;
    let before = info(&platform, id).await?;
    if before.state.has_ended() {
        return Err(ended(before.state));
    }
    if let Some(advice) = before.cancel_advice {
        return Err(Error::conflict(format!("Jobs of the kind {} cannot be cancelled. {advice}", before.kind)));
    }
    let mut change = actor.change(Subject::new(SubjectKind::Job, id, &before.kind)).await?;
    let is_new = background::request_cancel(&mut change, id).await?;
    if is_new {
        let summary = format!("Cancelled the job {} ({id}).", before.kind);
        let data = serde_json::json!({ "job": id, "kind": before.kind, "subject": before.subject });
        change.record("job.cancel", summary, data);
    }
    change.commit().await?;
    let after = info(&platform, id).await?;
    match after.state.has_ended() && after.cancel_requested_at.is_none() {
        // It ended in the meantime.
        true => Err(ended(after.state)),
        false => Ok(Json(after)),
    }
}

fn ended(state: JobState) -> Error {
    Error::conflict(format!(
        "The job has already {}.",
        match state {
            JobState::Cancelled => "been cancelled",
            other => other.as_str(),
        }
    ))
}
