//! The first line of a request, in which bytes that do not belong in a URL are percent-encoded.
//!
//! Clients send them all the same, such as `<` or a backtick, and other proxies pass them on, while the parser rejects the
//! request. This is only done where a head certainly begins: on a new connection, and after requests without a body that
//! were not pipelined. Anywhere else, the bytes could be part of something whose length is known to both sides: the body
//! of a request that was answered early can arrive at any time, so after a request with a body, nothing is encoded.

use std::fmt::Write as _;

/// The position in what a client sends.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum At {
    #[default]
    Method,
    Path,
    Query,
    /// The rest of the head; whether a line has just begun.
    Headers {
        is_empty: bool,
    },
    /// The head is complete.
    End,
    /// Unknown: what follows is a body, or was sent before the last response.
    Lost,
}

/// Follows the requests of a connection.
#[derive(Default)]
pub(crate) struct RequestLine(At);

impl RequestLine {
    /// Records that the next bytes are the first ones, or follow a response.
    pub(crate) fn begin(&mut self) {
        self.0 = if matches!(self.0, At::Method | At::End) { At::Method } else { At::Lost };
    }

    /// Records that bytes arrive while a request is being served.
    pub(crate) fn lose(&mut self) {
        self.0 = At::Lost;
    }

    /// Reads the next bytes of a head; returns them encoded, if they have to be.
    pub(crate) fn read(&mut self, part: &[u8]) -> Option<Vec<u8>> {
        if self.0 == At::Lost {
            return None;
        }
        let mut encoded: Option<Vec<u8>> = None;
        for (index, byte) in part.iter().enumerate() {
            if self.must_encode(*byte) {
                let encoded = encoded.get_or_insert_with(|| part[..index].to_vec());
                let mut text = String::with_capacity(3);
                let _ = write!(text, "%{byte:02X}");
                encoded.extend_from_slice(text.as_bytes());
            } else if let Some(encoded) = &mut encoded {
                encoded.push(*byte);
            }
            self.0 = self.after(*byte);
        }
        encoded
    }

    /// Whether a URL cannot contain this byte here, unlike its encoding.
    fn must_encode(&self, byte: u8) -> bool {
        match self.0 {
            At::Path => matches!(byte, b'<' | b'>' | b'`' | 0x80..),
            At::Query => matches!(byte, b'<' | b'>' | b'"' | 0x80..),
            _ => false,
        }
    }

    fn after(&self, byte: u8) -> At {
        match (self.0, byte) {
            // Empty lines before a request are allowed.
            (At::Method, b' ') => At::Path,
            (At::Method, _) => At::Method,
            (At::Path | At::Query, b' ') => At::Headers { is_empty: false },
            (At::Path | At::Query | At::Headers { is_empty: false }, b'\n') => At::Headers { is_empty: true },
            (At::Path, b'?') => At::Query,
            (at @ (At::Path | At::Query), _) => at,
            (At::Headers { is_empty: true }, b'\n') => At::End,
            (At::Headers { is_empty }, b'\r') => At::Headers { is_empty },
            (At::Headers { .. }, _) => At::Headers { is_empty: false },
            (At::End | At::Lost, _) => At::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &mut RequestLine, part: &[u8]) -> String {
        let read = line.read(part).unwrap_or_else(|| part.to_vec());
        String::from_utf8_lossy(&read).into_owned()
    }

    #[test]
    fn bytes_of_a_target_are_encoded_wherever_they_are_cut() {
        let head = "GET /a`b<c>\"{}|\\^é?x=<\"`>#f HTTP/1.1\r\nHost: a<b`\r\nX: é\r\n\r\n".as_bytes();
        let expected = "GET /a%60b%3Cc%3E\"{}|\\^%C3%A9?x=%3C%22`%3E#f HTTP/1.1\r\nHost: a<b`\r\nX: é\r\n\r\n";
        for size in 1..=head.len() {
            let (mut line, mut all) = (RequestLine::default(), Vec::new());
            for part in head.chunks(size) {
                all.extend(line.read(part).unwrap_or_else(|| part.to_vec()));
            }
            assert_eq!(String::from_utf8_lossy(&all), expected, "{size}");
            assert_eq!(line.0, At::End);
        }
    }

    #[test]
    fn only_heads_that_certainly_begin_are_changed() {
        let (get, raw) = (b"GET / HTTP/1.1\r\n\r\n", b"GET /` HTTP/1.1\n\n");
        let mut line = RequestLine::default();
        line.begin();
        for _ in 0..2 {
            assert_eq!(read(&mut line, get).as_bytes(), get);
            line.begin();
            assert_eq!(read(&mut line, raw), "GET /%60 HTTP/1.1\n\n");
            line.begin();
        }
        // What follows a head directly is a body, or another request.
        let mut line = RequestLine::default();
        assert_eq!(read(&mut line, &[&get[..], raw].concat()).as_bytes(), [&get[..], raw].concat());
        line.begin();
        assert_eq!(read(&mut line, raw).as_bytes(), raw);
        // So may be what arrives while a request is served.
        let mut line = RequestLine::default();
        read(&mut line, get);
        line.lose();
        line.begin();
        assert_eq!(read(&mut line, raw).as_bytes(), raw);
    }

    #[test]
    fn what_is_no_request_is_left_to_the_parser() {
        for text in [&b"GET\0/` x\n"[..], b"\r\n\r\nGET", b"\x16\x03\x01\xff", b"GET /\r\n"] {
            let mut line = RequestLine::default();
            assert_eq!(line.read(text).unwrap_or_else(|| text.to_vec())[..3], text[..3]);
        }
    }
}
