//! Terminal colours: escape sequences become classes or are removed.

/// A span of text with a CSS class, or none.
#[derive(Debug, PartialEq)]
pub struct Run<'a> {
    pub class: &'static str,
    pub text: &'a str,
}

/// The class for the codes of one SGR sequence, e.g. `1;31`.
fn class_of(codes: &str, before: &'static str) -> &'static str {
    codes.split(';').fold(before, |class, code| match code.parse().unwrap_or(0) {
        0 | 39 => "",
        31 | 91 => "t-bad",
        32 | 92 => "t-ok",
        33 | 93 => "t-warn",
        34 | 94 | 36 | 96 => "t-info",
        35 | 95 => "t-busy",
        2 | 30 | 90 => "faint",
        1 => {
            if class.is_empty() {
                "strong"
            } else {
                class
            }
        }
        _ => class,
    })
}

/// Splits `line` at its escape sequences; those that are not colours are removed.
pub fn runs(line: &str) -> Vec<Run<'_>> {
    let mut out = Vec::new();
    let (mut class, mut rest) = ("", line);
    while let Some(at) = rest.find('\u{1b}') {
        if at > 0 {
            out.push(Run { class, text: &rest[..at] });
        }
        rest = &rest[at + 1..];
        // `[`, parameters and a final letter; anything else is dropped as a lone escape.
        if let Some(sequence) = rest.strip_prefix('[') {
            let end = sequence.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c)).unwrap_or(sequence.len());
            if sequence[end..].starts_with('m') {
                class = class_of(&sequence[..end], class);
            }
            rest = sequence.get(end + 1..).unwrap_or("");
        }
    }
    if !rest.is_empty() {
        out.push(Run { class, text: rest });
    }
    out
}

/// `line` without its escape sequences and other characters that would move a cursor.
pub fn strip(line: &str) -> String {
    runs(line).iter().flat_map(|run| run.text.chars()).filter(|c| *c == '\t' || !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_classes() {
        let got = runs("a \u{1b}[1;31mbad\u{1b}[0m end");
        let want =
            [Run { class: "", text: "a " }, Run { class: "t-bad", text: "bad" }, Run { class: "", text: " end" }];
        assert_eq!(got, want);
    }

    #[test]
    fn hostile_sequences_do_not_panic() {
        for line in ["\u{1b}", "\u{1b}[", "\u{1b}[31", "\u{1b}]0;title\u{7}x", "\u{1b}[2Jx", "é\u{1b}[é"] {
            let _ = strip(line);
        }
        assert_eq!(strip("\u{1b}[2Jx\r"), "x");
    }
}
