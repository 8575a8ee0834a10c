//! The severity of a line, detected from its text.
//!
//! A heuristic, applied once when the line arrives: the first word that names a level decides.
//! Upper-case words count anywhere near the start; lower-case words only where a program puts a
//! level (`error:`, `[error]`, `level=error`), so that "no error" does not match.

use crate::{Level, RouterFields};

/// The level comes early in a line; the rest is the message.
const LOOK_AT_BYTES: usize = 200;
const LOOK_AT_WORDS: usize = 12;

/// The level of a line of this source and dyno.
pub fn of(source: &str, dyno: &str, text: &str) -> Level {
    if dyno == "router" {
        return of_usual_request(text).unwrap_or_else(|| of_request(&RouterFields::parse(text)));
    }
    if source == "heroku" {
        return of_platform(text);
    }
    of_app(text)
}

/// The level of a request that the router has answered without an error of its own, without parsing the whole line: no
/// field at its end is chosen by the client.
fn of_usual_request(text: &str) -> Option<Level> {
    /// Fits the status and what comes after it.
    const END_BYTES: usize = 64;
    const FIELD: &[u8; 8] = b" status=";
    if !text.starts_with("at=info method=") {
        return None;
    }
    let end = text.as_bytes().get(text.len().saturating_sub(END_BYTES)..)?;
    let at = end.windows(FIELD.len()).rposition(|bytes| bytes == FIELD)? + FIELD.len();
    match end.get(at..at + 4)? {
        [b'5'..=b'9', b'0'..=b'9', b'0'..=b'9', b' '] => Some(Level::Error),
        [b'1'..=b'4', b'0'..=b'9', b'0'..=b'9', b' '] => Some(Level::Info),
        _ => None,
    }
}

fn of_request(fields: &RouterFields<'_>) -> Level {
    match (fields.at, fields.code, fields.status) {
        (Some("error"), ..) => Level::Error,
        (Some("warning" | "warn"), ..) => Level::Warn,
        // The app's own 500. If there is a code, the router's level applies (maintenance is not an error).
        (_, None, Some(500..)) => Level::Error,
        _ => Level::Info,
    }
}

fn of_platform(text: &str) -> Level {
    if text.starts_with("Error ") || text.ends_with(" to crashed") {
        return Level::Error;
    }
    if let Some(status) = text.strip_prefix("Process exited with status ") {
        // 143 is a regular exit after SIGTERM.
        return match status.trim() {
            "0" | "143" => Level::Info,
            _ => Level::Error,
        };
    }
    if text.starts_with("Warning") {
        return Level::Warn;
    }
    Level::Info
}

fn of_app(text: &str) -> Level {
    if text.contains('\u{1b}') {
        return of_app(&without_colours(text));
    }
    let head = &text[..text.floor_char_boundary(LOOK_AT_BYTES)];
    if !might_name_a_level(head) {
        return Level::Info;
    }
    if head.trim_start().starts_with('{')
        && let Some(level) = of_json(text)
    {
        return level;
    }
    const ERRORS: [&str; 5] =
        ["Traceback (most recent call last)", " panicked at ", "Uncaught ", "Unhandled ", "panic: "];
    if ERRORS.iter().any(|phrase| head.contains(phrase)) {
        return Level::Error;
    }
    of_words(head).unwrap_or_default()
}

/// The text without `ESC [ … letter`, and without any other escape character.
fn without_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut plain = String::with_capacity(text.len());
    plain += parts.next().unwrap_or_default();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic());
        plain += match (part.starts_with('['), end) {
            (true, Some(end)) => &part[end + 1..],
            _ => part,
        };
    }
    plain
}

