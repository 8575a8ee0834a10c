//! What one request has caused, as the log shows it: its own lines, those of the job that it enqueued, and those of the
//! reconcilers that acted on what it changed.

use std::{
    io,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::world::{World, until};

/// The lines of a log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The spans of a line, the outermost first.
fn spans(line: &Value) -> Vec<&Value> {
    line["spans"].as_array().into_iter().flatten().collect()
}

fn is_in(line: &Value, name: &str) -> bool {
    spans(line).iter().any(|span| span["name"] == name)
}

#[tokio::test]
async fn the_log_shows_what_a_request_has_caused() {
    let t = World::start().await;
    let app = t.app("dusk").await.id.to_string();
    t.deploy("dusk", &[("web", "./server")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    let log = Log::default();
    let to = log.clone();
    // As with `--log debug --log-format json`.
    let lines = tracing_subscriber::fmt().with_env_filter("warn,background=debug,base=debug,platform=debug");
    let lines = lines.with_writer(move || to.clone()).json().flatten_event(true).with_current_span(false);
    let _log = tracing::subscriber::set_default(lines.finish());
    tracing::callsite::rebuild_interest_cache();

    let destroyed = t.owner.delete("/apps/dusk").await;
    assert_eq!(destroyed.status, 200);
    let request = destroyed.header("request-id").to_owned();
    let is_caused = |line: &&Value| spans(line).first().is_some_and(|span| span["request.id"] == request.as_str());
    until("the app is gone", async || {
        let rows = sqlx::query_scalar("select count(*) from apps where id = $1::uuid").bind(&app);
        let rows: i64 = rows.fetch_one(&t.db).await.unwrap();
        if rows == 0 { Ok(()) } else { Err("its row is still there".to_owned()) }
    })
    .await;

    let all = log.lines();
    let caused: Vec<&Value> = all.iter().filter(is_caused).collect();
    let enqueued = caused.iter().find(|line| line["message"] == "enqueued a job").expect("the request has a job");
    assert_eq!((&enqueued["job.kind"], &enqueued["job.subject"]), (&json!("apps.destroy"), &json!(app)));
    assert!(!is_in(enqueued, "job"), "{enqueued}");
    // Lines of the job have the ids of both.
    let of_job = |line: &&&Value| spans(line).iter().any(|span| span["job.id"] == enqueued["job.id"]);
    let stops = caused.iter().filter(of_job).find(|line| line["kind"] == "Dyno").expect("the job stops dynos");
    assert_eq!(stops["app.id"], app.as_str());
    // The reconciler acts on what was published, of the same app.
    let published = all.iter().position(|line| line["kind"] == "App" && is_caused(&line)).expect("the request says so");
    let acts = |line: &&Value| is_in(line, "reconciler") && line["app.id"] == app.as_str();
    let done: Vec<&str> = all[published..].iter().filter(acts).filter_map(|line| line["message"].as_str()).collect();
    assert!(done.contains(&"terminating web.1"), "{done:?}");
}
