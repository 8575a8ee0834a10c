//! Jobs: every query.

use api::{
    ids::JobId,
    jobs::JobState::{self, Failed, Pending, Succeeded, Waiting},
};
use store::{jobs::*, schedules};
use uuid::Uuid;

use crate::world::{World, all, at};

#[tokio::test]
async fn jobs() {
    let w = World::start().await;
    for (state, finished) in [("pending", None), ("failed", Some(at(1))), ("succeeded", Some(at(1)))] {
        sqlx::query(
            "insert into jobs (id, kind, subject, params, state, finished_at) values ($1, 'x', $1, '{}', $2, $3)",
        )
        .bind(Uuid::now_v7())
        .bind(state)
        .bind(finished)
        .execute(&w.db)
        .await
        .unwrap();
    }
    let found = async |state: Option<Which>, kind: Option<&str>| {
        let filter = Filter { state, kind: kind.map(String::from) };
        let page = job_list(&w.db, &filter, &all(&LIST)).await.unwrap();
        page.rows.into_iter().map(|job| job.state).collect::<Vec<_>>()
    };
    let current = async || job_list_current(&w.db).await.unwrap().into_iter().map(|job| job.state).collect::<Vec<_>>();
    assert_eq!(current().await, [Pending, Failed]);
    assert_eq!(found(None, None).await, [Succeeded, Failed, Pending]);
    assert_eq!(found(Some(Which::Unfinished), Some("x")).await, [Pending]);
    assert!(found(None, Some("y")).await.is_empty() && found(Some(Which::In(Waiting)), None).await.is_empty());
    // The newest jobs of each kind stay.
    job_sweep(&w.db, at(0), 2).await.unwrap();
    assert_eq!(found(None, None).await, [Succeeded, Failed, Pending]);
    job_sweep(&w.db, at(0), 1).await.unwrap();
    assert_eq!(found(None, None).await, [Succeeded, Pending]);
    job_sweep(&w.db, at(2), 1).await.unwrap();
    assert_eq!(current().await, [Pending]);

    sqlx::query("update jobs set waits_for = 'the tide'").execute(&w.db).await.unwrap();
    assert_eq!(found(Some(Which::In(Waiting)), None).await, [Waiting]);
    assert!(found(Some(Which::In(Pending)), None).await.is_empty());
    let id = job_list(&w.db, &Filter::default(), &all(&LIST)).await.unwrap().rows[0].id;
    let job = job_info(&w.db, id).await.unwrap().unwrap();
    assert_eq!((job.waits_for.as_deref(), job.app, job.build), (Some("the tide"), None, None));
    assert_eq!(job_changed_at(&w.db).await.unwrap(), Some(job.updated_at));
    sqlx::query("insert into job_steps (job, name, output) values ($1, 'look', '1')")
        .bind(id)
        .execute(&w.db)
        .await
        .unwrap();
    assert_eq!(job_step_list(&w.db, id).await.unwrap()[0].0, "look");
}

#[tokio::test]
async fn a_job_is_about_an_app_a_build_or_a_release() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let release = w.release(app, "succeeded", None).await;
    for subject in [app.get(), release.get()] {
        sqlx::query("insert into jobs (id, kind, subject, params) values ($1, 'x', $2, '{}')")
            .bind(Uuid::now_v7())
            .bind(subject)
            .execute(&w.db)
            .await
            .unwrap();
    }
    let jobs = job_list(&w.db, &Filter::default(), &all(&LIST)).await.unwrap().rows;
    let of = |subject| jobs.iter().find(|job| job.subject == subject).unwrap();
    assert_eq!((of(app.get()).app.as_deref(), of(app.get()).release), (Some("dusk"), None));
    assert_eq!(of(release.get()).app.as_deref(), Some("dusk"));
    assert!(of(release.get()).release.is_some() && of(release.get()).build.is_none());
}

#[tokio::test]
async fn schedules() {
    let w = World::start().await;
    let job = JobId::now_v7();
    sqlx::query("insert into jobs (id, kind, subject, params, state) values ($1, 'x', $1, '{}', 'running')")
        .bind(job)
        .execute(&w.db)
        .await
        .unwrap();
    sqlx::query(
        "insert into schedules (id, name, about, cron, zone, kind, subject, params, next_at, last_at, last_job)
         values ($1, 'tides', 'Looks at the tide.', '0 4 * * *', 'Europe/Berlin', 'x', $1, '{}', now(), now(), $1)",
    )
    .bind(job)
    .execute(&w.db)
    .await
    .unwrap();
    let page = schedules::schedule_list(&w.db, &all(&schedules::LIST)).await.unwrap();
    assert_eq!((page.rows.len(), page.rows[0].last_state), (1, Some(JobState::Running)));
    assert_eq!(schedules::schedule_by_name(&w.db, "tides").await.unwrap().unwrap().last_job, Some(job));
    assert!(schedules::schedule_by_name(&w.db, "x").await.unwrap().is_none());
}
