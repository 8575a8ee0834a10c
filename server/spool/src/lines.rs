//! The lines of an output that arrives in chunks, wherever the boundaries are.

/// The complete lines of an output that arrives in chunks. As an iterator, it ends when there is none, and continues
/// after the next [`Lines::push`].
pub struct Lines {
    most: usize,
    text: Vec<u8>,
    /// The offset of the next line in `text`.
    begin: usize,
    /// The offset of the next line in the output.
    at: u64,
}

impl Lines {
    /// The lines from the byte `at` on. Lines longer than `most` bytes are split between characters.
    pub fn new(at: u64, most: usize) -> Self {
        Self { most, text: Vec::new(), begin: 0, at }
    }

    /// Adds the next chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        self.text.drain(..self.begin);
        self.begin = 0;
        self.text.extend_from_slice(chunk);
    }

    /// Whether there is a complete line.
    pub fn has_next(&self) -> bool {
        self.end().is_some()
    }

    /// The rest, after the last chunk: a line without a line break.
    pub fn finish(&mut self) -> Option<String> {
        let rest = &self.text[self.begin..];
        let line = (!rest.is_empty()).then(|| line_text(rest, self.most));
        self.at += rest.len() as u64;
        self.begin = self.text.len();
        line
    }

    /// Where the next line begins in the output, in bytes.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Where the next line ends in what is left of `text`, with its line break; `None` until more of it arrives.
    fn end(&self) -> Option<usize> {
        let rest = &self.text[self.begin..];
        let line = &rest[..rest.len().min(self.most + 1)];
        match line.iter().position(|byte| *byte == b'\n') {
            Some(end) => Some(end + 1),
            None => (line.len() > self.most).then(|| boundary(rest, self.most)),
        }
    }
}

impl Iterator for Lines {
    type Item = String;

    /// The next line, without its line break; `None` until more of it arrives.
    fn next(&mut self) -> Option<String> {
        let end = self.end()?;
        let line = &self.text[self.begin..self.begin + end];
        let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        let line = line_text(line, self.most);
        self.begin += end;
        self.at += end as u64;
        Some(line)
    }
}

/// The text of a line, with replacement characters for invalid UTF-8. Of more than `most` bytes, the beginning.
pub fn line_text(line: &[u8], most: usize) -> String {
    let end = if line.len() > most { boundary(line, most) } else { line.len() };
    String::from_utf8_lossy(&line[..end]).into_owned()
}

/// The last boundary between characters up to `end`, which is inside `text`, if there is one nearby.
fn boundary(text: &[u8], end: usize) -> usize {
    let is_boundary = |at: &usize| text.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    (end.saturating_sub(3)..=end).rev().find(is_boundary).filter(|at| *at > 0).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of `text` in chunks of this size, where the next one would begin, and the rest.
    fn all(text: &[u8], most: usize, chunk: usize) -> (Vec<String>, u64, Option<String>) {
        let (mut lines, mut found) = (Lines::new(7, most), Vec::new());
        for chunk in text.chunks(chunk) {
            lines.push(chunk);
            assert_eq!(lines.has_next(), lines.end().is_some());
            found.extend(lines.by_ref());
        }
        (found, lines.at(), lines.finish())
    }

    #[test]
    fn lines_come_whole_however_they_are_cut_into_chunks() {
        for chunk in [1, 2, 3, 5, 100] {
            let (lines, at, rest) = all("a\n\r\n\ndécor\r\nb\rc\nrest\r".as_bytes(), 100, chunk);
            assert_eq!(lines, ["a", "", "", "décor", "b\rc"]);
            assert_eq!((at, rest.as_deref()), (7 + "a\n\r\n\ndécor\r\nb\rc\n".len() as u64, Some("rest\r")));
        }
        assert_eq!(all(b"a\n", 100, 1), (vec!["a".to_owned()], 9, None));
    }

    #[test]
    fn invalid_utf_8_is_replaced_wherever_it_is_split() {
        let text = b"\xff\xc3\n\xe2\x82\n\xf0\x9f\x98 a\n\x80\x80\n\xe2\x82";
        for chunk in 1..text.len() {
            let (lines, _, rest) = all(text, 100, chunk);
            let lines = [lines, rest.into_iter().collect()].concat();
            assert_eq!(lines, String::from_utf8_lossy(text).lines().collect::<Vec<_>>(), "{chunk}");
        }
    }

    #[test]
    fn a_line_without_end_is_cut_between_characters() {
        let long = "xé".repeat(1000);
        for chunk in [1, 7, 64, 10_000] {
            let (lines, at, rest) = all(long.as_bytes(), 64, chunk);
            assert!(lines.iter().all(|line| (61..=64).contains(&line.len())));
            assert_eq!(lines.concat(), long[..(at - 7) as usize]);
            assert_eq!(lines.concat() + &rest.unwrap_or_default(), long);
        }
        let (lines, ..) = all(&[b'\x80'; 20], 8, 20);
        assert!(!lines.is_empty(), "what has no boundary is cut, too");
    }

    #[test]
    fn a_line_of_the_greatest_length_is_one_line() {
        for chunk in 1..20 {
            let (lines, _, rest) = all(b"12345678\n123456789\n", 8, chunk);
            assert_eq!((lines, rest), (["12345678", "12345678", "9"].map(str::to_owned).to_vec(), None));
        }
    }

    #[test]
    fn the_text_of_a_line_is_its_beginning() {
        assert_eq!(line_text(b"plain", 5), "plain");
        assert_eq!(line_text("abcdé".as_bytes(), 5), "abcd");
        assert_eq!(line_text(b"a\xffb", 10), "a\u{fffd}b");
    }
}
