//! A spool entry and its on-disk format.

/// An entry: a timestamp, a letter for its origin and the text. `o` stdout, `e` stderr, `s` from the shim, `r`
/// a router line that starts with an app's id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Microseconds since the epoch.
    pub at_us: i64,
    /// One ASCII letter.
    pub kind: u8,
    /// Any bytes; a `\n` inside is written as a space, because it terminates the line on disk.
    pub text: Vec<u8>,
}

impl Entry {
    /// Parses a line without its `\n`. `None` if it is not an entry, such as a torn one.
    pub(crate) fn decode(line: &[u8]) -> Option<Entry> {
        let space = line.iter().take(DIGITS + 2).position(|b| *b == b' ')?;
        let at_us = number(&line[..space])?;
        let rest = &line[space + 1..];
        if rest.len() < 2 || !rest[0].is_ascii_alphabetic() || rest[1] != b' ' {
            return None;
        }
        Some(Entry { at_us, kind: rest[0], text: rest[2..].to_vec() })
    }
}

/// Appends the line of an entry, with its `\n`, to `buffer`.
pub(crate) fn encode(buffer: &mut Vec<u8>, at_us: i64, kind: u8, text: &[u8]) {
    buffer.extend_from_slice(itoa::Buffer::new().format(at_us).as_bytes());
    buffer.extend_from_slice(&[b' ', kind, b' ']);
    let start = buffer.len();
    buffer.extend_from_slice(text);
    if memchr::memchr(b'\n', text).is_some() {
        buffer[start..].iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    }
    buffer.push(b'\n');
}

/// The digits of the largest number.
const DIGITS: usize = 19;

/// Parses a decimal number. Hand-written, because every line has one.
fn number(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || digits.len() > DIGITS {
        return None;
    }
    let mut value: i64 = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i64::from(digit))?;
    }
    Some(if digits.len() < text.len() { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_to_disk_and_back() {
        for at_us in [0, 7, -7, 1_767_225_600_000_000, i64::MAX, -i64::MAX] {
            let entry = Entry { at_us, kind: b'o', text: b"a b".to_vec() };
            let mut line = Vec::new();
            encode(&mut line, entry.at_us, entry.kind, &entry.text);
            assert_eq!(Entry::decode(&line[..line.len() - 1]), Some(entry));
        }
        for bad in ["", "o a", " o a", "- o a", "1x o a", "9223372036854775808 o a", "12345678901234567890 o a", "1"] {
            assert_eq!(Entry::decode(bad.as_bytes()), None, "{bad}");
        }
    }
}
