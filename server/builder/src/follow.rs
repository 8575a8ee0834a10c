//! Passes the output of the build dyno on, line by line.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use dyno::Output;
use spool::{Cursor, Entry};
use tokio::sync::mpsc::UnboundedSender;

/// The grace period between asking a build to stop and killing it. Short, because the next push to the app waits for it,
/// and so does whoever destroys the app.
pub(crate) const GRACE: Duration = Duration::from_secs(3);
/// A line longer than this is truncated.
const LINE_BYTES: usize = 32 << 10;

/// Sends the lines of a build to its followers.
pub(crate) struct Lines<'a>(pub &'a UnboundedSender<String>);

#[async_trait]
impl Output for Lines<'_> {
    async fn take(&mut self, entries: Vec<Entry>, _: Cursor) -> io::Result<()> {
        for entry in &entries {
            let text = line(&entry.text);
            // Lines of the platform are distinguishable from those of the build.
            let line = if matches!(entry.kind, b'o' | b'e') { text } else { format!(" !     {text}") };
            // The build continues even without followers.
            let _ = self.0.send(line);
        }
        Ok(())
    }

    fn is_only_reader(&self) -> bool {
        true
    }

    /// There are no followers any more.
    fn is_full(&self) -> bool {
        self.0.is_closed()
    }
}

/// One line as text. If a line was overwritten (`\r`), the text that remains visible.
fn line(bytes: &[u8]) -> String {
    let text = spool::line_text(bytes, LINE_BYTES);
    let text = text.trim_end_matches(['\r', ' ', '\t']);
    text.rsplit('\r').next().unwrap_or_default().replace('\0', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_not_read_without_followers() {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let lines = Lines(&sender);
        assert!(!lines.is_full());
        drop(receiver);
        assert!(lines.is_full());
    }

    #[test]
    fn lines_are_sanitized_for_a_terminal() {
        assert_eq!(line(b"plain"), "plain");
        assert_eq!(line(b"windows\r"), "windows");
        assert_eq!(line(b"10%\r50%\r100%"), "100%");
        assert_eq!(line(b"       indented  "), "       indented");
        assert_eq!(line(b"bad \xff\0byte"), "bad \u{fffd}byte");
        assert_eq!(line(&vec![b'x'; LINE_BYTES * 2]).len(), LINE_BYTES);
    }
}
