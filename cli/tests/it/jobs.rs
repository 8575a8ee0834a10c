//! `jobs` and `schedules`: their output, and their requests to the platform.

use serde_json::{Value, json};

use crate::{
    Home, Said,
    platform::{ID, Platform, TIME},
};

fn job(state: &str, more: Value) -> Value {
    let mut job = json!({
        "id": ID, "kind": "repositories.clean", "subject": ID, "about": "the platform", "schedule": "repositories",
        "state": state, "progress": null, "note": null, "waits_for": null, "attempt": 1, "crashes": 0, "run_at": TIME,
        "error": null, "can_cancel": true, "cancel_advice": null, "cancel_requested_at": null, "created_at": TIME,
        "started_at": TIME, "finished_at": null
    });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

fn asked(answers: Vec<(&'static str, u16, Value)>, args: &[&str]) -> (Said, Vec<String>) {
    let (home, platform) = (Home::new(), Platform::start(answers));
    home.log_in(&platform.url, "x");
    (home.wharf(args), platform.heard())
}

#[test]
fn jobs_are_listed_with_how_far_they_are_and_why_they_failed() {
    let all = json!([
        job("running", json!({ "progress": 0.5 })),
        job("waiting", json!({ "waits_for": "2 dynos to end", "about": null })),
        job("failed", json!({ "error": "the disk\u{1b}[2J is full" })),
    ]);
    let (said, heard) = asked(vec![("GET /jobs", 200, all)], &["jobs", "--state", "unfinished"]);
    assert_eq!((said.code, heard), (Some(0), vec!["GET /jobs".to_owned()]));
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[1].contains("repositories.clean  the platform") && lines[1].contains("running 50 %"), "{}", lines[1]);
    assert!(lines[2].contains(ID) && lines[2].contains("waiting for 2 dynos to end"), "{}", lines[2]);
    assert!(lines[3].contains("is full") && !said.out.contains('\u{1b}'), "{}", lines[3]);
    let (said, _) = asked(vec![("GET /jobs", 200, json!([]))], &["jobs"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "No jobs match.\n"));
}

#[test]
fn one_job_is_shown_with_its_steps() {
    let steps = json!({ "steps": [{ "name": "clean", "finished_at": TIME }], "note": "repository 3 of 4" });
    let path = "GET /jobs/0b9a1c1e-0000-7000-8000-000000000000";
    let (said, _) = asked(vec![(path, 200, job("running", steps.clone()))], &["jobs:info", ID]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for part in ["repositories.clean", "repository 3 of 4", "Finished step", "clean"] {
        assert!(said.out.contains(part), "{}", said.out);
    }
    let (said, _) = asked(vec![(path, 200, job("running", steps))], &["jobs:info", ID, "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap()["steps"][0]["name"], "clean");
}

#[test]
fn a_job_is_cancelled_or_the_error_says_what_to_do_instead() {
    let path = "POST /jobs/0b9a1c1e-0000-7000-8000-000000000000/actions/cancel";
    let (said, heard) = asked(vec![(path, 200, job("running", json!({})))], &["jobs:cancel", ID]);
    assert_eq!((said.code, heard), (Some(0), vec![path.to_owned()]));
    assert!(said.err.contains("done, it stops within seconds"), "{}", said.err);
    let refusal = json!({ "id": "conflict", "message": "Cancel the build instead: wharf builds:cancel" });
    let (said, _) = asked(vec![(path, 409, refusal)], &["jobs:cancel", ID]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("wharf builds:cancel"), "{}", said.err);
}

#[test]
fn schedules_are_listed_and_run() {
    let all = json!([
        { "id": ID, "name": "retention", "about": "Removes old jobs.", "cron": "7 * * * *", "zone": "Etc/UTC",
          "kind": "retention.run", "next_run_at": TIME, "last_run_at": TIME,
          "last_job": { "id": ID, "state": "failed" } },
        { "id": ID, "name": "tides", "about": "Looks.", "cron": "0 4 * * *", "zone": "Europe/Berlin", "kind": "x",
          "next_run_at": null, "last_run_at": null, "last_job": null },
    ]);
    let (said, heard) = asked(vec![("GET /schedules", 200, all)], &["schedules"]);
    assert_eq!((said.code, heard), (Some(0), vec!["GET /schedules".to_owned()]));
    assert!(said.out.contains("7 * * * *  Etc/UTC") && said.out.contains(", failed"), "{}", said.out);
    let last = said.out.lines().last().unwrap();
    assert!(last.contains("Europe/Berlin  never") && last.matches("never").count() == 2, "{}", said.out);
    let path = "POST /schedules/retention/actions/run";
    let (said, heard) = asked(vec![(path, 202, job("pending", json!({})))], &["schedules:run", "retention"]);
    assert_eq!((said.code, heard), (Some(0), vec![path.to_owned()]));
    assert!(said.err.contains(&format!("done, job {ID}")), "{}", said.err);
}
