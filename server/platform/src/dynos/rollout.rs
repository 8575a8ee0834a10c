//! Records what becomes of releases: that they are up, that they have stayed up for their watch period, or that they have
//! not. Then the release before serves again, if there is one that did.
//!
//! Decided by [`plan::verdict`], before the run looks for dynos to stop and gives the router its table: in the run that
//! finds a web dyno crashed, requests go back to the old dynos.

use std::collections::BTreeSet;

use anyhow::{Context as _, anyhow};
use api::{
    ids::{AppId, ReleaseId},
    releases::Rollout,
};
use background::Report;
use base::{Kind, Subject, SubjectKind, events::EventActor};
use chrono::Utc;
use store::rollouts::Fall;

use super::{
    plan::{self, App, Verdict},
    world::World,
};
use crate::{Platform, released};

/// Failures recorded in one run: the others wait for the next, so that no run takes long.
const MOST_FAILURES: usize = 20;

/// Records what is new about the releases, in the database and in `world`.
pub(super) async fn settle(platform: &Platform, world: &mut World, report: &mut Report) -> anyhow::Result<()> {
    note_up(platform, world).await.context("record which releases are up")?;
    let mut failures = 0;
    for (app, verdict) in world.verdicts() {
        failures += usize::from(matches!(verdict, Verdict::Failed { .. }));
        if failures > MOST_FAILURES {
            break;
        }
        if let Err(err) = settle_one(platform, world, app, &verdict).await {
            report.failed.push(format!("record what became of a release: {err:#}"));
        }
    }
    Ok(())
}

async fn note_up(platform: &Platform, world: &mut World) -> anyhow::Result<()> {
    let now_up = plan::up_releases(world.rows());
    let of = |all: &BTreeSet<ReleaseId>, others: &BTreeSet<ReleaseId>| {
        all.difference(others).copied().collect::<Vec<ReleaseId>>()
    };
    let (up, down) = (of(&now_up, &world.noted_up), of(&world.noted_up, &now_up));
    if up.is_empty() && down.is_empty() {
        return Ok(());
    }
    let mut db = platform.db().acquire().await?;
    let apps = store::rollouts::rollout_note_up(&mut db, &up, &down, Utc::now()).await?;
    drop(db);
    world.noted_up = now_up;
    // It follows from the states of dynos, and wakes no reconciler either.
    apps.into_iter().for_each(|app| platform.publish(Kind::DynoState, app));
    Ok(())
}

async fn settle_one(platform: &Platform, world: &mut World, id: AppId, verdict: &Verdict) -> anyhow::Result<()> {
    let Some(app) = world.wanted_mut(id) else { return Ok(()) };
    match verdict {
        Verdict::Up => {
            store::rollouts::rollout_watch(platform.db(), app.release, Utc::now()).await?;
            if let Some(trial) = &mut app.trial {
                trial.rollout = Rollout::Watching;
            }
            platform.publish(Kind::Release, id);
        }
        Verdict::Passed => {
            if store::rollouts::rollout_pass(platform.db(), app.release, Utc::now()).await? {
                app.trial = None;
                platform.publish(Kind::Release, id);
            }
        }
        Verdict::Failed { dyno, why } => {
            if !fail(platform, app, dyno, why).await? {
                return Ok(());
            }
            let base = app.trial.as_mut().and_then(|trial| {
                trial.rollout = Rollout::Failed;
                trial.base.take()
            });
            if let Some(base) = base {
                *app = *base;
            }
        }
    }
    Ok(())
}

/// Records that a release has failed, and makes the release before the current one again. Returns `false` if something
/// about the app is being changed: nobody waits for that, and the next run decides anew.
async fn fail(platform: &Platform, app: &App, dyno: &str, why: &str) -> anyhow::Result<bool> {
    let base = app.trial.as_ref().and_then(|trial| trial.base.as_deref());
    let subject = Subject::new(SubjectKind::Release, app.release, format!("v{}", app.version)).part_of(app.id);
    let mut tx = platform.change(EventActor::platform(), subject).await.map_err(|err| anyhow!("{err}"))?;
    if !store::apps::app_try_lock(&mut *tx, app.id).await? {
        return Ok(false);
    }
    let fall = Fall { dyno, why, is_replaced: base.is_some() };
    if !store::rollouts::rollout_fail(&mut *tx, app.release, fall, Utc::now()).await? {
        return Ok(false);
    }
    if let Some(base) = base {
        released::restore(&mut tx, app.id, base.release).await.map_err(|err| anyhow!("{err}"))?;
    }
    let serves = base.map_or_else(String::new, |base| format!(" v{} keeps serving.", base.version));
    let data = serde_json::json!({ "release": app.version, "dyno": dyno, "serving": base.map(|base| base.version) });
    tx.record("release.fail", format!("v{} did not stay up: {dyno}: {why}.{serves}", app.version), data);
    tx.commit().await?;
    platform.said(app.id, "api", &format!("Release v{} failed: {dyno}: {why}.{serves}", app.version));
    Ok(true)
}
