//! Forwards git's output to the client; a failed push gets the reason at its end.
//!
//! When the rest of a push is rejected while git reads it, git reports no more than that its input has ended ("unpacker
//! error"). So its response is not forwarded from then on, and its end is generated here: a rejection of each ref, with
//! the reason. Git still runs to its end, and deletes what it has received.

use std::{io, sync::Arc, sync::Mutex};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{Stream, StreamExt as _, future::BoxFuture, stream};
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe::{Receiver, Sender},
    sync::oneshot,
};
use worker::Worker;

use crate::{body::Refusal, handle::Writing};

/// The result of reading the request's body.
#[derive(Default)]
pub(crate) struct BodyResult {
    /// Why it stopped.
    pub why: Option<String>,
    /// The refs of the push.
    pub refs: Vec<Vec<u8>>,
    /// Whether the push comes from a shallow clone.
    pub is_shallow: bool,
}

/// A [`BodyResult`] that the task reading the body fills in.
pub(crate) type SharedBodyResult = Arc<Mutex<BodyResult>>;

/// The payload of a sideband line in git's protocol.
const MOST_OF_LINE: usize = 65_515;

/// The end of the answer to a push.
const END: &[u8] = b"0000";

/// A git process that serves a client. Dropping it, because the client has disconnected, kills the process.
pub struct GitProcess {
    pub(crate) worker: Worker,
    pub(crate) output: Receiver,
    pub(crate) body_result: SharedBodyResult,
    /// Yields git's input if the rest of the request was rejected. Until it is dropped, git does not notice.
    pub(crate) rejected: Option<oneshot::Receiver<Sender>>,
    /// For a push.
    pub(crate) writing: Option<Writing>,
    pub(crate) slot: ClientSlot,
    /// Whether the client has lost access.
    pub(crate) is_over: bool,
    pub(crate) cut: Cut,
    pub(crate) shallow: Search,
}

/// Looks for git's rejection of a push that needs history which a shallow clone does not have.
#[derive(Default)]
pub(crate) struct Search {
    /// The last bytes, with which the text may begin.
    tail: Vec<u8>,
    is_found: bool,
}

impl Search {
    const TEXT: &'static [u8] = b"shallow update not allowed";

    fn read(&mut self, part: &[u8]) {
        if self.is_found {
            return;
        }
        self.tail.extend_from_slice(part);
        self.is_found = self.tail.windows(Self::TEXT.len()).any(|text| text == Self::TEXT);
        let past = self.tail.len().saturating_sub(Self::TEXT.len() - 1);
        self.tail.drain(..past);
    }
}

/// The position at which git's response to a push was cut, tracked while reading it: inside a pkt-line, or between two.
#[derive(Default)]
pub(crate) struct Cut {
    /// The bytes of the line's length read so far; cleared when its content begins.
    head: Vec<u8>,
    /// Bytes left to the end of the line.
    rest: usize,
}

impl Cut {
    fn read(&mut self, mut part: &[u8]) {
        while !part.is_empty() {
            let taken = if self.rest > 0 { self.rest } else { 4 - self.head.len() }.min(part.len());
            if self.rest > 0 {
                self.head.clear();
                self.rest -= taken;
            } else {
                self.head.extend_from_slice(&part[..taken]);
            }
            part = &part[taken..];
            if self.head.len() == 4 {
                let length = std::str::from_utf8(&self.head).ok().and_then(|head| usize::from_str_radix(head, 16).ok());
                self.rest = length.unwrap_or(0).saturating_sub(4);
                if self.rest == 0 {
                    self.head.clear();
                }
            }
        }
    }

    /// Completes the line that was cut, whose last bytes are in `out`.
    fn mend(&self, out: &mut BytesMut) {
        match self.head.len() {
            0 => out.put_bytes(b' ', self.rest),
            begun => out.truncate(out.len().saturating_sub(begun)),
        }
    }
}

/// The state of a response.
enum State {
    Reading(Box<GitProcess>, BytesMut),
    Over,
}

/// The resources that a client holds while git serves it.
pub struct ClientSlot {
    /// Called when git has exited, before the client gets the end of its response; dropped uncalled if the client has
    /// disconnected.
    pub release: Box<dyn FnOnce() + Send>,
    /// Resolves when the client loses the right to deploy, or its token expires.
    pub lost: BoxFuture<'static, ()>,
}

/// What to do about a push that git rejects because the clone is shallow.
const UNSHALLOW: [&str; 3] = [
    "This clone is shallow, and the repository of the app lacks the history that it leaves out.",
    "Fetch the history, and push again: git fetch --unshallow",
    "In CI, clone all of it: fetch-depth: 0 (GitHub Actions), GIT_DEPTH: 0 (GitLab CI).",
];