/// A fast pre-check that rejects most lines: every word below contains one of these.
fn might_name_a_level(head: &str) -> bool {
    const PARTS: [&[u8; 3]; 12] =
        [b"rro", b"war", b"fat", b"cri", b"ale", b"eme", b"pan", b"tra", b"nca", b"nha", b"lev", b"sev"];
    /// For each byte, the parts of which it is the first, second, third letter.
    static LETTERS: [[u16; 256]; 3] = letters(&PARTS);
    let ruby = matches!(head.as_bytes(), [b'E' | b'F' | b'W', b',', ..]);
    // Without a branch per letter: most lines are searched to the end.
    ruby || head.as_bytes().chunks(64).enumerate().any(|(n, chunk)| {
        let next = &head.as_bytes()[n * 64..head.len().min(n * 64 + chunk.len() + 2)];
        let parts = next.windows(3).fold(0, |found, three| {
            found
                | (LETTERS[0][usize::from(three[0])]
                    & LETTERS[1][usize::from(three[1])]
                    & LETTERS[2][usize::from(three[2])])
        });
        parts != 0
    })
}

/// See `LETTERS`. Letters count in both cases.
const fn letters<const N: usize>(parts: &[&[u8; 3]; N]) -> [[u16; 256]; 3] {
    let mut letters = [[0; 256]; 3];
    let mut part = 0;
    while part < N {
        let mut at = 0;
        while at < 3 {
            let letter = parts[part][at] as usize;
            letters[at][letter] |= 1 << part;
            letters[at][letter & !32] |= 1 << part;
            at += 1;
        }
        part += 1;
    }
    letters
}

/// The level of a JSON line, as written by pino, bunyan, zap, logrus and others.
fn of_json(text: &str) -> Option<Level> {
    for key in ["\"level\"", "\"severity\"", "\"lvl\"", "\"levelname\""] {
        let Some((_, rest)) = text.split_once(key) else {
            continue;
        };
        let value = rest.trim_start().strip_prefix(':')?.trim_start();
        if let Some(word) = value.strip_prefix('"') {
            return Some(of_word(word.split('"').next()?).unwrap_or_default());
        }
        let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
        return Some(match digits.parse::<u32>().ok()? {
            50.. => Level::Error,
            40.. => Level::Warn,
            _ => Level::Info,
        });
    }
    None
}

