//! The text of a line as markup: fields of router lines, colours of terminals, what was searched for.

use api::log_lines::LogLine;

use crate::parts::ansi;

/// Longer lines are cut in the list; the detail shows them whole.
const LONGEST: usize = 1_500;

/// The fields of a logfmt line: `method=GET path="/a b"`. Quotes are taken off.
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
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push('\t'),
            // What would turn the direction of text around, or hide it, is shown as a box.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

/// Escapes `text` and marks what was searched for, upper and lower case alike.
fn marked(text: &str, wanted: &str, out: &mut String) {
    if wanted.is_empty() || !text.is_ascii() || !wanted.is_ascii() {
        return escape(text, out);
    }
    let (low, wanted_low) = (text.to_ascii_lowercase(), wanted.to_ascii_lowercase());
    let mut from = 0;
    while let Some(at) = low[from..].find(&wanted_low).map(|at| from + at) {
        escape(&text[from..at], out);
        out.push_str("<mark>");
        escape(&text[at..at + wanted.len()], out);
        out.push_str("</mark>");
        from = at + wanted.len();
    }
    escape(&text[from..], out);
}

fn cut(text: &str) -> &str {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// The line's text as safe markup.
pub fn html(line: &LogLine, wanted: &str) -> String {
    let text = cut(&line.text);
    let mut out = String::with_capacity(text.len() + 64);
    if line.dyno == "router" && wanted.is_empty() {
        router(text, &mut out);
        return out;
    }
    for run in ansi::runs(text) {
        if run.class.is_empty() {
            marked(run.text, wanted, &mut out);
        } else {
            out.push_str(&format!("<span class=\"{}\">", run.class));
            marked(run.text, wanted, &mut out);
            out.push_str("</span>");
        }
    }
    out
}

/// Keys stand back; a failed status and the time it took stand out.
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
        assert!(html(&line("router", text), "").contains("<span class=\"t-bad\">503</span>"));
    }

    #[test]
    fn hostile_text_stays_text() {
        let got = html(&line("web.1", "<script>alert(1)</script> \u{202e}evil & \u{1b}[31mred"), "");
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
    fn matches_are_marked_whatever_their_case() {
        assert_eq!(html(&line("web.1", "An ERROR <b>"), "error"), "An <mark>ERROR</mark> &lt;b&gt;");
    }

    #[test]
    fn endless_lines_are_cut() {
        assert_eq!(html(&line("web.1", &"ü".repeat(9_000)), "").chars().count(), LONGEST);
    }
}
