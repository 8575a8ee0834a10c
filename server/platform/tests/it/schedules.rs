//! Jobs and schedules for administrators: listing, cancelling, running, and rejections.

use api::{
    ids::JobId,
    jobs::{Job, JobState},
    schedules::Schedule,
};
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, until};

impl World {
    /// Enqueues a job that is due after the test. Returns its id.
    async fn queued(&self, kind: &str, subject: Uuid) -> JobId {
        let id = JobId::now_v7();
        sqlx::query(
            "insert into jobs (id, kind, subject, params, run_at)
             values ($1, $2, $3, '{\"password\": \"swordfish\"}', now() + interval '1 day')",
        )
        .bind(id)
        .bind(kind)
        .bind(subject)
        .execute(&self.db)
        .await
        .unwrap();
        id
    }

    async fn jobs(&self, query: &str) -> Vec<Job> {
        self.owner.list(format!("/jobs{query}"), None).await.unwrap()
    }

    async fn schedules(&self) -> Vec<Schedule> {
        self.owner.list("/schedules".into(), None).await.unwrap()
    }

    /// Waits until all jobs that are enqueued at startup have ended.
    async fn begun(&self) {
        until("what is begun at the start is done", async || {
            let left = self.jobs("?state=unfinished").await;
            if left.is_empty() && self.jobs("").await.len() >= 2 { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    }

    /// The summaries of the events with this action.
    async fn noted(&self, action: &str) -> Vec<String> {
        let events = self.owner.event_list_all().await.unwrap();
        events.into_iter().filter(|event| event.action == action).map(|event| event.summary).collect()
    }
}

#[tokio::test]
async fn what_is_due_at_the_start_is_begun_and_due_again_within_the_hour() {
    let t = World::start().await;
    t.begun().await;
    let all = t.schedules().await;
    let names: Vec<_> = all.iter().map(|s| (s.name.as_str(), s.kind.as_str(), s.zone.as_str())).collect();
    let begun = [("repositories", "repositories.clean", "Etc/UTC"), ("retention", "retention.run", "Etc/UTC")];
    assert_eq!(names, [&[("backups", "backups.run", "Etc/UTC")], begun.as_slice()].concat());
    // Backups are off until they have a target.
    assert_eq!((all[0].last_run_at, all[0].next_run_at), (None, None));
    for schedule in all.into_iter().skip(1) {
        let (last, next) = (schedule.last_run_at.unwrap(), schedule.next_run_at.unwrap());
        assert!(last < next && next - last <= chrono::Duration::hours(1), "{last} {next}");
        assert_eq!(schedule.last_job.unwrap().state, JobState::Succeeded);
    }
    // A job shows its steps, but not their data.
    let job = t.jobs("?kind=retention.run").await.pop().unwrap();
    assert_eq!((job.schedule.as_deref(), job.about.as_deref()), (Some("retention"), Some("the platform")));
    let job = t.owner.job_info(&job.id.to_string()).await.unwrap();
    assert_eq!((job.steps.len(), job.steps[0].name.as_str(), job.can_cancel), (11, "encrypt old URLs", false));
}

#[tokio::test]
async fn a_schedule_is_run_when_an_administrator_wants_it() {
    let t = World::start().await;
    t.begun().await;
    let before = t.schedules().await.pop().unwrap();
    let job = t.owner.schedule_run("retention").await.unwrap();
    assert_eq!((job.kind.as_str(), job.schedule.as_deref()), ("retention.run", Some("retention")));
    t.begun().await;
    let after = t.schedules().await.pop().unwrap();
    assert_eq!((after.last_job.unwrap().id, after.next_run_at), (job.id, before.next_run_at));
    assert_eq!(t.noted("schedule.run").await, ["Ran retention outside its schedule."]);
    assert_eq!(t.owner.post("/schedules/nightly/actions/run", json!({})).await.error().0, 404);
    // No second job is enqueued while the first one is unfinished.
    t.platform.leave_jobs();
    t.owner.schedule_run("retention").await.unwrap();
    let (status, id, message) = t.owner.post("/schedules/retention/actions/run", json!({})).await.error();
    assert_eq!((status, id.as_str()), (409, "conflict"));
    assert!(message.contains("is not finished yet"), "{message}");
    assert_eq!(t.stranger.post("/schedules/retention/actions/run", json!({})).await.error().1, "forbidden");
}

#[tokio::test]
async fn a_job_is_cancelled_once_and_by_whom_is_noted() {
    let t = World::start().await;
    t.begun().await;
    t.platform.leave_jobs();
    let job = t.owner.schedule_run("retention").await.unwrap();
    assert!(job.can_cancel && job.cancel_advice.is_none());
    let path = format!("/jobs/{}/actions/cancel", job.id);
    assert_eq!(t.stranger.post(&path, json!({})).await.error().1, "forbidden");
    let all = futures::future::join_all((0..4).map(|_| t.owner.post(&path, json!({})))).await;
    for answer in all {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.json()["cancel_requested_at"].is_string() && answer.json()["can_cancel"] == false);
    }
    assert_eq!(t.noted("job.cancel").await, [format!("Cancelled the job retention.run ({}).", job.id)]);
    let registry = background::Registry::default().with::<platform::testing::Retain>(t.platform.clone());
    assert!(background::run_next(&t.db, &registry).await.unwrap());
    assert_eq!(t.owner.job_info(&job.id.to_string()).await.unwrap().state, JobState::Cancelled);
    let (status, _, message) = t.owner.post(&path, json!({})).await.error();
    assert_eq!((status, message.as_str()), (409, "The job has already been cancelled."));
}

#[tokio::test]
async fn jobs_that_cannot_be_cancelled_give_advice() {
    let t = World::start().await;
    t.platform.leave_jobs();
    for (kind, advice) in [
        ("builds.run", "wharf builds:cancel"),
        ("releases.run", "wharf releases:cancel"),
        ("apps.destroy", "cannot be restored"),
        ("slugs.unpack", "Roll the app back"),
        ("of.another.version", "does not know jobs of this kind"),
    ] {
        let id = t.queued(kind, Uuid::now_v7()).await;
        let job = t.owner.job_info(&id.to_string()).await.unwrap();
        assert!(!job.can_cancel && job.cancel_advice.is_some(), "{job:?}");
        let (status, _, message) = t.owner.post(&format!("/jobs/{id}/actions/cancel"), json!({})).await.error();
        assert!(status == 409 && message.contains(advice), "{status} {message}");
    }
    for id in ["x", &Uuid::now_v7().to_string()] {
        assert_eq!(t.owner.get(&format!("/jobs/{id}")).await.error().0, 404);
        assert_eq!(t.owner.post(&format!("/jobs/{id}/actions/cancel"), json!({})).await.error().0, 404);
    }
    assert_eq!(t.noted("job.cancel").await, Vec::<String>::new());
}

#[tokio::test]
async fn jobs_are_found_by_state_and_kind_and_show_no_parameters() {
    let t = World::start().await;
    t.begun().await;
    let app = t.app("dusk").await;
    let id = t.queued("test.kind", app.id.get()).await;
    sqlx::query("update jobs set waits_for = 'the tide', progress = 0.25, note = 'low' where id = $1")
        .bind(id)
        .execute(&t.db)
        .await
        .unwrap();
    sqlx::query("insert into job_steps (job, name, output) values ($1, 'look', '\"swordfish\"')")
        .bind(id)
        .execute(&t.db)
        .await
        .unwrap();
    for query in ["?state=waiting", "?state=unfinished", "?kind=test.kind", "?state=waiting&kind=test.kind"] {
        let found = t.jobs(query).await;
        assert_eq!(found.iter().map(|job| job.id).collect::<Vec<_>>(), [id], "{query}");
        assert_eq!((found[0].about.as_deref(), found[0].waits_for.as_deref()), (Some("dusk"), Some("the tide")));
        assert_eq!((found[0].progress, found[0].note.as_deref()), (Some(0.25), Some("low")));
    }
    assert!(t.jobs("?state=pending").await.is_empty() && t.jobs("?state=running").await.is_empty());
    // Forms send empty fields.
    assert_eq!(t.jobs("?state=&kind=").await.len(), t.jobs("").await.len());
    for path in ["/jobs".to_owned(), format!("/jobs/{id}"), "/platform".into()] {
        let text = t.owner.get(&path).await.text();
        assert!(text.contains(&id.to_string()) && !text.contains("swordfish"), "{path}: {text}");
    }
    let (status, _, message) = t.owner.get("/jobs?state=odd").await.error();
    assert!(status == 422 && message.contains("unfinished, pending, waiting"), "{message}");
}

#[tokio::test]
async fn the_platform_reports_when_jobs_have_changed() {
    let t = World::start().await;
    t.begun().await;
    let before = t.owner.platform_info().await.unwrap().jobs_changed_at.unwrap();
    t.queued("test.kind", Uuid::now_v7()).await;
    assert!(t.owner.platform_info().await.unwrap().jobs_changed_at.unwrap() > before);
}