const OVER: &str = "Your token has expired, or you no longer have access to deploy this app.";

impl GitProcess {
    /// The output of git as a body, after `head`.
    pub fn body(self, head: Vec<u8>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let held = BytesMut::new();
        let head = stream::iter((!head.is_empty()).then(|| Ok::<_, io::Error>(Bytes::from(head))));
        let rest = stream::unfold(State::Reading(Box::new(self), held), |state| async move {
            match state {
                State::Reading(mut process, mut held) => match process.read(&mut held).await {
                    Ok(Some(part)) => Some((Ok(part), State::Reading(process, held))),
                    Ok(None) => Some(process.end(held).await),
                    Err(err) => Some((Err(err), State::Over)),
                },
                State::Over => None,
            }
        });
        head.chain(rest)
    }

    /// The next part. The last bytes of a push are held back, so that an error can be inserted before them.
    async fn read(&mut self, held: &mut BytesMut) -> io::Result<Option<Bytes>> {
        let back = if self.writing.is_some() { END.len() } else { 0 };
        loop {
            held.reserve(32 << 10);
            let read = tokio::select! {
                biased;
                () = &mut self.slot.lost => {
                    self.is_over = true;
                    return Ok(None);
                }
                () = until_rejected(&mut self.rejected) => {
                    self.read_out().await?;
                    return Ok(None);
                }
                read = self.output.read_buf(held) => read?,
            };
            if back > 0 {
                let part = &held[held.len() - read..];
                self.cut.read(part);
                self.shallow.read(part);
            }
            if read == 0 {
                return Ok(None);
            }
            if held.len() > back {
                return Ok(Some(held.split_to(held.len() - back).freeze()));
            }
        }
    }

    /// Reads the rest of the output without forwarding it.
    async fn read_out(&mut self) -> io::Result<()> {
        let mut rest = vec![0; 8 << 10];
        while self.output.read(&mut rest).await? > 0 {}
        Ok(())
    }

    /// The last part, and the state after it.
    async fn end(self, held: BytesMut) -> (io::Result<Bytes>, State) {
        let why = match self.is_over {
            true => {
                // Kills the process.
                drop(self.worker);
                Some(OVER.to_owned())
            }
            false => why(self.worker, &self.body_result).await,
        };
        if let Some(why) = &why {
            tracing::info!("a clone or a push was ended: {why}");
        }
        (self.slot.release)();
        let part = match (self.writing, why) {
            (Some(writing), None) => {
                writing.ended_well();
                let is_shallow = self.body_result.lock().is_ok_and(|result| result.is_shallow);
                match is_shallow && self.shallow.is_found && &held[..] == END && self.cut.rest == 0 {
                    true => Ok(unshallow()),
                    false => Ok(held.freeze()),
                }
            }
            (Some(_), Some(why)) => {
                let refs =
                    self.body_result.lock().map(|mut result| std::mem::take(&mut result.refs)).unwrap_or_default();
                Ok(refusal((&held, &self.cut), &Refusal { why, refs }))
            }
            (None, None) => Ok(held.freeze()),
            // The client detects that the response is incomplete.
            (None, Some(why)) => Err(io::Error::other(why)),
        };
        (part, State::Over)
    }
}

/// The response to a push that is rejected before git runs. It follows git's protocol, since git does not show the text
/// of other responses.
pub fn push_refused(refusal: &Refusal) -> Bytes {
    self::refusal((b"", &Cut::default()), refusal)
}

/// The response to a clone that is rejected before git runs, in the same way.
pub fn clone_refused(why: &str) -> Bytes {
    let mut out = BytesMut::new();
    line(&mut out, None, format!("ERR {why}").as_bytes());
    out.freeze()
}

/// Waits until the rest of the request was rejected, and ends git's input.
async fn until_rejected(rejected: &mut Option<oneshot::Receiver<Sender>>) {
    if let Some(receiver) = rejected {
        let input = receiver.await;
        *rejected = None;
        if input.is_ok() {
            return;
        }
    }
    std::future::pending().await
}

/// Waits for git, and returns why it failed, if it did.
async fn why(worker: Worker, body_result: &SharedBodyResult) -> Option<String> {
    let done = worker.done().await;
    let why = body_result.lock().ok().and_then(|mut result| result.why.take());
    why.or_else(|| done.err().map(|err| format!("git failed: {err}.")))
}

