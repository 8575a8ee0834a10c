//! Answers.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::Path;

use crate::files::{Found, Place, Site};
use crate::http::{self, Head};
use crate::mime::content_type;

const NOT_FOUND: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Not found</title><body style=\"font:1rem/1.5 system-ui,sans-serif;margin:15vh auto;max-width:30rem;padding:0 1rem\"><h1>Not found</h1><p>There is no page at this address.</p>";

/// One answer in the making.
struct Answer<'a> {
    site: &'a Site,
    head: &'a Head,
    path: String,
    keep: bool,
    stream: &'a mut TcpStream,
}

/// Answers one request. An error means that the connection is of no more use.
pub fn respond(site: &Site, head: &Head, keep: bool, stream: &mut TcpStream) -> io::Result<()> {
    let path = http::decode_path(&head.target);
    let mut answer = Answer { site, head, path: path.clone().unwrap_or_default(), keep, stream };
    if !matches!(head.method.as_str(), "GET" | "HEAD") {
        return answer.short("405 Method Not Allowed", &[("Allow", "GET, HEAD")], "");
    }
    let Some(path) = path else {
        return answer.short("400 Bad Request", &[], "");
    };
    if let Some(url) = answer.other_origin() {
        return answer.redirect(301, &url);
    }
    let redirect = site.config.redirects.iter().find(|(pattern, ..)| pattern.matches(&path));
    if let Some((_, url, status)) = redirect {
        return answer.redirect(*status, url);
    }
    match site.locate(&path) {
        Place::File(file) => answer.file("200 OK", &file),
        Place::Elsewhere(path) => {
            let query = head.target.find('?').map_or("", |at| &head.target[at..]);
            let url = format!("{}{query}", http::encode_path(&path));
            answer.redirect(301, &url)
        }
        Place::Nothing => match (site.fallback(&path), site.error_page()) {
            (Some(file), _) => answer.file("200 OK", &file),
            (None, Some(page)) => answer.file("404 Not Found", &page),
            (None, None) => answer.short("404 Not Found", &[], NOT_FOUND),
        },
    }
}

