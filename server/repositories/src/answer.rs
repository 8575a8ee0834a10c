//! Forwards git's output to the client; a failed push gets the reason at its end.

use std::{io, sync::Arc, sync::Mutex};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{Stream, StreamExt as _, future::BoxFuture, stream};
use tokio::{io::AsyncReadExt as _, net::unix::pipe::Receiver};
use worker::Worker;

use crate::{body::Refusal, handle::Writing};

/// The result of reading the request's body.
#[derive(Default)]
pub(crate) struct Heard {
    /// Why it stopped.
    pub why: Option<String>,
    /// The refs of the push.
    pub refs: Vec<Vec<u8>>,
}

/// Where it leaves that.
pub(crate) type Told = Arc<Mutex<Heard>>;

/// The payload of a sideband line in git's protocol.
const MOST_OF_LINE: usize = 65_515;

/// The end of the answer to a push.
const END: &[u8] = b"0000";

/// A git at work for a client. Dropped, because the client went away, it is killed.
pub struct Served {
    pub(crate) worker: Worker,
    pub(crate) output: Receiver,
    pub(crate) told: Told,
    /// Of a push.
    pub(crate) writing: Option<Writing>,
    pub(crate) seat: Seat,
    /// The client's access was lost.
    pub(crate) is_over: bool,
    pub(crate) cut: Cut,
}

/// Where git's answer to a push was cut, as it is read: somewhere in a line of its protocol, or between two.
#[derive(Default)]
pub(crate) struct Cut {
    /// The beginning of a line's length, or all of it as long as nothing follows.
    head: Vec<u8>,
    /// Bytes to the end of the line.
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

    /// Ends the line that it was cut in, whose last bytes are in `out`.
    fn mend(&self, out: &mut BytesMut) {
        match self.head.len() {
            0 => out.put_bytes(b' ', self.rest),
            begun => out.truncate(out.len().saturating_sub(begun)),
        }
    }
}

/// The state of a response.
enum State {
    Reading(Box<Served>, BytesMut),
    Over,
}

/// What a client has as long as git is at work for them.
pub struct Seat {
    /// Called when git has ended, before the client has the end of its answer; dropped without when the client is gone.
    pub give_back: Box<dyn FnOnce() + Send>,
    /// Ends with the right to deploy, and with the token that they came with.
    pub lost: BoxFuture<'static, ()>,
}

const OVER: &str = "Your token has expired, or you no longer have access to deploy this app.";

impl Served {
    /// The output of git, after `head`, as a body.
    pub fn body(self, head: Vec<u8>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let held = BytesMut::new();
        let head = stream::iter((!head.is_empty()).then(|| Ok::<_, io::Error>(Bytes::from(head))));
        let rest = stream::unfold(State::Reading(Box::new(self), held), |state| async move {
            match state {
                State::Reading(mut served, mut held) => match served.read(&mut held).await {
                    Ok(Some(part)) => Some((Ok(part), State::Reading(served, held))),
                    Ok(None) => Some(served.end(held).await),
                    Err(err) => Some((Err(err), State::Over)),
                },
                State::Over => None,
            }
        });
        head.chain(rest)
    }

    /// The next part; the last bytes of a push are held back, so that something can be put in front.
    async fn read(&mut self, held: &mut BytesMut) -> io::Result<Option<Bytes>> {
        let back = if self.writing.is_some() { END.len() } else { 0 };
        loop {
            held.reserve(32 << 10);
            let read = tokio::select! {
                biased;
                () = &mut self.seat.lost => {
                    self.is_over = true;
                    return Ok(None);
                }
                read = self.output.read_buf(held) => read?,
            };
            if back > 0 {
                self.cut.read(&held[held.len() - read..]);
            }
            if read == 0 {
                return Ok(None);
            }
            if held.len() > back {
                return Ok(Some(held.split_to(held.len() - back).freeze()));
            }
        }
    }

    /// The last part, and what comes after it.
    async fn end(self, held: BytesMut) -> (io::Result<Bytes>, State) {
        let why = match self.is_over {
            true => {
                // Which kills it.
                drop(self.worker);
                Some(OVER.to_owned())
            }
            false => why(self.worker, &self.told).await,
        };
        if let Some(why) = &why {
            tracing::info!("a clone or a push was ended: {why}");
        }
        (self.seat.give_back)();
        let part = match (self.writing, why) {
            (Some(writing), None) => {
                writing.ended_well();
                Ok(held.freeze())
            }
            (Some(_), Some(why)) => {
                let refs = self.told.lock().map(|mut told| std::mem::take(&mut told.refs)).unwrap_or_default();
                Ok(refusal((&held, &self.cut), &Refusal { why, refs }))
            }
            (None, None) => Ok(held.freeze()),
            // The client notices that something is missing.
            (None, Some(why)) => Err(io::Error::other(why)),
        };
        (part, State::Over)
    }
}

/// The response to a push that does not reach git.
/// The response to a clone that does not reach git. In its protocol, since git does not show the text of other
/// responses.
pub fn push_refused(refusal: &Refusal) -> Bytes {
    self::refusal((b"", &Cut::default()), refusal)
}

pub fn clone_refused(why: &str) -> Bytes {
    let mut out = BytesMut::new();
    line(&mut out, None, format!("ERR {why}").as_bytes());
    out.freeze()
}

/// Waits for git, and says why it did not succeed.
async fn why(worker: Worker, told: &Told) -> Option<String> {
    let done = worker.done().await;
    let told = told.lock().ok().and_then(|mut told| told.why.take());
    told.or_else(|| done.err().map(|err| format!("git failed: {err}.")))
}

/// The end of a push that failed. If git had ended its answer, a remark is put before the end; otherwise what is
/// missing of it is an answer of ours: git shows for each ref that it was rejected, and why. Where the refs are not
/// known, or too many to be listed, it is told in one sentence, after which it says that the line was cut.
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

fn error(why: &str) -> BytesMut {
    let mut report = BytesMut::new();
    line(&mut report, None, format!("ERR {why}").as_bytes());
    report
}

/// The first sentence stands behind each ref.
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

/// A line for people.
fn remark(why: &str) -> Bytes {
    let mut out = BytesMut::new();
    line(&mut out, Some(2), format!(" !     {why}\n").as_bytes());
    out.freeze()
}

/// One line of git's protocol; on a band, if there are any: 1 is the answer, 2 is for people.
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
            // Read in parts, of which the last bytes are held back.
            let (mut cut, part) = (Cut::default(), &whole[..end]);
            part.chunks(3).for_each(|part| cut.read(part));
            let (sent, held) = part.split_at(end.saturating_sub(END.len()));
            let answer = [sent, &refusal((held, &cut), &no(&["refs/heads/main"]))].concat();
            let at = if end <= END.len() { 0 } else { whole.len() };
            assert_eq!(&answer[at..at + remark.len()], remark, "{end}");
        }
    }

    #[test]
    fn who_got_no_answer_gets_one_for_each_ref() {
        let want = b"001a\x02 !     No. Try less.\n0031\x01000eunpack ok\n001ang refs/heads/main No\n00000000";
        assert_eq!(refusal((b"", &Cut::default()), &no(&["refs/heads/main"])), Bytes::from_static(want));
        assert_eq!(refusal((b"", &Cut::default()), &no(&[])), Bytes::from_static(b"001a\x010015ERR No. Try less.0000"));
    }
}
