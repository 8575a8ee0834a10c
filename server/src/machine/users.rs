//! Whether the user ids of apps are used by anything else on this machine.

use std::fs;

use dyno::uids;

/// Other uses of our ids: subordinate ranges, users and groups.
pub fn overlaps() -> Vec<String> {
    let files = [("/etc/subuid", true), ("/etc/subgid", true), ("/etc/passwd", false), ("/etc/group", false)];
    let read = |(file, of_ranges): (&'static str, bool)| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines()
            .filter_map(|line| overlap(line, of_ranges))
            .map(|what| format!("{what} in {file}"))
            .collect::<Vec<_>>()
    };
    files.into_iter().flat_map(read).collect()
}

/// A line is `name:first:count`, or `name:password:id:…`.
fn overlap(line: &str, of_ranges: bool) -> Option<String> {
    let fields: Vec<&str> = line.split(':').collect();
    let number = |at: usize| fields.get(at)?.trim().parse::<u64>().ok();
    let (first, count) = if of_ranges { (number(1)?, number(2)?) } else { (number(2)?, 1) };
    let (least, most) = (u64::from(*uids::ALL.start()), u64::from(*uids::ALL.end()));
    let last = first.saturating_add(count).saturating_sub(1);
    (count > 0 && first <= most && last >= least).then(|| match count {
        1 => format!("{} has {first}", fields[0]),
        _ => format!("{} has {first} to {last}", fields[0]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_somebody_else_has_are_named() {
        assert_eq!(overlap("ada:100000:65536", true), None);
        assert_eq!(overlap("ada:2013265000:65536", true).as_deref(), Some("ada has 2013265000 to 2013330535"));
        assert_eq!(overlap("ada:2147352575:1", true).as_deref(), Some("ada has 2147352575"));
        assert_eq!(overlap("all:0:4294967296", true).as_deref(), Some("all has 0 to 4294967295"));
        assert_eq!(overlap("ada:x:2013331456:100::/home/ada:/bin/sh", false).as_deref(), Some("ada has 2013331456"));
        for harmless in ["ada:x:1000:1000::/home/ada:/bin/sh", "", "# comment", "ada:x:2147352576:"] {
            assert_eq!(overlap(harmless, false), None, "{harmless}");
        }
    }
}
