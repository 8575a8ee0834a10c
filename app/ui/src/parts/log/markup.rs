//! The markup of a line: fields of router lines, terminal colours, search matches.

use std::ops::Range;

use api::{log_lines::LogLine, sanitize};

use crate::parts::ansi;

/// Longer lines are truncated in the list; the detail panel shows all of them.
const LONGEST: usize = 1_500;

/// The fields of a logfmt line: `method=GET path="/a b"`. Quotes are removed.
pub fn fields(text: &str) -> Vec<(&str, &str)> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some(equals) = rest.find(['=', ' ']) else { break };
        let key = &rest[..equals];
        if rest.as_bytes()[equals] == b' ' {
            rest = rest[equals..].trim_start();
            continue;
        }
        let after = &rest[equals + 1..];
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => match quoted.find('"') {
                Some(end) => (&quoted[..end], &quoted[end + 1..]),
                None => (quoted, ""),
            },
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        out.push((key, value));
        rest = next.trim_start();
    }
    out
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\t' => out.push('\t'),
            // Characters that change the text direction or are invisible are shown as a box.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => sanitize::push_html(out, c),
        }
    }
}

/// Escapes a range of `text` and highlights the `found` parts.
fn marked(text: &str, stretch: Range<usize>, found: &[Range<usize>], out: &mut String) {
    let mut from = stretch.start;
    for hit in found {
        let (start, end) = (hit.start.max(from), hit.end.min(stretch.end));
        if start < end {
            escape(&text[from..start], out);
            out.push_str("<mark>");
            escape(&text[start..end], out);
            out.push_str("</mark>");
            from = end;
        }
    }
    escape(&text[from..stretch.end], out);
}

fn cut(text: &str) -> &str {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// The line's text as safe markup. `find` returns the search matches.
pub fn html(line: &LogLine, find: impl FnOnce(&str) -> Option<Vec<Range<usize>>>) -> String {
    let text = cut(&line.text);
    let mut out = String::with_capacity(text.len() + 64);
    let found = find(text);
    if line.dyno == "router" && found.is_none() {
        router(text, &mut out);
        return out;
    }
    let found = found.unwrap_or_default();
    for run in ansi::runs(text) {
        // A run is a slice of the text.
        let start = run.text.as_ptr() as usize - text.as_ptr() as usize;
        let stretch = start..start + run.text.len();
        if run.class.is_empty() {
            marked(text, stretch, &found, &mut out);
        } else {
            out.push_str(&format!("<span class=\"{}\">", run.class));
            marked(text, stretch, &found, &mut out);
            out.push_str("</span>");
        }
    }
    out
}

/// Keys are dimmed; a failed status and its duration are emphasised.
fn router(text: &str, out: &mut String) {
    for (i, (key, value)) in fields(text).into_iter().enumerate() {
        if matches!(key, "host" | "request_id" | "fwd" | "protocol") {
            continue;
        }
        if i > 0 {
            out.push(' ');
        }
        out.push_str("<span class=\"k\">");
        escape(key, out);
        out.push_str("=</span>");
        let class = match (key, value.as_bytes().first()) {
            ("status", Some(b'5')) | ("code", _) => "t-bad",
            ("status", Some(b'4')) => "t-warn",
            ("service", _) => "strong",
            _ => "",
        };
        if class.is_empty() {
            escape(value, out);
        } else {
            out.push_str(&format!("<span class=\"{class}\">"));
            escape(value, out);
            out.push_str("</span>");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(dyno: &str, text: &str) -> LogLine {
        LogLine {
            seq: 1,
            at: Default::default(),
            source: "app".into(),
            dyno: dyno.into(),
            text: text.into(),
            level: Default::default(),
        }
    }

    #[test]
    fn router_lines_are_fields() {
        let text = "at=error code=H12 desc=\"Request timeout\" method=GET path=\"/a b\" status=503";
        let got = fields(text);
        assert_eq!(got[2], ("desc", "Request timeout"));
        assert_eq!(got.last(), Some(&("status", "503")));
        assert!(html(&line("router", text), |_| None).contains("<span class=\"t-bad\">503</span>"));
    }

    #[test]
    fn hostile_text_is_escaped() {
        let got = html(&line("web.1", "<script>alert(1)</script> \u{202e}evil & \u{1b}[31mred"), |_| None);
        assert!(!got.contains("<script>") && !got.contains('\u{202e}'));
        assert!(got.ends_with("<span class=\"t-bad\">red</span>"));
    }

    #[test]
    fn broken_fields_do_not_panic() {
        for text in ["", "=", "a=\"", "a= b", "a==b", "no fields at all", "é=ü ö"] {
            let _ = fields(text);
        }
    }

    #[test]
    fn matches_are_marked() {
        let at = |found: &[Range<usize>]| html(&line("web.1", "An ERROR <b> né"), |_| Some(found.to_vec()));
        assert_eq!(at(&[3..8, 9..12]), "An <mark>ERROR</mark> <mark>&lt;b&gt;</mark> né");
        assert_eq!(at(&[0..2, 13..16]), "<mark>An</mark> ERROR &lt;b&gt; <mark>né</mark>");
        assert_eq!(at(&[]), "An ERROR &lt;b&gt; né");
        let coloured = line("web.1", "a\u{1b}[31mbc\u{1b}[0md");
        let got = html(&coloured, |text| text.find('b').map(|at| vec![at..at + 1, at + 1..text.len()]));
        assert_eq!(got, "a<span class=\"t-bad\"><mark>b</mark><mark>c</mark></span><mark>d</mark>");
    }

    #[test]
    fn long_lines_are_truncated() {
        assert_eq!(html(&line("web.1", &"ü".repeat(9_000)), |_| None).chars().count(), LONGEST);
    }
}
