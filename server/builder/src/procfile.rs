//! Procfile: which process types an app has.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

static LINE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^([A-Za-z0-9_-]+):\s*(.+)$").expect("the expression is constant"));

/// Process types and their commands. Lines of any other form are passed over, as on Heroku; of two
/// lines with one name the later counts.
pub fn parse(text: &str) -> BTreeMap<String, String> {
    text.trim_start_matches('\u{feff}')
        .lines()
        .filter_map(|line| LINE.captures(line.trim_end()))
        .map(|found| (found[1].to_owned(), found[2].trim().to_owned()))
        .filter(|(_, command)| !command.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_procfile_is_read_as_on_heroku() {
        let types = parse(
            "\u{feff}web: node server.js -p $PORT\r\n# worker: no\n\nworker:bin/work --queue a:b  \n\
             release: ./migrate\nno command:\n: nameless\nbad name: x\n  indented: x\nweb_2-b: y\n",
        );
        let got: Vec<_> = types.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            got,
            [
                ("release", "./migrate"),
                ("web", "node server.js -p $PORT"),
                ("web_2-b", "y"),
                ("worker", "bin/work --queue a:b"),
            ]
        );
    }

    #[test]
    fn the_later_of_two_lines_counts() {
        assert_eq!(parse("web: a\nweb: b")["web"], "b");
        assert!(parse("").is_empty());
    }
}
