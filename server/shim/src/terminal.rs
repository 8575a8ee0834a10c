//! The terminal of an attached process, and the messages on its socket.
//!
//! The socket connects the process's supervisor (a shim, or the program of an exec) with the server. A message is its
//! kind (one byte), the length of its content (four bytes, big-endian) and the content. Both sides bound what they
//! buffer: whoever does not read holds up the process, and nobody else.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The size limit of a message's content, in bytes.
pub const MOST_CONTENT: usize = 64 << 10;

/// To the process: input.
pub const INPUT: u8 = b'i';
/// To the process: there will be no more input.
pub const END_OF_INPUT: u8 = b'd';
/// To the process: the new [`WindowSize`], as columns and rows of two bytes each.
pub const RESIZE: u8 = b'z';
/// From the process: output, of the terminal or of stdout.
pub const OUTPUT: u8 = b'o';
/// From the process: output of stderr. Only without a terminal.
pub const ERRORS: u8 = b'e';
/// From the process: how it ended, as JSON. The last message.
pub const EXIT: u8 = b'x';

/// The file name of the socket in the dyno's state directory.
const SOCKET: &str = "terminal.sock";

/// The input and output of an attached process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Terminal {
    /// A pseudo-terminal of this size.
    Window(WindowSize),
    /// Three pipes, as for programs that read and write files.
    Pipes,
}

/// The size of a terminal window, in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WindowSize {
    /// The width.
    pub columns: u16,
    /// The height.
    pub rows: u16,
}

impl Default for WindowSize {
    fn default() -> Self {
        Self { columns: 80, rows: 24 }
    }
}

impl WindowSize {
    /// The content of a message with it.
    pub fn to_bytes(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.columns.to_be_bytes(), self.rows.to_be_bytes());
        [a, b, c, d]
    }

    /// From the content of a message; `None` if that has another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, d] = bytes else { return None };
        Some(Self { columns: u16::from_be_bytes([a, b]), rows: u16::from_be_bytes([c, d]) })
    }
}

/// A message, as it is sent.
pub fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    [&[kind][..], &length.to_be_bytes(), content].concat()
}

/// Divides a stream into messages.
pub struct Parser {
    buffer: Vec<u8>,
    most: usize,
}

impl Parser {
    /// Rejects messages with more than `most` bytes of content.
    pub fn new(most: usize) -> Self {
        Self { buffer: Vec::new(), most }
    }

    /// Adds what was received.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete message: kind and content. An error if the other side does not follow the protocol.
    pub fn take(&mut self) -> io::Result<Option<(u8, Vec<u8>)>> {
        let [kind, a, b, c, d, rest @ ..] = self.buffer.as_slice() else { return Ok(None) };
        let (kind, length) = (*kind, u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        if length > self.most {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a message on the socket of a terminal is too long",
            ));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let content = rest[..length].to_vec();
        self.buffer.drain(..5 + length);
        Ok(Some((kind, content)))
    }
}

/// The socket in an open state directory, by a path that is short however long that of the directory is. The path is
/// valid in this process, while the directory is open.
pub fn socket_in(dir: &File) -> PathBuf {
    Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(SOCKET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_the_stream_is_cut() {
        let sent = [message(INPUT, b"ls\n"), message(END_OF_INPUT, b""), message(RESIZE, &[0, 80, 0, 24])].concat();
        let mut parser = Parser::new(100);
        let mut found = Vec::new();
        for byte in sent {
            parser.push(&[byte]);
            found.extend(parser.take().unwrap());
        }
        let expected = [(INPUT, b"ls\n".to_vec()), (END_OF_INPUT, vec![]), (RESIZE, vec![0, 80, 0, 24])];
        assert_eq!(found, expected);
        assert_eq!(parser.take().unwrap(), None);
    }

    #[test]
    fn long_messages_are_rejected_before_they_are_buffered() {
        let mut parser = Parser::new(3);
        parser.push(&message(INPUT, b"1234")[..5]);
        assert_eq!(parser.take().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn sizes_are_four_bytes() {
        let size = WindowSize { columns: 300, rows: 2 };
        assert_eq!(WindowSize::from_bytes(&size.to_bytes()), Some(size));
        assert_eq!(WindowSize::from_bytes(b"abc"), None);
    }
}
