//! The result of a build as one JSON object, for old clients. It is streamed, since each line of the output becomes an
//! object many times its size.

use std::{io::SeekFrom, path::Path};

use axum::body::Bytes;
use base::slots::Slot;
use futures::Stream;
use spool::Lines;
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _, Take},
};

/// The maximum length of the end of an output that is in a result, in bytes.
const MOST: u64 = 4 << 20;
/// Bytes read at once: in the worst case a chunk of the response is this many empty lines.
const CHUNK: usize = 8 << 10;
/// Lines longer than this, in bytes, are split. Those of builds are shorter.
const MOST_LINE: usize = 64 << 10;

/// A result that is being written.
pub(super) struct Writing {
    /// What was written but not sent yet.
    out: String,
    /// The rest of the output; `None` when all of it is written.
    file: Option<Take<File>>,
    elements: Elements,
    _slot: Slot,
}

impl Writing {
    /// Begins the result of a build, given as JSON, with the output in `file`, which need not exist. Holds `slot` while
    /// it is read.
    pub(super) async fn begin(build: &str, exit_code: Option<i32>, file: &Path, slot: Slot) -> Self {
        let exit_code = exit_code.map_or_else(|| "null".to_owned(), |code| code.to_string());
        let out = format!(r#"{{"build":{build},"exit_code":{exit_code},"lines":["#);
        match end_of(file).await {
            Ok(file) => Self { out, file: Some(file), elements: Elements::new(), _slot: slot },
            Err(_) => Self { out: out + "]}", file: None, elements: Elements::new(), _slot: slot },
        }
    }

    /// The chunks of the result.
    pub(super) fn chunks(self) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
        futures::stream::try_unfold(self, |mut writing| async move {
            while writing.out.is_empty() && writing.file.is_some() {
                writing.read().await?;
            }
            let out = std::mem::take(&mut writing.out);
            Ok((!out.is_empty()).then(|| (out.into(), writing)))
        })
    }

    async fn read(&mut self) -> std::io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut chunk = vec![0; CHUNK];
        let n = file.read(&mut chunk).await?;
        if n > 0 {
            self.elements.write(&chunk[..n], &mut self.out);
        } else {
            self.elements.end(&mut self.out);
            self.out.push_str("]}");
            self.file = None;
        }
        Ok(())
    }
}

async fn end_of(file: &Path) -> std::io::Result<Take<File>> {
    let mut file = File::open(file).await?;
    let length = file.metadata().await?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MOST))).await?;
    Ok(file.take(MOST))
}

/// Writes an output, in chunks, as the elements of a JSON list of lines.
struct Elements {
    lines: Lines,
    is_first: bool,
}

impl Elements {
    fn new() -> Self {
        Self { lines: Lines::new(0, MOST_LINE), is_first: true }
    }

    fn write(&mut self, chunk: &[u8], out: &mut String) {
        self.lines.push(chunk);
        for line in self.lines.by_ref() {
            add(line, &mut self.is_first, out);
        }
    }

    /// Writes the rest: a line without an end.
    fn end(&mut self, out: &mut String) {
        if let Some(line) = self.lines.finish() {
            add(line, &mut self.is_first, out);
        }
    }
}

fn add(line: String, is_first: &mut bool, out: &mut String) {
    if !std::mem::take(is_first) {
        out.push(',');
    }
    let quoted = serde_json::Value::from(line).to_string();
    out.push_str(r#"{"line":"#);
    out.push_str(&quoted[..quoted.len() - 1]);
    out.push_str(r#"\n","stream":"STDOUT"}"#);
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    async fn result(text: &[u8]) -> (serde_json::Value, usize) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("output");
        std::fs::write(&file, text).unwrap();
        let slot = base::slots::Slots::new("results", 1, 0, 2).try_take(api::ids::AccountId::nil()).unwrap();
        let writing = Writing::begin(r#"{"id":1}"#, Some(0), &file, slot).await;
        let chunks: Vec<Bytes> = writing.chunks().map(|chunk| chunk.unwrap()).collect().await;
        let largest = chunks.iter().map(Bytes::len).max().unwrap();
        (serde_json::from_slice(&chunks.concat()).unwrap(), largest)
    }

    #[tokio::test]
    async fn a_result_is_written_in_chunks_however_large_it_is() {
        let (result, largest) = result(&b"\n".repeat(200_000)).await;
        assert!(largest <= CHUNK * 40, "{largest}");
        assert_eq!(result["lines"].as_array().unwrap().len(), 200_000);
        assert_eq!(result["lines"][0], serde_json::json!({ "line": "\n", "stream": "STDOUT" }));
        assert_eq!((&result["build"]["id"], &result["exit_code"]), (&1.into(), &0.into()));
    }

    #[tokio::test]
    async fn only_the_end_of_what_is_too_long_is_in_it() {
        let (result, _) = result(&b"0123456789abcde\n".repeat(300_000)).await;
        assert_eq!(result["lines"].as_array().unwrap().len() as u64, MOST / 16);
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut_into_chunks() {
        for text in
            ["", "a", "a\r", "\n", "\r\n\r\n", "a\"b\\c\u{1b}[0m\nd\r\ne\rf\n\n", "é\u{20ac}\n\u{1f600}\u{1f600}"]
        {
            lines_of(text.as_bytes());
        }
        lines_of(b"\xff\xc3\n\xe2\x82\n\xf0\x9f\x98 a\n\x80\x80\x80\x80\n\xe2\x82");
    }

    fn lines_of(text: &[u8]) {
        let whole = String::from_utf8_lossy(text);
        let expected: Vec<_> =
            whole.lines().map(|l| serde_json::json!({ "line": format!("{l}\n"), "stream": "STDOUT" })).collect();
        for size in 1..=text.len().max(1) {
            let (mut elements, mut out) = (Elements::new(), String::new());
            for chunk in text.chunks(size) {
                elements.write(chunk, &mut out);
            }
            elements.end(&mut out);
            let found: Vec<serde_json::Value> = serde_json::from_str(&format!("[{out}]")).unwrap();
            assert_eq!(found, expected, "{whole:?} in chunks of {size}");
        }
    }
}
