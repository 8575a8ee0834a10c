//! The protocol for the order and the open files, from the server to a supervisor and on to init.
//!
//! One socket: first the order as JSON, with the files attached to its first bytes, then the end of the server's data.
//! The supervisor's only response is the outcome. If the server closes the socket, the caller no longer waits.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::{Deserialize, Serialize};

use crate::{Error, Lines, Order};

/// Size limit of an order, which has to fit into the socket at once.
const MOST_BYTES: usize = 128 << 10;
/// Maximum number of files in one message.
const MOST_FILES: usize = 32;

#[derive(Serialize, Deserialize)]
struct Message {
    order: Order,
    /// Which of stdin, stdout and stderr are attached.
    standard: [bool; 3],
}

/// The outcome reported by a supervisor.
#[derive(Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// The program ended by itself with this status.
    Ended(i32),
    /// The task's result, as JSON.
    Answer(String),
    Failed(Error),
}

pub(crate) fn send(mut socket: &UnixStream, order: &Order, lines: &Lines) -> Result<(), Error> {
    let standard = [&lines.stdin, &lines.stdout, &lines.stderr];
    let message = Message { order: order.clone(), standard: standard.map(|line| line.is_some()) };
    let text = serde_json::to_vec(&message).map_err(|e| Error::host("serialise the input")(e.into()))?;
    let files: Vec<RawFd> = standard.into_iter().flatten().chain(&lines.more).map(AsRawFd::as_raw_fd).collect();
    if text.len() > MOST_BYTES || files.len() > MOST_FILES {
        return Err(Error::Host("The input is too large for a worker.".to_owned()));
    }
    let rights = [ControlMessage::ScmRights(&files)];
    let sent = sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&text)], &rights, MsgFlags::MSG_NOSIGNAL, None);
    let sent = sent.map_err(|e| Error::host("send the input to the worker")(e.into()))?;
    let rest = socket.write_all(&text[sent..]).and_then(|()| socket.shutdown(Shutdown::Write));
    rest.map_err(Error::host("send the input to the worker"))
}

pub(crate) fn receive(socket: &UnixStream) -> io::Result<(Order, Lines)> {
    let mut text = vec![0; MOST_BYTES];
    let mut files = Vec::new();
    let mut space = nix::cmsg_space!([RawFd; MOST_FILES]);
    let received = {
        let mut slices = [IoSliceMut::new(&mut text)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), flags)?;
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(new) = part {
                // SAFETY: the kernel has just created them for us.
                files.extend(new.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        message.bytes
    };
    text.truncate(received);
    socket.take(MOST_BYTES as u64).read_to_end(&mut text)?;
    let message: Message = serde_json::from_slice(&text)?;
    let mut files = files.into_iter();
    let [stdin, stdout, stderr] = message.standard.map(|present| present.then(|| files.next()).flatten());
    Ok((message.order, Lines { stdin, stdout, stderr, more: files.collect() }))
}
