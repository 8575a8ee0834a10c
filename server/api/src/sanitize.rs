//! Sanitizes untrusted text for terminals, and escapes it for HTML.
//!
//! Log lines, commit messages, names, errors and build output come from people whom the reader need not trust, and a
//! terminal interprets what it receives: it moves the cursor, sets its title and clipboard, and reorders text. Colours
//! pass. All other control characters are made visible: ESC as `␛`, U+202E as `<U+202E>`. Nothing is dropped, so
//! nothing can be hidden.

/// Resets all colours.
const RESET: &str = "\x1b[0m";
/// The maximum length of a colour sequence, in bytes: twice that of all SGR attributes together.
const MOST_SGR: usize = 48;

/// Multi-line text: line breaks, tabs and colours pass. Colours end with their line.
pub fn text(from: &str) -> String {
    let mut out = String::with_capacity(from.len());
    let mut stream = Stream::default();
    stream.add(from, &mut out);
    stream.end(&mut out);
    out
}

/// A single line: line breaks are made visible too.
pub fn line(from: &str) -> String {
    text(&from.replace('\n', "\u{240a}"))
}

/// A name or table cell: one line without colours; line breaks and control characters become spaces.
pub fn word(from: &str) -> String {
    from.chars().map(|c| if c.is_control() || steers(c) { ' ' } else { c }).collect()
}

/// Equivalent JSON with control characters written as escapes.
pub fn json(from: &str) -> String {
    let mut out = String::with_capacity(from.len());
    for c in from.chars() {
        // Those below U+0020 are escaped by JSON itself; all others are in the basic plane.
        if steers(c) { out.push_str(&format!("\\u{:04x}", u32::from(c))) } else { out.push(c) }
    }
    out
}

/// HTML that shows this text, as content or as a quoted attribute.
pub fn html(from: &str) -> String {
    let mut out = String::with_capacity(from.len());
    from.chars().for_each(|c| push_html(&mut out, c));
    out
}

/// Appends HTML that shows `c`, for text of which the caller replaces some characters.
pub fn push_html(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        c => out.push(c),
    }
}

/// Whether text must not contain `c`: C0 and C1 control characters, bidirectional controls and line separators.
/// Line breaks, tabs and ESC are up to the caller.
fn steers(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// Streamed output, in arbitrary chunks.
#[derive(Default)]
pub struct Stream {
    /// A partial character or colour sequence, to be completed by the next chunk.
    held: Vec<u8>,
    /// Whether a colour is on.
    coloured: bool,
}

impl Stream {
    /// The printable part of what was held back and `bytes`.
    pub fn feed(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let all = std::mem::take(&mut self.held);
        let keep = unfinished(&all);
        let (now, later) = all.split_at(all.len() - keep);
        self.held = later.to_vec();
        let mut out = String::with_capacity(now.len());
        self.add(&String::from_utf8_lossy(now), &mut out);
        out
    }

    /// Flushes what was held back at the end.
    pub fn finish(mut self) -> String {
        let mut out = String::new();
        let held = std::mem::take(&mut self.held);
        self.add(&String::from_utf8_lossy(&held), &mut out);
        self.end(&mut out);
        out
    }

    fn add(&mut self, from: &str, out: &mut String) {
        let mut rest = from;
        while let Some(c) = rest.chars().next() {
            if let Some(length) = colour(rest) {
                out.push_str(&rest[..length]);
                self.coloured = !matches!(&rest[..length], RESET | "\x1b[m");
                rest = &rest[length..];
                continue;
            }
            rest = &rest[c.len_utf8()..];
            match c {
                '\n' => {
                    self.end(out);
                    out.push('\n');
                }
                '\t' => out.push('\t'),
                // Line endings of other systems.
                '\r' if rest.starts_with('\n') => {}
                c => push(out, c),
            }
        }
    }

    fn end(&mut self, out: &mut String) {
        if std::mem::take(&mut self.coloured) {
            out.push_str(RESET);
        }
    }
}

/// `c`, or its visible replacement.
fn push(out: &mut String, c: char) {
    match c {
        // Unicode has a symbol for each.
        '\0'..='\x1f' => out.extend(char::from_u32(0x2400 + u32::from(c))),
        '\x7f' => out.push('\u{2421}'),
        c if steers(c) => out.push_str(&format!("<U+{:04X}>", u32::from(c))),
        c => out.push(c),
    }
}

/// The length of the `\x1b[1;31m` at the start of `from`.
fn colour(from: &str) -> Option<usize> {
    let codes = from.strip_prefix("\x1b[")?;
    let end = codes.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':')?;
    (end <= MOST_SGR && codes[end..].starts_with('m') && is_visible(&codes[..end])).then_some(2 + end + 1)
}

