//! git's output on its way to the client; a push is told at its end why it did not succeed.

use std::{io, sync::Arc, sync::Mutex, time::Duration};

use axum::body::{Body, Bytes};
use bytes::{BufMut as _, BytesMut};
use futures::{future::BoxFuture, stream};
use tokio::{io::AsyncReadExt as _, net::unix::pipe::Receiver};
use worker::Worker;

use super::{
    body::{Refusal, too_many_refs},
    repositories::Writing,
};
use crate::places::SharedPlace;

/// Where the reader of the request's body leaves why it stopped.
pub(super) type Told = Arc<Mutex<Option<Refusal>>>;

/// How long the last words to a client are given before the line is cut.
const BEFORE_CUT: Duration = Duration::from_millis(200);

/// The end of the answer to a push.
const END: &[u8] = b"0000";

/// A git at work for a client. Dropped, because the client went away, it is killed.
pub(super) struct Served {
    pub worker: Worker,
    pub output: Receiver,
    pub told: Told,
    /// Of a push.
    pub writing: Option<Writing>,
    pub seat: Seat,
    /// What let the client in has ended.
    pub is_over: bool,
}

/// How far an answer is.
enum State {
    Reading(Box<Served>, BytesMut),
    /// What is still to come does not, for this reason, which was told.
    Cut(String),
    Over,
}

/// What a client has as long as git is at work for them.
pub(super) struct Seat {
    pub place: SharedPlace,
    /// Ends with the right to deploy, and with the token that they came with.
    pub lost: BoxFuture<'static, ()>,
}

const OVER: &str = "Your token has ended, or you may not deploy this app any more.";

impl Served {
    /// What git says, after `head`, as a body.
    pub fn body(self, head: Vec<u8>) -> Body {
        let held = BytesMut::new();
        let head = stream::iter((!head.is_empty()).then(|| Ok::<_, io::Error>(Bytes::from(head))));
        let rest = stream::unfold(State::Reading(Box::new(self), held), |state| async move {
            match state {
                State::Reading(mut served, mut held) => match served.read(&mut held).await {
                    Ok(Some(part)) => Some((Ok(part), State::Reading(served, held))),
                    Ok(None) => Some(served.end(held).await),
                    Err(err) => Some((Err(err), State::Over)),
                },
                State::Cut(why) => {
                    // The remark is on its way by then.
                    tokio::time::sleep(BEFORE_CUT).await;
                    Some((Err(io::Error::other(why)), State::Over))
                }
                State::Over => None,
            }
        });
        Body::from_stream(futures::StreamExt::chain(head, rest))
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
        self.seat.place.give_back();
        match (self.writing, why) {
            (Some(writing), None) => {
                writing.ended_well();
                (Ok(held.freeze()), State::Over)
            }
            // git would list every one of them as failed, after the reason.
            (Some(_), Some(why)) if why == too_many_refs() => (Ok(remark(&why)), State::Cut(why)),
            (Some(_), Some(why)) => (Ok(refusal(&held, &why)), State::Over),
            (None, None) => (Ok(held.freeze()), State::Over),
            // The client notices that something is missing.
            (None, Some(why)) => (Err(io::Error::other(why)), State::Over),
        }
    }
}

/// The answer to a push that git is not told of.
pub(super) fn refused(why: Refusal) -> Body {
    if why != too_many_refs() {
        return Body::from(refusal(b"", &why));
    }
    // As in the midst of one.
    let said = stream::iter([Ok(remark(&why))]);
    let cut = stream::once(async {
        tokio::time::sleep(BEFORE_CUT).await;
        Err(io::Error::other(why))
    });
    Body::from_stream(futures::StreamExt::chain(said, cut))
}

/// Waits for git, and says why it did not succeed.
async fn why(worker: Worker, told: &Told) -> Option<String> {
    let done = worker.done().await;
    let told = told.lock().ok().and_then(|mut told| told.take());
    told.or_else(|| done.err().map(|err| format!("git could not go on: {err}.")))
}

/// The end of a push that failed. If git had ended its answer, a remark is put before the end;
/// otherwise what is missing of it is an answer of ours.
fn refusal(held: &[u8], why: &str) -> Bytes {
    let mut out = BytesMut::new();
    let is_ended = held == END;
    if !is_ended {
        out.put_slice(held);
    }
    out.put_slice(&remark(why));
    if !is_ended {
        let unpack = format!("unpack {}\n", why.trim_end_matches('.'));
        let report = format!("{:04x}{unpack}0000", unpack.len() + 4);
        line(&mut out, 1, report.as_bytes());
    }
    out.put_slice(END);
    out.freeze()
}

/// A line for people.
fn remark(why: &str) -> Bytes {
    let mut out = BytesMut::new();
    line(&mut out, 2, format!(" !     {why}\n").as_bytes());
    out.freeze()
}

/// One line of git's protocol, on a band: 1 is the answer, 2 is for people.
fn line(out: &mut BytesMut, band: u8, text: &[u8]) {
    out.put_slice(format!("{:04x}", text.len() + 5).as_bytes());
    out.put_u8(band);
    out.put_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_stands_before_the_end() {
        assert_eq!(refusal(b"0000", "No."), Bytes::from_static(b"0010\x02 !     No.\n0000"));
    }

    #[test]
    fn who_got_no_answer_gets_one() {
        let want = b"0010\x02 !     No.\n0017\x01000eunpack No\n00000000";
        assert_eq!(refusal(b"", "No."), Bytes::from_static(want));
    }
}
