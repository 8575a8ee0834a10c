//! The Procfile: the process types of an app.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

static LINE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^([A-Za-z0-9_-]+):\s*(.+)$").expect("the expression is constant"));

/// Process types and their commands. Other lines are ignored, as on Heroku; of two lines with one name, the later one
/// counts.
pub fn parse(text: &str) -> BTreeMap<String, String> {
    text.trim_start_matches('\u{feff}')
        .lines()
        .filter_map(|line| LINE.captures(line.trim_end()))
        .map(|found| (found[1].to_owned(), found[2].trim().to_owned()))
        .filter(|(_, command)| !command.is_empty())
        .collect()
}

/// The lines that are neither a process nor a comment, with their numbers: mostly typos.
pub(crate) fn odd_lines(text: &str) -> Vec<(usize, &str)> {
    let lines = text.trim_start_matches('\u{feff}').lines().zip(1..).map(|(line, n)| (n, line.trim_end()));
    let is_said = |line: &str| !matches!(line.trim_start().chars().next(), None | Some('#'));
    lines.filter(|(_, line)| is_said(line) && parse(line).is_empty()).collect()
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
    fn lines_that_are_no_process_have_numbers() {
        let odd = odd_lines("web: a\n\n# worker b\nweb python a.py\r\nclock:\nworker:b\n  bell: c\n");
        assert_eq!(odd, [(4, "web python a.py"), (5, "clock:"), (7, "  bell: c")]);
    }

    #[test]
    fn the_later_of_two_lines_counts() {
        assert_eq!(parse("web: a\nweb: b")["web"], "b");
        assert!(parse("").is_empty());
    }
}