fn of_words(head: &str) -> Option<Level> {
    if let [letter @ (b'E' | b'F' | b'W'), b',', b' ', b'[', ..] = head.as_bytes() {
        // Ruby's Logger: `E, [2026-…`.
        return Some(if *letter == b'W' { Level::Warn } else { Level::Error });
    }
    let mut position = 0;
    for _ in 0..LOOK_AT_WORDS {
        let start = position + head[position..].find(|c: char| c.is_ascii_alphabetic())?;
        let length = head[start..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let end = length.map_or(head.len(), |n| start + n);
        position = end;
        let Some(level) = of_word(&head[start..end]) else {
            continue;
        };
        if names_a_level(head, start, end) {
            return Some(level);
        }
    }
    None
}

/// Whether the word is in a level's position, not in the middle of a sentence.
fn names_a_level(head: &str, start: usize, end: usize) -> bool {
    let word = &head[start..end];
    let before = head[..start].bytes().next_back();
    let after = head[end..].bytes().next();
    let is_capitals = word.bytes().all(|b| b.is_ascii_uppercase());
    if is_capitals {
        return true;
    }
    match before {
        // `[error]`, `<error>`, `(error)`, `|error|`
        Some(b'[' | b'<' | b'(' | b'|') => true,
        // `level=error`, `lvl="warn"`, also after colour sequences
        Some(b'=' | b'"') => ["level=", "lvl=", "severity=", "level=\"", "lvl=\"", "severity=\""]
            .iter()
            .any(|key| head[..start].ends_with(key)),
        _ => after == Some(b':') || (before.is_none() && after == Some(b' ')),
    }
}

fn of_word(word: &str) -> Option<Level> {
    // `TypeError:` and `java.lang.IllegalStateException:` are recognised by their suffix.
    let word = word.to_ascii_lowercase();
    Some(match word.as_str() {
        "error" | "err" | "eror" | "fatal" | "crit" | "critical" | "alert" | "emerg" | "emergency" | "panic" => {
            Level::Error
        }
        "warn" | "warning" => Level::Warn,
        "info" | "debug" | "trace" | "notice" | "verbose" => Level::Info,
        other if other.len() > 5 && other.ends_with("error") => Level::Error,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(level: Level, texts: &[&str]) {
        for text in texts {
            assert_eq!(of("app", "web.1", text), level, "{text}");
        }
    }

    #[test]
    fn lines_of_apps() {
        check(
            Level::Error,
            &[
                "ERROR something broke",
                "2026-11-24 10:00:00,123 ERROR django.request: Internal",
                "[error] cannot connect",
                "error: cannot connect",
                "Error: Cannot find module 'express'",
                "TypeError: x is not a function",
                "    throw new Error('x') // FATAL",
                r#"{"level":"error","msg":"timeout"}"#,
                r#"{"level":50,"msg":"timeout"}"#,
                r#"{"time":1,"severity": "CRITICAL"}"#,
                "ts=1 level=error msg=x",
                "\u{1b}[31merror\u{1b}[0m: x",
                "thread 'main' panicked at src/main.rs:1:1:",
                "panic: runtime error: index out of range",
                "Traceback (most recent call last):",
                "E, [2026-11-24T10:00:00.1 #4] ERROR -- : x",
            ],
        );
        check(
            Level::Warn,
            &[
                "WARN pool is waiting",
                "Warning: deprecated",
                r#"{"level":"warn","msg":"error"}"#,
                r#"{"level":40}"#,
                "W, [2026-11-24T10:00:00.1 #4]  WARN -- : x",
                "(node:1) [DEP0001] DeprecationWarning: x WARNING",
            ],
        );
        check(
            Level::Info,
            &[
                "",
                "hello",
                "listening on 3000, no error so far",
                "0 errors, 0 warnings",
                "INFO request finished with ERROR 0",
                r#"{"level":"info","msg":"an error: none"}"#,
                "GET /error 200",
                "é".repeat(300).as_str(),
            ],
        );
    }

    #[test]
    fn lines_of_the_platform() {
        let heroku = |text| of("heroku", "web.1", text);
        assert_eq!(heroku("Error R14 (Memory quota exceeded)"), Level::Error);
        assert_eq!(heroku("State changed from up to crashed"), Level::Error);
        assert_eq!(heroku("Process exited with status 1"), Level::Error);
        assert_eq!(heroku("Process exited with status 143"), Level::Info);
        assert_eq!(heroku("State changed from starting to up"), Level::Info);
    }

    #[test]
    fn lines_of_the_router() {
        let router = |text| of("heroku", "router", text);
        assert_eq!(router("at=error code=H12 status=503"), Level::Error);
        assert_eq!(router("at=warning code=H28 status=499"), Level::Warn);
        assert_eq!(router("at=info method=GET path=\"/error\" status=200"), Level::Info);
        assert_eq!(router("at=info method=GET status=500"), Level::Error);
        assert_eq!(router("at=info code=H80 status=503"), Level::Info);
        let usual = |path: &str, status: &str| -> Level {
            let (before, after) =
                ("host=x.example request_id=a fwd=\"1.2.3.4\" dyno=web.1 connect=0ms service=1ms", "bytes=");
            of(
                "heroku",
                "router",
                &format!(
                    "at=info method=GET path=\"{path}\" {before} status={status} {after}123456789012 protocol=https"
                ),
            )
        };
        assert_eq!(usual("/", "200"), Level::Info);
        assert_eq!(usual("/?a= status=500 b", "304"), Level::Info);
        assert_eq!(usual("/\\\" status=200 bytes=1", "502"), Level::Error);
        assert_eq!(usual("/", ""), Level::Info);
    }

    #[test]
    fn words_are_found_wherever_they_are() {
        for before in 0..190 {
            for (word, level) in [("ERROR", Level::Error), ("Warning:", Level::Warn), ("lowered", Level::Info)] {
                assert_eq!(of("app", "web.1", &format!("{} {word} x", ".".repeat(before))), level, "{before} {word}");
            }
        }
    }
}
