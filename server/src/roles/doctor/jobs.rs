//! Jobs that have failed, as the running server knows them.

use std::collections::BTreeSet;

use api::{jobs::JobState, platform::JobInfo};

use super::Verdict::{self, Good, Warn};
use crate::{config::Settings, lock, socket};

/// Whether jobs have failed recently. Only the server knows, so nothing is known while it does not run.
pub fn failed(settings: &Settings) -> Verdict {
    if !matches!(lock::holder_of(&settings.run().join("server.lock")), Ok(Some(_))) {
        return Good("unknown while the server is not running".into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let info =
        runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(socket::platform_info(settings)));
    match info {
        Ok(info) => verdict(&info.jobs),
        Err(err) => Warn(format!("could not be requested from the server: {err:#}")),
    }
}

fn verdict(jobs: &[JobInfo]) -> Verdict {
    let failed: Vec<&JobInfo> = jobs.iter().filter(|job| job.state == JobState::Failed).collect();
    let kinds: BTreeSet<&str> = failed.iter().map(|job| job.kind.as_str()).collect();
    let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
    let advice = "the page Jobs and wharf jobs --state failed show why";
    match failed.len() {
        0 => Good("none has failed recently".into()),
        1 => Warn(format!("1 has failed recently ({kinds}); {advice}")),
        n => Warn(format!("{n} have failed recently ({kinds}); {advice}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(kind: &str, state: JobState) -> JobInfo {
        let (id, at) = ("00000000-0000-0000-0000-000000000001", "2026-11-20T10:00:00Z");
        let job = json!({
            "id": id, "kind": kind, "subject": id, "state": state, "attempt": 5, "run_at": at, "error": null,
            "created_at": at,
        });
        serde_json::from_value(job).unwrap()
    }

    #[test]
    fn failed_jobs_are_counted_and_named() {
        let running = job("builds.run", JobState::Running);
        assert!(matches!(verdict(&[]), Good(_)));
        assert!(matches!(verdict(std::slice::from_ref(&running)), Good(_)));
        let failed = |kind| job(kind, JobState::Failed);
        let Warn(text) = verdict(&[running, failed("mails.send"), failed("backups.run"), failed("mails.send")]) else {
            panic!("a warning");
        };
        assert!(text.starts_with("3 have failed recently (backups.run, mails.send); "), "{text}");
        let Warn(text) = verdict(&[failed("mails.send")]) else { panic!("a warning") };
        assert!(text.starts_with("1 has failed recently (mails.send); "), "{text}");
    }
}