/// Whether text with these attributes is visible: not concealed (8).
fn is_visible(codes: &str) -> bool {
    let mut codes = codes.split([';', ':']);
    while let Some(code) = codes.next() {
        match code.trim_start_matches('0') {
            "8" => return false,
            // The parameters of a 256-colour (`5;n`) or RGB (`2;r;g;b`) value are not attributes.
            "38" | "48" | "58" => match codes.next() {
                Some("5") => drop(codes.next()),
                Some("2") => drop(codes.by_ref().take(3).count()),
                _ => return false,
            },
            _ => {}
        }
    }
    true
}

/// The number of bytes at the end that the next chunk may complete.
fn unfinished(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(MOST_SGR + 2)..];
    if let Some(at) = tail.iter().rposition(|b| *b == 0x1b) {
        let begun = &tail[at + 1..];
        let codes = begun.strip_prefix(b"[").unwrap_or(begun);
        let is_begun = codes.len() == begun.len().saturating_sub(1) || begun.is_empty();
        if is_begun && codes.iter().all(|b| b.is_ascii_digit() || matches!(b, b';' | b':')) {
            return tail.len() - at;
        }
    }
    if tail.last() == Some(&b'\r') {
        return 1;
    }
    match std::str::from_utf8(tail) {
        // A character truncated at the end; invalid bytes elsewhere are no reason to wait.
        Err(err) if err.error_len().is_none() => tail.len() - err.valid_up_to(),
        _ => (1..=3.min(tail.len()))
            .find(|n| {
                let end = &tail[tail.len() - n..];
                std::str::from_utf8(end).is_err_and(|err| err.valid_up_to() == 0 && err.error_len().is_none())
            })
            .unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_pass_and_end_with_their_line() {
        assert_eq!(text("a\x1b[1;31mred\x1b[0m\tb"), "a\x1b[1;31mred\x1b[0m\tb");
        assert_eq!(text("\x1b[41mred\nplain"), "\x1b[41mred\x1b[0m\nplain");
        assert_eq!(text("\x1b[38;5;8mgrey\x1b[m"), "\x1b[38;5;8mgrey\x1b[m");
        assert_eq!(text("one\r\ntwo"), "one\ntwo");
    }

    #[test]
    fn what_steers_a_terminal_is_shown() {
        for (from, shown) in [
            ("\x1b[2J\x1b[H", "␛[2J␛[H"),
            ("\x1b]0;title\x07", "␛]0;title␇"),
            ("\x1b]52;c;cm0gLXJm\x1b\\", "␛]52;c;cm0gLXJm␛\\"),
            ("\x1b]8;;http://evil.test\x1b\\here\x1b]8;;\x1b\\", "␛]8;;http://evil.test␛\\here␛]8;;␛\\"),
            ("\u{9b}2J\u{9d}0;x\u{9c}", "<U+009B>2J<U+009D>0;x<U+009C>"),
            ("\x1b[8mhidden", "␛[8mhidden"),
            ("\x1b[1;08mhidden", "␛[1;08mhidden"),
            ("\x1b[?25l\x1bc\x1b(0", "␛[?25l␛c␛(0"),
            ("good\rbad\x08\x7f\0", "good␍bad␈␡␀"),
            ("a\u{202e}b\u{2066}c\u{2028}d", "a<U+202E>b<U+2066>c<U+2028>d"),
            (
                "\x1b[9999999999999999999999999999999999999999999999999999m",
                "␛[9999999999999999999999999999999999999999999999999999m",
            ),
        ] {
            assert_eq!(text(from), shown, "{from:?}");
        }
    }

    #[test]
    fn a_line_stays_one_and_a_word_has_no_look() {
        assert_eq!(line("a\nb heroku[router]: ok"), "a␊b heroku[router]: ok");
        assert_eq!(word("a\n\x1b[31mb\u{202e}c"), "a  [31mb c");
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(html("<b a=\"'\">&amp; é"), "&lt;b a=&quot;&#39;&quot;&gt;&amp;amp; é");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::json!({ "a\u{202e}": "\x1b]0;t\x07\u{9b}\u{7f}ü\u{1f600}" });
        let written = json(&value.to_string());
        assert!(!written.chars().any(|c| c.is_control() || steers(c)), "{written}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), value);
    }

    /// Any chunking gives the same output, and nothing gets through in pieces.
    #[test]
    fn streams_may_be_cut_anywhere() {
        let all = "ü\x1b[1;31mred €\x1b[0m\r\n\x1b]0;t\x07\u{9b}2J\u{202e}\x1b[2Jend\x1b[3".as_bytes();
        let whole = text(&String::from_utf8_lossy(all));
        for size in 1..all.len() {
            let (mut stream, mut out) = (Stream::default(), String::new());
            all.chunks(size).for_each(|chunk| out.push_str(&stream.feed(chunk)));
            out.push_str(&stream.finish());
            assert_eq!(out, whole, "pieces of {size}");
        }
    }

    #[test]
    fn broken_text_is_not_waited_for() {
        let mut stream = Stream::default();
        assert_eq!(stream.feed(b"\xff\xfeok"), "\u{fffd}\u{fffd}ok");
        assert_eq!(stream.feed(b"\xe2\x82"), "");
        assert_eq!(stream.feed(b"\xac"), "€");
    }
}
