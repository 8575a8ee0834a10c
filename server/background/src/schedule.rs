//! Schedules: a cron expression and a time zone, and the job that is enqueued at each of these times.
//!
//! When the clocks change, a fixed time of day that is skipped in spring is due right after the gap, and one that occurs
//! twice in autumn is due the first time only; expressions with `*` or `*/n` are due in every hour that passes.

use std::str::FromStr as _;

use anyhow::{Context as _, anyhow};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use uuid::Uuid;

use crate::{Job, job::params};

/// The times of a schedule.
#[derive(Clone, Debug)]
pub struct Times {
    cron: Cron,
    zone: Tz,
}

impl Times {
    /// The times of `cron`, five fields as in crontab, in `zone`, a name of the IANA time zone database.
    ///
    /// # Errors
    /// A sentence that says which of the two is invalid.
    pub fn parse(cron: &str, zone: &str) -> anyhow::Result<Self> {
        let zone = Tz::from_str(zone).map_err(|_| anyhow!("{zone:?} is not a time zone, such as Europe/Berlin"))?;
        if cron.split_whitespace().count() != 5 {
            return Err(anyhow!("{cron:?} does not have five fields, such as 30 4 * * *"));
        }
        let cron = Cron::from_str(cron).with_context(|| format!("{cron:?} is not a cron expression"))?;
        Ok(Self { cron, zone })
    }

    /// The first time after `time`; `None` if no date ever matches.
    pub fn after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.cron.find_next_occurrence(&time.with_timezone(&self.zone), false).ok()?;
        Some(next.to_utc())
    }
}

/// A job and its times. The program's list of schedules is written to the database at startup.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) cron: &'static str,
    pub(crate) zone: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) subject: Uuid,
    pub(crate) params: serde_json::Value,
    pub(crate) times: Times,
    pub(crate) runs_at_start: bool,
    pub(crate) is_set_by_users: bool,
}

impl Schedule {
    /// Runs `job` at the times of a cron expression in a time zone, see [`Times::parse`]. `name` identifies it for people
    /// and programs; `about` is a sentence that says what the job does.
    ///
    /// # Errors
    /// As [`Times::parse`].
    pub fn new<J: Job>(
        name: &'static str,
        about: &'static str,
        (cron, zone): (&'static str, &'static str),
        job: &J,
    ) -> anyhow::Result<Self> {
        let times = Times::parse(cron, zone).with_context(|| format!("the schedule {name}"))?;
        let (kind, subject, params) = (J::KIND, job.subject(), params(job)?);
        Ok(Self { name, about, cron, zone, kind, subject, params, times, runs_at_start: false, is_set_by_users: false })
    }

    /// Also runs whenever a server starts.
    pub fn and_at_start(self) -> Self {
        Self { runs_at_start: true, ..self }
    }

    /// Its times are those of [`set_times`](crate::set_times), which the database remembers; until then, it is off.
    pub fn set_by_users(self) -> Self {
        Self { is_set_by_users: true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(cron: &str, zone: &str, from: &str, n: usize) -> Vec<String> {
        let times = Times::parse(cron, zone).unwrap();
        let mut time = from.parse::<DateTime<Utc>>().unwrap();
        let mut all = Vec::new();
        for _ in 0..n {
            time = times.after(time).unwrap();
            all.push(time.format("%m-%d %H:%M").to_string());
        }
        all
    }

    #[test]
    fn a_time_of_day_keeps_its_place_in_the_day_when_clocks_change() {
        // Berlin goes from +1 to +2 on 29 March 2026, and back on 25 October.
        let daily = |from| times("30 4 * * *", "Europe/Berlin", from, 3);
        assert_eq!(daily("2026-03-27T12:00:00Z"), ["03-28 03:30", "03-29 02:30", "03-30 02:30"]);
        assert_eq!(daily("2026-10-23T12:00:00Z"), ["10-24 02:30", "10-25 03:30", "10-26 03:30"]);
    }

    #[test]
    fn a_time_that_is_skipped_is_due_after_the_gap_and_one_that_comes_twice_is_due_once() {
        let daily = |from| times("30 2 * * *", "Europe/Berlin", from, 3);
        // There is no 02:30 on the 29th: after 01:59:59 the clocks go forward to 03:00, which is 01:00 UTC.
        assert_eq!(daily("2026-03-27T12:00:00Z"), ["03-28 01:30", "03-29 01:00", "03-30 00:30"]);
        // 02:30 is 00:30 and 01:30 UTC on the 25th.
        assert_eq!(daily("2026-10-23T12:00:00Z"), ["10-24 00:30", "10-25 00:30", "10-26 01:30"]);
    }

    #[test]
    fn what_is_due_every_hour_is_due_in_every_hour_that_passes() {
        let hourly = |from| times("17 * * * *", "Europe/Berlin", from, 4);
        assert_eq!(hourly("2026-03-29T00:00:00Z"), ["03-29 00:17", "03-29 01:17", "03-29 02:17", "03-29 03:17"]);
        assert_eq!(hourly("2026-10-24T23:30:00Z"), ["10-25 00:17", "10-25 01:17", "10-25 02:17", "10-25 03:17"]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let why = |cron, zone| format!("{:#}", Times::parse(cron, zone).unwrap_err());
        assert!(why("0 4 * * *", "Mars/Olympus").contains("\"Mars/Olympus\" is not a time zone"));
        assert!(why("0 4 * *", "UTC").contains("does not have five fields"));
        assert!(why("0 4 * * * *", "UTC").contains("does not have five fields"));
        assert!(why("61 4 * * *", "UTC").contains("\"61 4 * * *\" is not a cron expression"));
        assert_eq!(Times::parse("0 0 30 2 *", "UTC").unwrap().after(Utc::now()), None);
    }
}
