//! Runs the build dyno to its end and forwards its output line by line.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use dyno::{Driver, Exit, Spec};
use spool::{Cursor, Reader};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// The polling interval of the dyno's spool.
const LOOK: Duration = Duration::from_millis(50);
/// Between asking a build to stop and killing it.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// Entries read at once.
const BATCH: usize = 1000;
/// A line longer than this is cut.
const LINE_BYTES: usize = 32 << 10;

/// How the dyno ended.
pub(crate) enum Outcome {
    Exited(Exit),
    Cancelled,
    TimedOut,
}

/// Starts the dyno and waits. Whatever the outcome, the dyno has stopped then, but is not removed.
pub(crate) async fn run(
    driver: &dyn Driver,
    spec: &Spec,
    limit: Duration,
    output: &UnboundedSender<String>,
    cancel: &CancellationToken,
) -> Result<Outcome> {
    let handle = driver.start(spec).await.context("start the build dyno")?;
    let mut tail = Tail::new(&handle.spool);
    let deadline = Instant::now() + limit;
    let exited = driver.wait(spec.id);
    tokio::pin!(exited);
    let outcome = loop {
        tokio::select! {
            exit = &mut exited => break Outcome::Exited(exit.context("wait for the build dyno")?),
            () = cancel.cancelled() => break Outcome::Cancelled,
            () = sleep_until(deadline) => break Outcome::TimedOut,
            () = sleep(LOOK) => tail = tail.pass_on(output).await?,
        }
    };
    if !matches!(outcome, Outcome::Exited(_)) {
        driver.signal(spec.id, libc::SIGTERM).await.context("stop the build dyno")?;
        if timeout(GRACE, &mut exited).await.is_err() {
            driver.signal(spec.id, libc::SIGKILL).await.context("kill the build dyno")?;
            // If even that does not end it, removing it will say why.
            let _ = timeout(GRACE, &mut exited).await;
        }
    }
    tail.pass_on(output).await?;
    Ok(outcome)
}

/// The reader of the dyno's spool.
struct Tail {
    reader: Reader,
}

impl Tail {
    fn new(spool: &Path) -> Tail {
        Tail { reader: Reader::new(spool, Cursor::default()) }
    }

    /// Sends all available lines.
    async fn pass_on(mut self, output: &UnboundedSender<String>) -> Result<Tail> {
        loop {
            let (tail, entries) = tokio::task::spawn_blocking(move || {
                let entries = self.reader.read(BATCH)?;
                self.reader.forget_consumed()?;
                Ok::<_, std::io::Error>((self, entries))
            })
            .await
            .context("read the build's output")?
            .context("read the build's output")?;
            self = tail;
            if entries.is_empty() {
                return Ok(self);
            }
            for entry in &entries {
                let text = line(&entry.text);
                // Messages of the platform about the dyno stand out from its own output.
                let line = if matches!(entry.kind, b'o' | b'e') { text } else { format!(" !     {text}") };
                // The receiver is gone; the build continues.
                let _ = output.send(line);
            }
        }
    }
}

/// One line as text. Of a line that was overwritten (`\r`), what is visible at the end.
fn line(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(LINE_BYTES)];
    let text = String::from_utf8_lossy(cut);
    let text = text.trim_end_matches(['\r', ' ', '\t']);
    text.rsplit('\r').next().unwrap_or_default().replace('\0', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_made_fit_for_a_terminal() {
        assert_eq!(line(b"plain"), "plain");
        assert_eq!(line(b"windows\r"), "windows");
        assert_eq!(line(b"10%\r50%\r100%"), "100%");
        assert_eq!(line(b"       indented  "), "       indented");
        assert_eq!(line(b"bad \xff\0byte"), "bad \u{fffd}byte");
        assert_eq!(line(&vec![b'x'; LINE_BYTES * 2]).len(), LINE_BYTES);
    }
}
