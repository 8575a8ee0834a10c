//! Log lines on a terminal: coloured by dyno, and sanitized.

use api::sanitize;
use serde_json::json;

use crate::output;

/// One colour per dyno, in order of appearance.
const COLOURS: [&str; 10] = ["36", "33", "32", "35", "34", "96", "93", "92", "95", "94"];

/// Prints lines in batches.
pub struct Printer {
    json: bool,
    coloured: bool,
    dynos: Vec<String>,
    pending: String,
    count: u64,
}

/// The parts of `2010-09-16T15:13:46.677020+00:00 app[web.1]: message`.
struct Parts<'a> {
    at: &'a str,
    source: &'a str,
    dyno: &'a str,
    text: &'a str,
}

fn parts(line: &str) -> Option<Parts<'_>> {
    let (at, rest) = line.split_once(' ')?;
    let (source, rest) = rest.split_once('[')?;
    let (dyno, text) = rest.split_once("]:")?;
    let is_word = |s: &str| !s.is_empty() && !s.contains(char::is_whitespace);
    (is_word(source) && is_word(dyno)).then(|| Parts { at, source, dyno, text: text.strip_prefix(' ').unwrap_or(text) })
}

impl Printer {
    /// Prints JSON lines or text.
    pub fn new(json: bool, coloured: bool) -> Self {
        Self { json, coloured, dynos: Vec::new(), pending: String::new(), count: 0 }
    }

    /// The number of lines so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Buffers the data of an event: one or more lines.
    pub fn take(&mut self, data: &str, id: Option<&str>) {
        for line in data.split('\n') {
            self.count += 1;
            if self.json {
                self.pending.push_str(&sanitize::json(&as_json(line, id)));
            } else if self.coloured {
                let line = self.colour(line);
                self.pending.push_str(&line);
            } else {
                self.pending.push_str(&sanitize::line(line));
            }
            self.pending.push('\n');
        }
    }

    /// Prints the buffered lines.
    pub fn flush(&mut self) {
        if !self.pending.is_empty() {
            output::write_exactly(&self.pending);
            self.pending.clear();
        }
    }

    fn colour(&mut self, line: &str) -> String {
        let line = sanitize::line(line);
        let Some(Parts { at, source, dyno, text }) = parts(&line) else {
            return line;
        };
        let colour = COLOURS[self.index(dyno) % COLOURS.len()];
        let is_bad = source == "heroku" && (text.contains("at=error") || text.starts_with("Error "));
        let text = if is_bad { format!("\x1b[31m{text}\x1b[0m") } else { format!("{text}\x1b[0m") };
        format!("\x1b[{colour}m{at} {source}[{dyno}]:\x1b[0m {text}")
    }

    fn index(&mut self, dyno: &str) -> usize {
        if let Some(found) = self.dynos.iter().position(|known| known == dyno) {
            return found;
        }
        // run.1234 and the like are short-lived; the list stays bounded.
        if self.dynos.len() < 1000 {
            self.dynos.push(dyno.to_owned());
        }
        self.dynos.len() - 1
    }
}

fn as_json(line: &str, id: Option<&str>) -> String {
    match parts(line) {
        Some(Parts { at, source, dyno, text }) => {
            json!({ "id": id, "at": at, "source": source, "dyno": dyno, "message": text }).to_string()
        }
        None => json!({ "id": id, "message": line }).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "2010-09-16T15:13:46.677020+00:00 app[web.1]: a]: b";

    #[test]
    fn lines_are_split_into_parts() {
        let p = parts(LINE).unwrap();
        assert_eq!((p.at, p.source, p.dyno, p.text), ("2010-09-16T15:13:46.677020+00:00", "app", "web.1", "a]: b"));
        assert!(parts("no log line").is_none() && parts("at app web[x").is_none());
        let json: serde_json::Value = serde_json::from_str(&as_json(LINE, Some("7"))).unwrap();
        assert_eq!(
            (json["dyno"].as_str(), json["message"].as_str(), json["id"].as_str()),
            (Some("web.1"), Some("a]: b"), Some("7"))
        );
    }

    #[test]
    fn dynos_keep_their_colour() {
        let mut printer = Printer::new(false, true);
        let first = printer.colour("t app[web.1]: x");
        let other = printer.colour("t app[web.2]: x");
        assert!(first.starts_with("\x1b[36mt app[web.1]:\x1b[0m x") && other.starts_with("\x1b[33m"));
        assert_eq!(printer.colour("t app[web.1]: x"), first);
        assert!(printer.colour("t heroku[router]: at=error code=H12").contains("\x1b[31mat=error"));
    }

    #[test]
    fn logs_cannot_control_the_terminal() {
        for coloured in [true, false] {
            let mut printer = Printer::new(false, coloured);
            printer.take("t app[web.1]: \x1b]0;title\x07\x1b[2Jx\u{202e}\r\x1b[31mred", None);
            assert!(printer.pending.contains("␛]0;title␇␛[2Jx<U+202E>␍\x1b[31mred\x1b[0m"), "{:?}", printer.pending);
        }
        let mut printer = Printer::new(true, false);
        printer.take("t app[web.1]: \x1b[2J\u{9b}2J", None);
        assert!(printer.pending.contains(r"\u001b[2J\u009b2J"), "{}", printer.pending);
    }
}
