//! Lines in batches of bounded size, so that the buffers of readers are bounded, too.

use logs::Line;

/// The text of a batch, in bytes; its last line may exceed it.
pub(crate) const BATCH_BYTES: usize = 64 << 10;
/// The size of a log line besides its text, in bytes.
const LINE_BYTES: usize = 128;
/// Lines of an output are split at this many bytes.
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

/// The lines of an output from the byte `from` on.
pub(crate) fn of_output(from: u64) -> spool::Lines {
    spool::Lines::new(from, MOST_LINE)
}

/// The next lines of an output: at most `most`, and at most a batch.
pub(crate) fn batch(output: &mut spool::Lines, most: usize) -> Vec<String> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while lines.len() < most
        && bytes < BATCH_BYTES
        && let Some(line) = output.next()
    {
        bytes += line.len();
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_bounded_in_lines_and_in_bytes() {
        let mut output = of_output(0);
        output.push(&b"\n".repeat(10_000));
        assert_eq!(batch(&mut output, 500).len(), 500);
        assert_eq!(output.at(), 500);
        let mut output = of_output(0);
        output.push(&[&b"x".repeat(10_000)[..], b"\n"].concat().repeat(20));
        assert_eq!(batch(&mut output, 500).len(), 7);
    }
}
