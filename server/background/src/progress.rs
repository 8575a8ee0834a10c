//! Progress of a job, shown to users.
//!
//! A job may report as often as it likes. The latest report is written at most once a second, and once more at the end.

use std::time::Duration;

use api::ids::{JobId, LeaseId};
use sqlx::PgPool;
use tokio::sync::watch;

/// Progress is written at most this often.
const PACE: Duration = Duration::from_secs(1);
/// The maximum length of a stored note, in characters.
pub(crate) const LONGEST_NOTE: usize = 200;

#[derive(Clone, Debug, Default, PartialEq)]
struct Reported {
    fraction: Option<f64>,
    note: Option<String>,
}

/// Accepts reports of one job. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Progress(watch::Sender<Reported>);

impl Progress {
    pub(crate) fn new() -> Self {
        Self(watch::channel(Reported::default()).0)
    }

    /// Reports that this part is done, between 0 and 1, if it is known; and a few words about what is being done, which
    /// are shortened to 200 characters. They must not contain secrets.
    pub fn report(&self, fraction: Option<f64>, note: &str) {
        let fraction = fraction.filter(|f| f.is_finite()).map(|f| f.clamp(0.0, 1.0));
        self.0.send_replace(Reported { fraction, note: shortened(note) });
    }

    /// Writes reports until it is dropped.
    pub(crate) async fn write(&self, pool: &PgPool, job: JobId, lease: LeaseId) -> std::convert::Infallible {
        let mut reports = self.0.subscribe();
        loop {
            if reports.changed().await.is_err() {
                // Cannot happen: `self` has a sender.
                std::future::pending::<()>().await;
            }
            let reported = reports.borrow_and_update().clone();
            write(pool, job, lease, &reported).await;
            tokio::time::sleep(PACE).await;
        }
    }

    /// Writes the last report, if there is one.
    pub(crate) async fn flush(&self, pool: &PgPool, job: JobId, lease: LeaseId) {
        let reported = self.0.borrow().clone();
        if reported != Reported::default() {
            write(pool, job, lease, &reported).await;
        }
    }
}

/// A failure is only logged: the job itself can continue.
async fn write(pool: &PgPool, job: JobId, lease: LeaseId, reported: &Reported) {
    let written = sqlx::query(
        "update jobs set progress = $3, note = $4, updated_at = now()
         where id = $1 and lease = $2 and (progress, note) is distinct from ($3, $4)",
    )
    .bind(job)
    .bind(lease)
    .bind(reported.fraction)
    .bind(&reported.note)
    .execute(pool)
    .await;
    if let Err(err) = written {
        tracing::debug!(job.id = %job, "could not write the progress of a job: {err}");
    }
}

/// `text` on one line of bounded length; `None` if it is empty.
pub(crate) fn shortened(text: &str) -> Option<String> {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    match line.chars().count() {
        0 => None,
        length if length <= LONGEST_NOTE => Some(line.to_owned()),
        _ => Some(line.chars().take(LONGEST_NOTE - 1).chain(['…']).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_one_line_of_bounded_length() {
        assert_eq!(shortened(" repository\n3 of 4 ").as_deref(), Some("repository 3 of 4"));
        assert_eq!(shortened(" \t "), None);
        let long = shortened(&"ü".repeat(10_000)).unwrap_or_default();
        assert_eq!((long.chars().count(), long.chars().last()), (LONGEST_NOTE, Some('…')));
        assert_eq!(shortened(&"x".repeat(LONGEST_NOTE)).map(|note| note.len()), Some(LONGEST_NOTE));
    }

    #[test]
    fn a_part_is_between_nothing_and_all() {
        let progress = Progress::new();
        for (reported, shown) in [(0.5, Some(0.5)), (7.0, Some(1.0)), (-1.0, Some(0.0)), (f64::NAN, None)] {
            progress.report(Some(reported), "");
            assert_eq!(progress.0.borrow().fraction, shown);
        }
    }
}
