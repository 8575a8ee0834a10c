//! Formatting of numbers, times and sizes.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike, Utc};

use crate::clock::Clock;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// `1 app`, `2 apps`.
pub fn count(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(n as u64), if n == 1 { one } else { many })
}

/// Like [`count`], for a list that may be incomplete: `50+ apps`.
pub fn count_of(n: usize, more: bool, one: &str, many: &str) -> String {
    if more { format!("{}+ {many}", thousands(n as u64)) } else { count(n, one, many) }
}

/// `1,234,567`
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `38 s`, `4 min 12 s`, `3 h 5 min`, `2 d 4 h`: a duration in at most two units.
pub fn span(seconds: i64) -> String {
    let s = seconds.max(0);
    let two = |a: i64, x: &str, b: i64, y: &str| {
        if b == 0 { format!("{a} {x}") } else { format!("{a} {x} {b} {y}") }
    };
    match s {
        0..60 => format!("{s} s"),
        60..3600 => two(s / 60, "min", s % 60, "s"),
        3600..86_400 => two(s / 3600, "h", s / 60 % 60, "min"),
        _ => two(s / 86_400, "d", s / 3600 % 24, "h"),
    }
}

/// One unit only, for narrow places: `38 s`, `4 min`, `3 h`, `2 d`.
pub fn short_span(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min", s / 60),
        s @ 3600..86_400 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

/// `just now`, `41 min ago`, `5 h ago`; after a day the date.
pub fn ago(at: DateTime<Utc>, clock: Clock) -> String {
    let seconds = (clock.now() - at).num_seconds();
    match seconds {
        ..5 => "just now".into(),
        5..86_400 => format!("{} ago", short_span(seconds)),
        _ => date(at, clock),
    }
}

/// `now`, `in 41 min`, `in 5 h`; from a day on the date.
pub fn until(at: DateTime<Utc>, clock: Clock) -> String {
    let seconds = (at - clock.now()).num_seconds();
    match seconds {
        ..1 => "now".into(),
        1..86_400 => format!("in {}", short_span(seconds)),
        _ => date(at, clock),
    }
}

/// `21 Nov`, with the year when it is not this one.
pub fn date(at: DateTime<Utc>, clock: Clock) -> String {
    short_date(clock.local(at).date(), clock.local(clock.now()).date())
}

fn short_date(then: NaiveDate, today: NaiveDate) -> String {
    let day = format!("{} {}", then.day(), MONTHS[then.month0() as usize]);
    if then.year() == today.year() { day } else { format!("{day} {}", then.year()) }
}

/// `Today, Mon 23 Nov`, `Yesterday, Sun 22 Nov`, `Sat 21 Nov`.
pub fn day(then: NaiveDate, today: NaiveDate) -> String {
    let named = format!("{} {}", DAYS[then.weekday().num_days_from_monday() as usize], short_date(then, today));
    match (today - then).num_days() {
        0 => format!("Today, {named}"),
        1 => format!("Yesterday, {named}"),
        _ => named,
    }
}

/// `14:05` on the reader's clock.
pub fn clock_time(local: NaiveDateTime) -> String {
    format!("{:02}:{:02}", local.hour(), local.minute())
}

/// `14:05:09` on the reader's clock.
pub fn clock_seconds(local: NaiveDateTime) -> String {
    format!("{}:{:02}", clock_time(local), local.second())
}

/// `14:05:09.123` on the reader's clock.
pub fn clock_millis(local: NaiveDateTime) -> String {
    format!("{}.{:03}", clock_seconds(local), local.nanosecond() / 1_000_000)
}

/// `2026-11-23 14:20:05 UTC`, for tooltips.
pub fn exact(at: DateTime<Utc>) -> String {
    format!(
        "{}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// `512 MB`, `1.2 GB`: bytes in a suitable unit.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 1000.0 && unit < UNITS.len() - 1 {
        value /= 1024.0;
        unit += 1;
    }
    let text = if unit == 0 || value >= 10.0 { format!("{value:.0}") } else { format!("{value:.1}") };
    format!("{} {}", text.trim_end_matches(".0"), UNITS[unit])
}

/// `297 of 512 MB`, `900 MB of 1 GB`.
pub fn bytes_of(part: u64, whole: u64) -> String {
    let (part, whole) = (bytes(part), bytes(whole));
    match (part.split_once(' '), whole.split_once(' ')) {
        (Some((n, unit)), Some((_, same))) if unit == same => format!("{n} of {whole}"),
        _ => format!("{part} of {whole}"),
    }
}

/// `12 %`, `0.4 %`: a fraction of one as a percentage.
pub fn share(part: f64) -> String {
    let percent = part * 100.0;
    if !(0.05..10.0).contains(&percent) { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

/// `0.05 %`, `3.10 %`, `60 %`: a fraction of one as a percentage, with more digits for small values.
pub fn rare(part: f64) -> String {
    match part * 100.0 {
        0.0 => "0 %".into(),
        percent if percent >= 10.0 => format!("{percent:.0} %"),
        percent => format!("{percent:.2} %"),
    }
}

/// `830 ms`, and from ten seconds on `41.9 s`.
pub fn milliseconds(ms: f64) -> String {
    if ms < 10_000.0 { format!("{} ms", thousands(ms.round() as u64)) } else { format!("{:.1} s", ms / 1000.0) }
}

/// `Next in the queue`, `Waiting for 2 other builds`: for a build at this position of the queue, from 1.
pub fn queued(place: i64) -> String {
    match usize::try_from(place - 1).unwrap_or(0) {
        0 => "Next in the queue".into(),
        n => format!("Waiting for {}", count(n, "other build", "other builds")),
    }
}

/// A sentence starting in lower case, for use inside another one.
pub fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

/// `1.2k`: a number short enough for an axis.
pub fn short_number(value: f64) -> String {
    let (value, unit) = match value.abs() {
        v if v >= 1e9 => (value / 1e9, "G"),
        v if v >= 1e6 => (value / 1e6, "M"),
        v if v >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = if value.abs() >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        let digits = match value.abs() {
            10.0.. => 1,
            0.1.. => 2,
            0.01.. => 3,
            _ => 4,
        };
        format!("{value:.digits$}")
    };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

/// The first seven characters of a commit.
pub fn short_commit(commit: &str) -> String {
    commit.chars().take(7).collect()
}

/// `Priya Nair` -> `PN`, `ada@x.dev` -> `AD`.
pub fn initials(who: &str) -> String {
    let name = who.split('@').next().unwrap_or(who);
    let words: Vec<&str> =
        name.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let letters: String = match words.as_slice() {
        [] => "?".into(),
        [one] => one.chars().take(2).collect(),
        [first, .., last] => first.chars().take(1).chain(last.chars().take(1)).collect(),
    };
    // Upper case comes from the CSS: Unicode case tables would be as large as the rest of the page.
    letters.to_ascii_uppercase()
}

/// `ada.lindqvist@x.dev` -> `ada.lindqvist`: short enough for a list; the address is in the tooltip.
pub fn who(email: &str) -> String {
    if email == "wharf" { "Wharf".into() } else { email.split('@').next().unwrap_or(email).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_use_at_most_two_units() {
        let all: Vec<String> = [0, 59, 60, 252, 3600, 11_100, 86_400, 187_200].into_iter().map(span).collect();
        assert_eq!(all, ["0 s", "59 s", "1 min", "4 min 12 s", "1 h", "3 h 5 min", "1 d", "2 d 4 h"]);
        assert_eq!(span(-5), "0 s");
    }

    #[test]
    fn numbers_are_grouped_and_counted() {
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(999), "999");
        assert_eq!(count(1, "app", "apps"), "1 app");
        assert_eq!(count(1200, "app", "apps"), "1,200 apps");
    }

    #[test]
    fn sizes_have_a_suitable_unit() {
        let all: Vec<String> = [0, 512, 1024 * 1024 * 512, 1_288_490_189].into_iter().map(bytes).collect();
        assert_eq!(all, ["0 B", "512 B", "512 MB", "1.2 GB"]);
    }

    #[test]
    fn parts_are_shown_with_their_limit() {
        let mb = 1 << 20;
        assert_eq!(bytes_of(297 * mb, 512 * mb), "297 of 512 MB");
        assert_eq!(bytes_of(900 * mb, 1024 * mb), "900 MB of 1 GB");
        assert_eq!([0.0, 0.004, 0.12, 1.5].map(share), ["0 %", "0.4 %", "12 %", "150 %"]);
        assert_eq!([830.4, 1_250.0, 41_943.0].map(milliseconds), ["830 ms", "1,250 ms", "41.9 s"]);
        assert_eq!(
            [1, 2, 3].map(queued),
            ["Next in the queue", "Waiting for 1 other build", "Waiting for 2 other builds"]
        );
        assert_eq!([0.0, 0.0005, 0.031, 0.6].map(rare), ["0 %", "0.05 %", "3.10 %", "60 %"]);
    }

    #[test]
    fn people_have_initials() {
        assert_eq!(initials("ada.lindqvist@x.dev"), "AL");
        assert_eq!(initials("admin@wharf.localhost"), "AD");
        assert_eq!(initials(""), "?");
    }

    #[test]
    fn axis_numbers_are_short() {
        let all: Vec<String> = [0.0, 0.0036, 0.025, 0.25, 40.0, 1500.0, 2e6].into_iter().map(short_number).collect();
        assert_eq!(all, ["0", "0.0036", "0.025", "0.25", "40", "1.5k", "2M"]);
    }
}
