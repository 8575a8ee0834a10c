//! Dyno sizes: the resources of one dyno.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::names::named_id;

/// The limits of one dyno.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    pub name: &'static str,
    /// Quota; above it, R14 is logged.
    pub memory_mb: u64,
    /// Above this multiple of the quota, the dyno is killed (R15).
    pub hard_factor: f64,
    pub cpu_shares: u64,
    pub pids: u64,
    /// The compute units that Heroku displays.
    pub compute: i32,
}

/// Memory, processes and shares as Heroku documents them (devcenter "dyno types", "limits").
pub const SIZES: [Size; 8] = [
    Size { name: "Eco", memory_mb: 512, hard_factor: 2.0, cpu_shares: 512, pids: 256, compute: 1 },
    Size { name: "Basic", memory_mb: 512, hard_factor: 2.0, cpu_shares: 512, pids: 256, compute: 1 },
    Size { name: "Standard-1X", memory_mb: 512, hard_factor: 2.0, cpu_shares: 1024, pids: 256, compute: 1 },
    Size { name: "Standard-2X", memory_mb: 1024, hard_factor: 2.0, cpu_shares: 2048, pids: 512, compute: 2 },
    Size { name: "Performance-M", memory_mb: 2560, hard_factor: 1.1, cpu_shares: 12288, pids: 32768, compute: 12 },
    Size { name: "Performance-L", memory_mb: 14336, hard_factor: 1.1, cpu_shares: 51200, pids: 32768, compute: 50 },
    Size { name: "Performance-L-RAM", memory_mb: 30720, hard_factor: 1.1, cpu_shares: 24576, pids: 32768, compute: 24 },
    Size { name: "Performance-XL", memory_mb: 63488, hard_factor: 1.1, cpu_shares: 102_400, pids: 32768, compute: 100 },
];

/// The size with this name, ignoring case, or with this id. Includes old names like `1X`.
pub fn size(name: &str) -> Option<Size> {
    let name = match name.to_ascii_lowercase().as_str() {
        "1x" | "free" | "hobby" => "standard-1x".to_owned(),
        "2x" => "standard-2x".to_owned(),
        "px" => "performance-l".to_owned(),
        other => other.to_owned(),
    };
    SIZES.into_iter().find(|s| s.name.eq_ignore_ascii_case(&name) || size_id(s.name).to_string() == name)
}

/// The id of a size.
pub fn size_id(name: &str) -> Uuid {
    named_id(&format!("dyno size {name}"))
}

/// All names, for error messages.
pub fn size_names() -> String {
    SIZES.map(|s| s.name).join(", ")
}

/// MB of memory of each size.
pub fn memory() -> Vec<(&'static str, i64)> {
    SIZES.iter().map(|size| (size.name, i64::try_from(size.memory_mb).unwrap_or(i64::MAX))).collect()
}

/// The sizes by name, for charts and checks.
pub fn memory_bytes() -> BTreeMap<&'static str, u64> {
    SIZES.into_iter().map(|s| (s.name, s.memory_mb << 20)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_found_in_any_case_and_by_old_names() {
        for (given, name) in [("standard-2x", "Standard-2X"), ("STANDARD-1X", "Standard-1X"), ("2X", "Standard-2X")] {
            assert_eq!(size(given).map(|s| s.name), Some(name));
        }
        assert_eq!(size("huge"), None);
        assert_eq!(size(&size_id("Basic").to_string()).map(|s| s.name), Some("Basic"));
    }
}
