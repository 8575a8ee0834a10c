//! Lines in batches of bounded size, so that what waits for a reader is bounded, too.

use logs::Line;

/// The text of a batch, in bytes; its last line may exceed it.
pub(crate) const BATCH_BYTES: usize = 64 << 10;
/// The size of a log line besides its text, in bytes.
const LINE_BYTES: usize = 128;
/// Longer lines of an output are cut at this many bytes.
const MOST_LINE: usize = BATCH_BYTES;

/// The next lines of a log up to `until`: at most `most`, and at most a batch; and whether these were the last.
pub(crate) fn take(past: &mut logs::Lines, most: usize, until: Option<u64>) -> (Vec<Line>, bool) {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while lines.len() < most && bytes < BATCH_BYTES {
        match past.next().filter(|line| until.is_none_or(|until| line.seq <= until)) {
            Some(line) => {
                bytes += line.text.len() + LINE_BYTES;
                lines.push(line);
            }
            None => return (lines, !past.is_stopped()),
        }
    }
    (lines, false)
}

/// Splits an output, which comes in chunks, into lines.
pub(crate) struct Output {
    text: Vec<u8>,
    /// Where the next line begins in `text`,
    begin: usize,
    /// and in the output.
    at: u64,
}

impl Output {
    /// The lines from `at` on.
    pub(crate) fn from(at: u64) -> Self {
        Self { text: Vec::new(), begin: 0, at }
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.text.drain(..self.begin);
        self.begin = 0;
        self.text.extend_from_slice(chunk);
    }

    /// The end of the next line in the rest of `text`; `None` if it is not complete yet.
    fn end(&self) -> Option<usize> {
        let rest = &self.text[self.begin..];
        let most = &rest[..rest.len().min(MOST_LINE)];
        match most.iter().position(|byte| *byte == b'\n') {
            Some(end) => Some(end + 1),
            None => (most.len() == MOST_LINE).then(|| boundary(rest, MOST_LINE)),
        }
    }

    pub(crate) fn has_next(&self) -> bool {
        self.end().is_some()
    }

    /// The next line, without its line break; `None` if it is not complete yet.
    pub(crate) fn next(&mut self) -> Option<String> {
        let end = self.end()?;
        let line = &self.text[self.begin..self.begin + end];
        let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        let line = String::from_utf8_lossy(line).into_owned();
        self.begin += end;
        self.at += end as u64;
        Some(line)
    }

    /// The next lines: at most `most`, and at most a batch.
    pub(crate) fn batch(&mut self, most: usize) -> Vec<String> {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while lines.len() < most
            && bytes < BATCH_BYTES
            && let Some(line) = self.next()
        {
            bytes += line.len();
            lines.push(line);
        }
        lines
    }

    /// Where the next line begins in the output, in bytes.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }
}

/// The last boundary between characters up to `end`, if there is one nearby.
fn boundary(text: &[u8], end: usize) -> usize {
    let is_boundary = |at: &usize| text.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    (end.saturating_sub(3)..=end).rev().find(is_boundary).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8], chunk: usize) -> (Vec<String>, u64) {
        let (mut output, mut lines) = (Output::from(7), Vec::new());
        for chunk in text.chunks(chunk) {
            output.push(chunk);
            while let Some(line) = output.next() {
                lines.push(line);
            }
        }
        (lines, output.at())
    }

    #[test]
    fn lines_come_whole_however_they_are_cut_into_chunks() {
        for chunk in [1, 2, 3, 5, 100] {
            let (lines, at) = all("a\n\r\n\ndécor\r\nrest".as_bytes(), chunk);
            assert_eq!(lines, ["a", "", "", "décor"]);
            assert_eq!(at, 7 + "a\n\r\n\ndécor\r\n".len() as u64);
        }
    }

    #[test]
    fn a_line_without_end_is_cut_between_characters() {
        let long = "xé".repeat(100_000);
        let (lines, at) = all(long.as_bytes(), 10_000);
        assert!(lines.iter().all(|line| (MOST_LINE - 3..=MOST_LINE).contains(&line.len())));
        assert_eq!(lines.len(), 4);
        assert_eq!(lines.concat(), long[..(at - 7) as usize]);
    }

    #[test]
    fn a_batch_is_bounded_in_lines_and_in_bytes() {
        let mut output = Output::from(0);
        output.push(&b"\n".repeat(10_000));
        assert_eq!(output.batch(500).len(), 500);
        assert_eq!(output.at(), 500);
        let mut output = Output::from(0);
        output.push(&[&b"x".repeat(10_000)[..], b"\n"].concat().repeat(20));
        assert_eq!(output.batch(500).len(), 7);
    }
}
