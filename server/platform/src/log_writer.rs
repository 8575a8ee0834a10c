//! Writes the platform's own lines into the apps' logs, on a dedicated thread: no request waits for the disk, nor for
//! the compression of a block. The output of dynos and router comes from their spools instead (`ingest`).

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use api::ids::AppId;
use logs::{History, NewLine};

/// The number of lines that can wait for the disk; beyond that, writers wait.
const MOST_WAITING: usize = 10_000;

enum Message {
    Line(AppId, NewLine),
    /// Confirmed when everything before it has been written.
    Flush(SyncSender<()>),
}

/// The queue of lines. Dropping it ends the thread once all of them are written.
pub(crate) struct LogWriter {
    history: Arc<History>,
    queue: SyncSender<Message>,
}

impl LogWriter {
    /// Starts the thread. Fails if no thread can be created.
    pub fn start(history: Arc<History>) -> io::Result<Self> {
        let (queue, waiting) = sync_channel(MOST_WAITING);
        let target = history.clone();
        std::thread::Builder::new().name("log writer".into()).spawn(move || write_all(&target, &waiting))?;
        Ok(Self { history, queue })
    }

    /// Queues a line for the log of an app.
    pub fn write(&self, app: AppId, line: NewLine) {
        use std::sync::mpsc::TrySendError::{Disconnected, Full};
        if let Err(Full(Message::Line(app, line)) | Disconnected(Message::Line(app, line))) =
            self.queue.try_send(Message::Line(app, line))
        {
            append(&self.history, app, vec![line]);
        }
    }

    /// Waits until everything that was queued before is written. Blocks the thread.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.queue.send(Message::Flush(done)).is_ok() {
            let _ = written.recv();
        }
    }
}

fn write_all(history: &History, waiting: &Receiver<Message>) {
    while let Ok(first) = waiting.recv() {
        let (mut lines, mut flushed) = (BTreeMap::<AppId, Vec<NewLine>>::new(), Vec::new());
        for message in std::iter::once(first).chain(waiting.try_iter().take(MOST_WAITING)) {
            match message {
                Message::Line(app, line) => lines.entry(app).or_default().push(line),
                Message::Flush(done) => flushed.push(done),
            }
        }
        lines.into_iter().for_each(|(app, lines)| append(history, app, lines));
        for done in flushed {
            let _ = done.send(());
        }
    }
}

fn append(history: &History, app: AppId, lines: Vec<NewLine>) {
    if let Err(err) = history.append(app, lines) {
        tracing::error!(app.id = %app, "could not write to the app's log: {err}");
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use logs::Filter;

    use super::*;

    #[test]
    fn lines_are_written_in_order_and_none_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path()).unwrap();
        let writer = LogWriter::start(history.clone()).unwrap();
        let apps = [AppId::from_u128(1), AppId::from_u128(2)];
        for n in 0..15_000 {
            writer.write(apps[n % 2], NewLine::app(Utc::now(), "api", format!("line {n}")));
            if n % 5000 == 0 {
                writer.flush();
            }
        }
        writer.flush();
        for (first, app) in apps.into_iter().enumerate() {
            let lines = history.last(app, 10_000, &Filter::default()).unwrap();
            let mut found: Vec<usize> =
                lines.iter().map(|l| l.text.trim_start_matches("line ").parse().unwrap()).collect();
            assert_eq!(found.len(), 7500);
            // Only lines beyond the capacity of the queue can overtake others.
            found.sort_unstable();
            assert!(found.into_iter().eq((first..15_000).step_by(2)));
        }
    }

    #[test]
    fn lines_that_wait_are_written_when_the_writer_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path()).unwrap();
        let writer = LogWriter::start(history.clone()).unwrap();
        let app = AppId::from_u128(1);
        let mut newest = history.subscribe(app).unwrap();
        (0..100).for_each(|n| writer.write(app, NewLine::app(Utc::now(), "api", n.to_string())));
        drop(writer);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(newest.wait_for(|seq| *seq == 100)).unwrap();
    }
}