/// The end of the response to a failed push. If git had completed its response, a message is inserted before the end.
/// Otherwise the missing part is generated here: git then shows for each ref that it was rejected, and why. If the refs
/// are unknown, or too many to list, a single error is sent, after which git reports that the connection was cut.
fn refusal((held, cut): (&[u8], &Cut), Refusal { why, refs }: &Refusal) -> Bytes {
    let mut out = BytesMut::new();
    let is_ended = held == END && cut.rest == 0;
    if !is_ended {
        out.put_slice(held);
        cut.mend(&mut out);
    }
    if is_ended || !refs.is_empty() {
        out.put_slice(&remark(why));
    }
    if !is_ended {
        let report = if refs.is_empty() { error(why) } else { rejections(why, refs) };
        report.chunks(MOST_OF_LINE).for_each(|part| line(&mut out, Some(1), part));
    }
    out.put_slice(END);
    out.freeze()
}

/// The end of the response to a push that git has rejected because the clone is shallow.
fn unshallow() -> Bytes {
    let mut out = BytesMut::new();
    UNSHALLOW.iter().for_each(|line| out.put_slice(&remark(line)));
    out.put_slice(END);
    out.freeze()
}

fn error(why: &str) -> BytesMut {
    let mut report = BytesMut::new();
    line(&mut report, None, format!("ERR {why}").as_bytes());
    report
}

/// The first sentence is shown after each ref.
fn rejections(why: &str, refs: &[Vec<u8>]) -> BytesMut {
    let why = why.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let mut report = BytesMut::new();
    line(&mut report, None, b"unpack ok\n");
    for name in refs {
        line(&mut report, None, &[b"ng ", &name[..], b" ", why.as_bytes(), b"\n"].concat());
    }
    report.put_slice(END);
    report
}

/// A line of text for the user.
fn remark(why: &str) -> Bytes {
    let mut out = BytesMut::new();
    line(&mut out, Some(2), format!(" !     {why}\n").as_bytes());
    out.freeze()
}

/// One pkt-line; with a sideband, if the protocol uses them here: 1 is the response, 2 is text for the user.
fn line(out: &mut BytesMut, band: Option<u8>, text: &[u8]) {
    let length = text.len() + 4 + usize::from(band.is_some());
    out.put_slice(format!("{length:04x}").as_bytes());
    out.extend(band);
    out.put_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no(refs: &[&str]) -> Refusal {
        Refusal { why: "No. Try less.".into(), refs: refs.iter().map(|name| name.as_bytes().to_owned()).collect() }
    }

    #[test]
    fn a_remark_stands_before_the_end() {
        let want = Bytes::from_static(b"001a\x02 !     No. Try less.\n0000");
        assert_eq!(refusal((b"0000", &Cut::default()), &no(&["refs/heads/main"])), want);
    }

    #[test]
    fn a_line_that_was_cut_is_ended_first() {
        let (whole, remark) = (b"000f\x02 building\n", &b"001a\x02 !     No. Try less.\n"[..]);
        for end in 0..=whole.len() {
            // Read in parts, the last bytes of which are held back.
            let (mut cut, part) = (Cut::default(), &whole[..end]);
            part.chunks(3).for_each(|part| cut.read(part));
            let (sent, held) = part.split_at(end.saturating_sub(END.len()));
            let answer = [sent, &refusal((held, &cut), &no(&["refs/heads/main"]))].concat();
            let at = if end <= END.len() { 0 } else { whole.len() };
            assert_eq!(&answer[at..at + remark.len()], remark, "{end}");
        }
    }

    #[test]
    fn the_rejection_of_a_shallow_clone_is_found_wherever_it_is_cut() {
        let text = b"001dunpack ok\n003ang refs/heads/main shallow update not allowed\n0000";
        for cut in 1..text.len() {
            let mut search = Search::default();
            text.chunks(cut).for_each(|part| search.read(part));
            assert!(search.is_found, "{cut}");
        }
        let mut search = Search::default();
        search.read(b"ng refs/heads/main shallow update not");
        search.read(b"ng refs/heads/main allowed");
        assert!(!search.is_found);
    }

    #[test]
    fn who_got_no_answer_gets_one_for_each_ref() {
        let want = b"001a\x02 !     No. Try less.\n0031\x01000eunpack ok\n001ang refs/heads/main No\n00000000";
        assert_eq!(refusal((b"", &Cut::default()), &no(&["refs/heads/main"])), Bytes::from_static(want));
        assert_eq!(refusal((b"", &Cut::default()), &no(&[])), Bytes::from_static(b"001a\x010015ERR No. Try less.0000"));
    }
}
