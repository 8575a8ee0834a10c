//! One log line per request, in Logplex's format.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method};
use tokio::time::Instant;

use crate::backends::Lease;
use crate::codes::Code;
use crate::in_flight::InFlight;
use crate::table::{App, host_name};
use crate::upload::Upload;

thread_local! {
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A request to an app in progress. Dropping it unfinished means that the client has disconnected.
pub(crate) struct Record {
    pub(crate) in_flight: InFlight,
    pub(crate) app: Arc<App>,
    pub(crate) method: Method,
    pub(crate) path: Option<PathAndQuery>,
    pub(crate) host: HeaderValue,
    pub(crate) request_id: HeaderValue,
    /// Released when the request ends for the dyno: the client may take longer to read the response.
    pub(crate) lease: Option<Lease>,
    pub(crate) connect: Option<Duration>,
    pub(crate) start: Instant,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) upload: Option<Arc<Upload>>,
    pub(crate) upgraded: bool,
    pub(crate) finished: bool,
}

impl Record {
    /// Ends the request: counts it and writes its line.
    pub(crate) fn finish(&mut self, code: Option<Code>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        if let Some(code) = code {
            self.status = code.status().as_u16();
        }
        self.write(code);
        self.lease = None;
    }

    /// Ends a request that got a page with a status that is not the code's own.
    pub(crate) fn finish_with(&mut self, code: Code, status: u16) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.status = status;
        self.write(Some(code));
        self.lease = None;
    }

    fn write(&self, code: Option<Code>) {
        let service = self.start.elapsed();
        let stats = &self.app.stats;
        stats.inflight.fetch_sub(1, Relaxed);
        stats.bytes_out.fetch_add(self.bytes, Relaxed);
        if let Some(upload) = &self.upload {
            stats.bytes_in.fetch_add(upload.bytes(), Relaxed);
        }
        stats.finished(self.status, code, (!self.upgraded).then_some(service));
        let shared = &self.in_flight.shared;
        let path = self.path.as_ref().map_or("/", PathAndQuery::as_str);
        LINE.with_borrow_mut(|line| {
            line.clear();
            self.write_line(line, code, service, path);
            shared.spool.push(self.app.id, line);
        });
    }

    // Without the formatting of `write!`: the line is a noticeable part of a request's cost.
    fn write_line(&self, line: &mut Vec<u8>, code: Option<Code>, service: Duration, path: &str) {
        add(line, &[&self.app.id_text]);
        match code {
            None => add(line, &[" at=info"]),
            Some(code) => {
                add(line, &[" at=", code.level(), " code=", code.name(), " desc=\"", code.text(), "\""]);
                if let Some(sock) = code.sock() {
                    add(line, &[" sock=", sock]);
                }
            }
        }
        add(line, &[" method=", self.method.as_str(), " path=\""]);
        escape(line, path.as_bytes());
        add(line, &["\" host="]);
        // Only hosts that the table knows come here, so there is nothing to escape.
        let start = line.len();
        add(line, &[host(&self.host)]);
        line[start..].make_ascii_lowercase();
        add(line, &[" request_id="]);
        line.extend_from_slice(self.request_id.as_bytes());
        add(line, &[" fwd=\""]);
        line.extend_from_slice(self.in_flight.origin.address.as_bytes());
        add(line, &["\" dyno=", self.lease.as_ref().map_or("", |lease| lease.backend.dyno.as_str()), " connect="]);
        add_ms(line, self.connect);
        add(line, &[" service="]);
        add_ms(line, self.lease.as_ref().map(|_| service));
        add(line, &[" status="]);
        add_number(line, u64::from(self.status));
        add(line, &[" bytes="]);
        add_number(line, self.bytes);
        add(line, &[" protocol=", self.in_flight.origin.scheme()]);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let code = match (std::thread::panicking(), self.in_flight.client.stalled()) {
            (true, _) => Code::H99,
            (false, true) => Code::H28,
            (false, false) => Code::H27,
        };
        self.finish(Some(code));
    }
}

fn host(value: &HeaderValue) -> &str {
    value.to_str().map(host_name).unwrap_or_default()
}

fn add(line: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        line.extend_from_slice(part.as_bytes());
    }
}

fn add_ms(line: &mut Vec<u8>, time: Option<Duration>) {
    if let Some(time) = time {
        add_number(line, u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        line.extend_from_slice(b"ms");
    }
}

fn add_number(line: &mut Vec<u8>, number: u64) {
    // As many digits as the largest number has.
    let (mut digits, mut start, mut rest) = ([0; 20], 20, number);
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return line.extend_from_slice(&digits[start..]);
        }
    }
}

fn escape(line: &mut Vec<u8>, text: &[u8]) {
    if !text.iter().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20 | 0x7f)) {
        return line.extend_from_slice(text);
    }
    for byte in text {
        match byte {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', *byte]),
            0..0x20 | 0x7f => line.push(b' '),
            _ => line.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_everywhere() {
        for number in [0, 7, 10, 99, 100, 1_234_567_890, u64::MAX] {
            let mut line = b"bytes=".to_vec();
            add_number(&mut line, number);
            assert_eq!(String::from_utf8_lossy(&line), format!("bytes={number}"));
        }
    }

    #[test]
    fn nothing_in_a_path_ends_its_quotes_or_its_line() {
        for (path, expected) in [("/a?b=c", "/a?b=c"), ("/\"\\", "/\\\"\\\\"), ("/\n\u{7f}\t", "/   "), ("", "")] {
            let mut line = Vec::new();
            escape(&mut line, path.as_bytes());
            assert_eq!(String::from_utf8_lossy(&line), expected);
        }
    }
}
