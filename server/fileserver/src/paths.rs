//! Paths in requests and in `Location`.

use hyper::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All characters except those that RFC 3986 allows in a path.
const NOT_IN_PATHS: AsciiSet = NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// The decoded path of a request, with repeated slashes merged. `None` if it is not a path, is badly encoded, or leads
/// outside the root.
pub fn decode(uri: &Uri) -> Option<String> {
    let raw = uri.path();
    let is_code = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    if !raw.starts_with('/') || !raw.split('%').skip(1).all(is_code) {
        return None;
    }
    let mut bytes: Vec<u8> = percent_decode_str(raw).collect();
    bytes.dedup_by(|next, last| (*next, *last) == (b'/', b'/'));
    let path = String::from_utf8(bytes).ok()?;
    let leads_upwards = path.split('/').any(|part| part == "..");
    (!leads_upwards && !path.contains(['\0', '\\'])).then_some(path)
}

/// A decoded path, encoded for headers.
pub fn encode(path: &str) -> String {
    utf8_percent_encode(path, &NOT_IN_PATHS).to_string()
}
