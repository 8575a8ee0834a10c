//! One log line per request, in Logplex's format.

use std::cell::RefCell;
use std::io::Write;
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
    }

    /// Ends a request that got a page with a status that is not the code's own.
    pub(crate) fn finish_with(&mut self, code: Code, status: u16) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.status = status;
        self.write(Some(code));
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
            self.write_line(line, code, service, path).expect("writing to memory cannot fail");
            shared.spool.push(self.app.id, line);
        });
    }

    fn write_line(&self, line: &mut Vec<u8>, code: Option<Code>, service: Duration, path: &str) -> std::io::Result<()> {
        let proto = self.in_flight.origin.scheme();
        write!(line, "{} ", self.app.id)?;
        match code {
            None => line.extend_from_slice(b"at=info"),
            Some(code) => {
                write!(line, "at={} code={} desc=\"{}\"", code.level(), code.name(), code.text())?;
                if let Some(sock) = code.sock() {
                    write!(line, " sock={sock}")?;
                }
            }
        }
        line.extend_from_slice(b" method=");
        line.extend_from_slice(self.method.as_str().as_bytes());
        line.extend_from_slice(b" path=\"");
        escape(line, path.as_bytes());
        line.extend_from_slice(b"\" host=");
        // Only hosts from the table get here, so there is nothing to escape.
        line.extend(host(&self.host).bytes().map(|b| b.to_ascii_lowercase()));
        line.extend_from_slice(b" request_id=");
        line.extend_from_slice(self.request_id.as_bytes());
        line.extend_from_slice(b" fwd=\"");
        line.extend_from_slice(self.in_flight.origin.address.as_bytes());
        line.extend_from_slice(b"\" dyno=");
        if let Some(lease) = &self.lease {
            line.extend_from_slice(lease.0.dyno.as_bytes());
        }
        line.extend_from_slice(b" connect=");
        if let Some(connect) = self.connect {
            write!(line, "{}ms", connect.as_millis())?;
        }
        line.extend_from_slice(b" service=");
        if self.lease.is_some() {
            write!(line, "{}ms", service.as_millis())?;
        }
        write!(line, " status={} bytes={} protocol={proto}", self.status, self.bytes)
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

fn escape(line: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', *byte]),
            0..0x20 | 0x7f => line.push(b' '),
            _ => line.push(*byte),
        }
    }
}