impl Answer<'_> {
    /// The same page at the host or scheme that static.json insists on.
    fn other_origin(&self) -> Option<String> {
        let config = &self.site.config;
        let host = self.head.field("host").unwrap_or_default();
        let scheme = self.head.field("x-forwarded-proto").unwrap_or("http");
        let wanted_host = config.canonical_host.as_deref().unwrap_or(host);
        let wanted_scheme = if config.https_only { "https" } else { scheme };
        if (wanted_host, wanted_scheme) == (host, scheme) || host.is_empty() {
            return None;
        }
        Some(format!("{wanted_scheme}://{wanted_host}{}", self.head.target))
    }

    fn redirect(&mut self, status: u16, url: &str) -> io::Result<()> {
        let reason = match status {
            302 => "Found",
            303 => "See Other",
            307 => "Temporary Redirect",
            308 => "Permanent Redirect",
            _ => "Moved Permanently",
        };
        self.short(&format!("{status} {reason}"), &[("Location", url)], "")
    }

    fn short(&mut self, status: &str, fields: &[(&str, &str)], body: &str) -> io::Result<()> {
        let mut out = self.start(status);
        for (name, value) in fields {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            out.push_str("Content-Type: text/html; charset=utf-8\r\n");
        }
        out.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        if self.head.method != "HEAD" {
            out.push_str(body);
        }
        self.stream.write_all(out.as_bytes())
    }

    /// Status line, what every answer says, and what static.json adds.
    fn start(&self, status: &str) -> String {
        let mut out = format!("HTTP/1.1 {status}\r\nServer: wharf-static\r\nX-Content-Type-Options: nosniff\r\n");
        out.push_str(if self.keep { "Connection: keep-alive\r\n" } else { "Connection: close\r\n" });
        let matching = self.site.config.headers.iter().filter(|(pattern, _)| pattern.matches(&self.path));
        for (name, value) in matching.flat_map(|(_, fields)| fields) {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.sets("cache-control") {
            // Always asked for again, and answered with 304 as long as it is the same.
            out.push_str("Cache-Control: public, max-age=0, must-revalidate\r\n");
        }
        if !self.sets("referrer-policy") {
            out.push_str("Referrer-Policy: strict-origin-when-cross-origin\r\n");
        }
        out
    }

    fn sets(&self, name: &str) -> bool {
        let matching = self.site.config.headers.iter().filter(|(pattern, _)| pattern.matches(&self.path));
        matching.flat_map(|(_, fields)| fields).any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    fn file(&mut self, status: &str, path: &Path) -> io::Result<()> {
        let is_ok = status.starts_with("200");
        let wants_range = is_ok && self.head.field("range").is_some();
        let accepts = self.head.field("accept-encoding").is_some_and(accepts_gzip) && !wants_range;
        let Some(mut found) = self.site.open(path, accepts) else {
            return self.short("404 Not Found", &[], NOT_FOUND);
        };
        let common = common_fields(&found);
        if is_ok && self.is_known(&found) {
            let out = format!("{}{common}\r\n", self.start("304 Not Modified"));
            return self.stream.write_all(out.as_bytes());
        }
        let range = if wants_range { self.range(&found) } else { Range::Whole };
        let (status, from, length, field) = match range {
            Range::Whole => (status, 0, found.length, String::new()),
            Range::Part(from, to) => {
                let field = format!("Content-Range: bytes {from}-{to}/{}\r\n", found.length);
                ("206 Partial Content", from, to - from + 1, field)
            }
            Range::Outside => {
                let value = format!("bytes */{}", found.length);
                return self.short("416 Range Not Satisfiable", &[("Content-Range", &value)], "");
            }
        };
        let mut out = self.start(status);
        out.push_str(&common);
        out.push_str(&field);
        out.push_str(&format!("Content-Type: {}\r\n", content_type(&found.name)));
        if found.gzip {
            out.push_str("Content-Encoding: gzip\r\n");
        }
        out.push_str(&format!("Accept-Ranges: bytes\r\nContent-Length: {length}\r\n\r\n"));
        if self.head.method == "HEAD" {
            return self.stream.write_all(out.as_bytes());
        }
        found.file.seek(SeekFrom::Start(from))?;
        send(self.stream, out.into_bytes(), &mut found, length)
    }

    /// Does the asker have this very file?
    fn is_known(&self, found: &Found) -> bool {
        if let Some(tags) = self.head.field("if-none-match") {
            let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
            return tags.trim() == "*" || tags.split(',').any(|tag| strong(tag) == found.tag);
        }
        let since = self.head.field("if-modified-since").and_then(parse_date);
        since.is_some_and(|since| found.modified <= since)
    }

    fn range(&self, found: &Found) -> Range {
        let condition = self.head.field("if-range");
        if condition.is_some_and(|c| c != found.tag && parse_date(c) != Some(found.modified)) {
            return Range::Whole;
        }
        let Some(spec) = self.head.field("range").and_then(|r| r.strip_prefix("bytes=")) else {
            return Range::Whole;
        };
        let Some((from, to)) = spec.split_once('-').filter(|_| !spec.contains(',')) else {
            return Range::Whole;
        };
        let last = found.length.saturating_sub(1);
        match (from.trim().parse::<u64>(), to.trim().parse::<u64>()) {
            (Ok(from), _) if from >= found.length => Range::Outside,
            (Ok(from), Ok(to)) if from <= to => Range::Part(from, to.min(last)),
            (Ok(from), Err(_)) if to.trim().is_empty() => Range::Part(from, last),
            (Err(_), Ok(0)) if from.trim().is_empty() => Range::Outside,
            (Err(_), Ok(n)) if from.trim().is_empty() && found.length > 0 => {
                Range::Part(found.length.saturating_sub(n), last)
            }
            _ => Range::Whole,
        }
    }
}

enum Range {
    Whole,
    /// First and last byte.
    Part(u64, u64),
    Outside,
}

fn common_fields(found: &Found) -> String {
    let vary = if found.varies { "Vary: Accept-Encoding\r\n" } else { "" };
    format!("ETag: {}\r\nLast-Modified: {}\r\n{vary}", found.tag, format_date(found.modified))
}

/// Small files go out with the head in one write, large ones by sendfile.
fn send(stream: &mut TcpStream, mut head: Vec<u8>, found: &mut Found, length: u64) -> io::Result<()> {
    let mut body = (&mut found.file).take(length);
    if length <= 64 << 10 {
        body.read_to_end(&mut head)?;
        return stream.write_all(&head);
    }
    stream.write_all(&head)?;
    match io::copy(&mut body, stream)? {
        sent if sent == length => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn accepts_gzip(field: &str) -> bool {
    field.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*")
            && !parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn format_date(seconds: u64) -> String {
    let days = (seconds / 86_400) as i64;
    let (year, month, day) = civil(days);
    let (h, m, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let weekday = DAYS[days.rem_euclid(7) as usize];
    format!("{weekday}, {day:02} {} {year} {h:02}:{m:02}:{s:02} GMT", MONTHS[month as usize - 1])
}

/// Year, month and day of a day since 1970 (Howard Hinnant's algorithm).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

fn parse_date(text: &str) -> Option<u64> {
    let mut parts = text.trim().split_once(", ")?.1.split([' ', ':']);
    let mut number = || parts.next().map(str::to_owned);
    let day: i64 = number()?.parse().ok()?;
    let name = number()?;
    let month = MONTHS.iter().position(|m| *m == name)? as i64 + 1;
    let year: i64 = number()?.parse().ok()?;
    let (h, m, s): (i64, i64, i64) = (number()?.parse().ok()?, number()?.parse().ok()?, number()?.parse().ok()?);
    let y = if month <= 2 { year - 1 } else { year };
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let yoe = y.rem_euclid(400);
    let days = y.div_euclid(400) * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    u64::try_from(days.checked_mul(86_400)? + h * 3600 + m * 60 + s).ok()
}
