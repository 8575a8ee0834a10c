//! User-supplied times: `10m`, `2h`, `1d`, RFC 3339, or a local date and time.

use anyhow::{Result, bail};
use chrono::{DateTime, Duration, Local, NaiveDate, NaiveDateTime, TimeZone, Utc};

/// Parses `text` as a time. A duration means that long before `now`.
pub fn parse(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let text = text.trim();
    let found = duration(text).and_then(|ago| now.checked_sub_signed(ago)).or_else(|| absolute(text));
    match found {
        Some(at) => Ok(at),
        None => {
            bail!("{text:?} is not a time. Use a format like 10m, 2h, 1d, \"2026-01-31 18:00\" or 2026-01-31T18:00:00Z")
        }
    }
}

/// `90s`, `10m`, `1h30m`, `2d`, `1w`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::zero();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let letters = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| digits + n);
        let unit = match &rest[digits..letters] {
            "s" | "sec" => Duration::try_seconds(number)?,
            "m" | "min" => Duration::try_minutes(number)?,
            "h" => Duration::try_hours(number)?,
            "d" => Duration::try_days(number)?,
            "w" => Duration::try_weeks(number)?,
            _ => return None,
        };
        total = total.checked_add(&unit)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(total)
}

fn absolute(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.with_timezone(&Utc));
    }
    let local = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    Some(Local.from_local_datetime(&local).earliest()?.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_before_now() {
        let now = Utc::now();
        for (text, seconds) in
            [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86_400), ("1h30m", 5400), ("1w", 604_800)]
        {
            assert_eq!(parse(text, now).unwrap(), now - Duration::seconds(seconds), "{text}");
        }
    }

    #[test]
    fn dates_are_parsed_and_invalid_ones_rejected() {
        let now = Utc::now();
        let at = parse("2026-01-31T18:00:00+01:00", now).unwrap();
        assert_eq!(at.to_rfc3339(), "2026-01-31T17:00:00+00:00");
        assert!(parse("2026-01-31 18:00", now).is_ok() && parse("2026-01-31", now).is_ok());
        for bad in ["", "10", "m", "10x", "-5m", "5 m", "yesterday", "2026-13-01", "99999999999999999999d"] {
            assert!(parse(bad, now).is_err(), "{bad}");
        }
        // Beyond the calendar.
        assert!(parse("999999999999d", now).is_err());
    }
}
