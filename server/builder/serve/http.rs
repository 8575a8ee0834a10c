//! Requests, as they come over the wire.

use std::io::{self, Read};
use std::net::TcpStream;

const HEAD_BYTES: usize = 32 << 10;
/// A body is not wanted; a small one is passed over, after a larger one the connection is closed.
const BODY_BYTES: u64 = 64 << 10;

/// The first line and the header fields of a request.
pub struct Head {
    pub method: String,
    /// As it was sent: path and query.
    pub target: String,
    minor: u8,
    fields: Vec<(String, String)>,
    close: bool,
}

impl Head {
    /// The value of a header field, by its name in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn keeps_alive(&self) -> bool {
        let connection = self.field("connection").unwrap_or_default().to_ascii_lowercase();
        !self.close && if self.minor == 0 { connection.contains("keep-alive") } else { !connection.contains("close") }
    }
}

/// Reads one request and passes over its body. None if there is no more; the error is a status line.
pub fn read(stream: &mut TcpStream, ahead: &mut Vec<u8>) -> Result<Option<Head>, &'static str> {
    let end = loop {
        let blank = ahead.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        ahead.drain(..blank);
        if let Some(end) = end_of_head(ahead) {
            break end;
        }
        if ahead.len() > HEAD_BYTES {
            return Err("431 Request Header Fields Too Large");
        }
        match fill(stream, ahead) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(_) if ahead.is_empty() => return Ok(None),
            Err(_) => return Err("408 Request Timeout"),
        }
    };
    let bytes: Vec<u8> = ahead.drain(..end).collect();
    let mut head = parse(&bytes).ok_or("400 Bad Request")?;
    pass_over_body(stream, ahead, &mut head)?;
    Ok(Some(head))
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

fn fill(stream: &mut TcpStream, ahead: &mut Vec<u8>) -> io::Result<usize> {
    let mut chunk = [0; 8 << 10];
    let n = stream.read(&mut chunk)?;
    ahead.extend_from_slice(&chunk[..n]);
    Ok(n)
}

fn parse(bytes: &[u8]) -> Option<Head> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target, version) = (first.next()?, first.next()?, first.next()?);
    let minor = match version {
        "HTTP/1.1" => 1,
        "HTTP/1.0" => 0,
        _ => return None,
    };
    let is_method = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
    if !is_method || first.next().is_some() {
        return None;
    }
    let mut fields = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        if name.is_empty() || name.contains([' ', '\t']) || value.contains(['\r', '\n', '\0']) {
            return None;
        }
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Some(Head { method: method.into(), target: target.into(), minor, fields, close: false })
}

fn pass_over_body(stream: &mut TcpStream, ahead: &mut Vec<u8>, head: &mut Head) -> Result<(), &'static str> {
    if head.field("transfer-encoding").is_some() {
        head.close = true;
        return Ok(());
    }
    let lengths: Vec<_> =
        head.fields.iter().filter(|(n, _)| n == "content-length").map(|(_, v)| v.parse::<u64>()).collect();
    let length = match lengths.as_slice() {
        [] => return Ok(()),
        [Ok(length)] => *length,
        _ => return Err("400 Bad Request"),
    };
    if length > BODY_BYTES {
        head.close = true;
        return Ok(());
    }
    while (ahead.len() as u64) < length {
        match fill(stream, ahead) {
            Ok(n) if n > 0 => {}
            _ => return Err("400 Bad Request"),
        }
    }
    ahead.drain(..length as usize);
    Ok(())
}

/// The path of a target without query, decoded, with one slash where there were several. None if it
/// is no path or leads upwards.
pub fn decode_path(target: &str) -> Option<String> {
    let target = target.strip_prefix("http://").map_or(target, |rest| rest.find('/').map_or("/", |at| &rest[at..]));
    let raw = target.split(['?', '#']).next()?;
    if !raw.starts_with('/') {
        return None;
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
                (digit(rest.next())? * 16 + digit(rest.next())?) as u8
            }
            byte => byte,
        };
        if byte == b'/' && bytes.last() == Some(&b'/') {
            continue;
        }
        bytes.push(byte);
    }
    let path = String::from_utf8(bytes).ok()?;
    let leads_upwards = path.split('/').any(|part| part == "..");
    (!leads_upwards && !path.contains(['\0', '\\'])).then_some(path)
}

/// A decoded path as it is written in a header.
pub fn encode_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
