//! *Wharf:* quotas: limits and usage of an account or a team.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::named::named;

named! {
    /// What is limited.
    pub enum QuotaKind {
        Apps = "apps",
        Dynos = "dynos",
        Memory = "memory_mb",
        PendingBuilds = "pending_builds",
        Uploads = "upload_bytes",
        Repositories = "repository_bytes",
        Disk = "disk_bytes",
        /// For an account: the teams that it created.
        Teams = "teams",
        /// For a team.
        ServiceAccounts = "service_accounts",
    }
}

/// One quota.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// The name of a [`QuotaKind`], or of one that only a newer version knows.
    pub name: String,
    /// Description of what is counted.
    pub description: String,
    /// The limit; absent for administrators of the platform, who have no quota unless one is set for them.
    pub most: Option<i64>,
    /// Current usage; 0 in the list of default quotas.
    pub used: i64,
    /// Whether it is set for this account or team itself.
    pub is_own: bool,
}

/// `PATCH`: quotas by name; `null` resets one to the default.
pub type QuotaUpdate = BTreeMap<String, Option<i64>>;

/// The number of bytes per unit of this quota; `None` if it counts things.
fn unit(name: &str) -> Option<i64> {
    match name.rsplit('_').next() {
        Some("bytes") => Some(1),
        Some("mb") => Some(1 << 20),
        _ => None,
    }
}

const UNITS: [(&str, i64); 5] = [("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10), ("B", 1)];

/// Parses a user-supplied amount of the quota `name`: `20` or, for sizes, `512 MB` or `20gb`. A plain number is in the
/// quota's own unit. `None` if it is not a valid amount, or not a multiple of the unit.
pub fn amount(name: &str, text: &str) -> Option<i64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, word) = text.split_at(end);
    let (number, word) = (number.parse::<i64>().ok()?, word.trim_start());
    if word.is_empty() {
        return Some(number);
    }
    let own = unit(name)?;
    let (_, bytes) = UNITS.iter().find(|(unit, _)| unit.eq_ignore_ascii_case(word))?;
    let bytes = number.checked_mul(*bytes)?;
    (bytes % own == 0).then_some(bytes / own)
}

/// Formats an amount exactly, in the largest unit of which it is a multiple; the inverse of [`amount`].
pub fn written(name: &str, amount: i64) -> String {
    let Some(bytes) = unit(name).and_then(|own| amount.checked_mul(own)).filter(|bytes| *bytes > 0) else {
        return amount.to_string();
    };
    let fits = UNITS.iter().find(|(_, unit)| bytes % unit == 0);
    fits.map_or_else(|| amount.to_string(), |(word, unit)| format!("{} {word}", bytes / unit))
}

/// The amount in bytes; `None` if the quota counts things.
pub fn bytes(name: &str, amount: i64) -> Option<u64> {
    unit(name).map(|own| amount.saturating_mul(own).try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (name, text, expected) in [
            ("apps", "20", Some(20)),
            ("apps", " 0 ", Some(0)),
            ("apps", "20 GB", None),
            ("apps", "-1", None),
            ("apps", "", None),
            ("apps", "1,000", None),
            ("memory_mb", "512", Some(512)),
            ("memory_mb", "2 GB", Some(2048)),
            ("memory_mb", "1 KB", None),
            ("upload_bytes", "1024", Some(1024)),
            ("upload_bytes", "10gb", Some(10 << 30)),
            ("upload_bytes", "10 parsecs", None),
            ("upload_bytes", "9223372036854775807 TB", None),
            ("upload_bytes", "99999999999999999999", None),
        ] {
            assert_eq!(amount(name, text), expected, "{name}={text}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for (name, n, text) in [
            ("apps", 1000, "1000"),
            ("memory_mb", 1536, "1536 MB"),
            ("memory_mb", 100 << 10, "100 GB"),
            ("upload_bytes", 10 << 30, "10 GB"),
            ("upload_bytes", 1025, "1025 B"),
            ("upload_bytes", 0, "0"),
            ("memory_mb", i64::MAX, "9223372036854775807"),
        ] {
            assert_eq!(written(name, n), text);
            assert_eq!(amount(name, text), Some(n));
        }
        assert_eq!(
            (bytes("memory_mb", 2), bytes("apps", 2), bytes("upload_bytes", -1)),
            (Some(2 << 20), None, Some(0))
        );
    }
}
