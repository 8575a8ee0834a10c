//! A router line as fields.

/// The router's log line about one request; omitted fields are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouterFields<'a> {
    /// `info`, `warning` or `error`.
    pub at: Option<&'a str>,
    /// `H12`, if the request failed.
    pub code: Option<&'a str>,
    /// Description of the error.
    pub desc: Option<&'a str>,
    /// `GET`
    pub method: Option<&'a str>,
    /// Including the query.
    pub path: Option<&'a str>,
    /// The requested host.
    pub host: Option<&'a str>,
    /// The request id, also passed to the dyno.
    pub request_id: Option<&'a str>,
    /// The client's address, and the ones it claims to forward for.
    pub fwd: Option<&'a str>,
    /// The dyno that responded.
    pub dyno: Option<&'a str>,
    /// Milliseconds to connect to the dyno.
    pub connect_ms: Option<u64>,
    /// Milliseconds until the end of the response.
    pub service_ms: Option<u64>,
    /// The response's status.
    pub status: Option<u16>,
    /// Length of the response's body.
    pub bytes: Option<u64>,
    /// `http` or `https`.
    pub protocol: Option<&'a str>,
}

impl<'a> RouterFields<'a> {
    /// Parses `key=value key="some value"`.
    pub fn parse(text: &'a str) -> RouterFields<'a> {
        let mut fields = RouterFields::default();
        for (key, value) in pairs(text) {
            let slot = match key {
                "at" => &mut fields.at,
                "code" => &mut fields.code,
                "desc" => &mut fields.desc,
                "method" => &mut fields.method,
                "path" => &mut fields.path,
                "host" => &mut fields.host,
                "request_id" => &mut fields.request_id,
                "fwd" => &mut fields.fwd,
                "dyno" => &mut fields.dyno,
                "protocol" => &mut fields.protocol,
                _ => {
                    fields.set_number(key, value);
                    continue;
                }
            };
            *slot = (!value.is_empty()).then_some(value);
        }
        fields
    }

    fn set_number(&mut self, key: &str, value: &str) {
        let number = value.strip_suffix("ms").unwrap_or(value).parse::<u64>().ok();
        match key {
            "connect" => self.connect_ms = number,
            "service" => self.service_ms = number,
            "bytes" => self.bytes = number,
            "status" => self.status = number.and_then(|n| n.try_into().ok()),
            _ => {}
        }
    }
}

/// The pairs in order. A quoted value ends at a quote before a space or the end, so that a quote
/// inside a path is harmless.
fn pairs(mut text: &str) -> impl Iterator<Item = (&str, &str)> {
    std::iter::from_fn(move || {
        text = text.trim_start_matches(' ');
        let (key, rest) = text.split_once('=')?;
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => match quoted.find("\" ") {
                Some(end) => (&quoted[..end], &quoted[end + 2..]),
                None => (quoted.strip_suffix('"').unwrap_or(quoted), ""),
            },
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        text = rest;
        Some((key, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_request() {
        let text = r#"at=info method=GET path="/a b?q="x"&y=1" host=x.example request_id=abc fwd="1.2.3.4, 5.6.7.8" dyno=web.1 connect=1ms service=18ms status=200 bytes=13 protocol=https"#;
        let fields = RouterFields::parse(text);
        assert_eq!(fields.path, Some(r#"/a b?q="x"&y=1"#));
        assert_eq!(fields.fwd, Some("1.2.3.4, 5.6.7.8"));
        assert_eq!((fields.connect_ms, fields.service_ms), (Some(1), Some(18)));
        assert_eq!((fields.status, fields.bytes, fields.code), (Some(200), Some(13), None));
        assert_eq!(fields.protocol, Some("https"));
    }

    #[test]
    fn a_bad_request_and_nonsense() {
        let text = r#"at=error code=H14 desc="No web dynos running" method=GET path="/" dyno= connect= service= status=503 bytes="#;
        let fields = RouterFields::parse(text);
        assert_eq!(fields.at, Some("error"));
        assert_eq!((fields.code, fields.desc), (Some("H14"), Some("No web dynos running")));
        assert_eq!((fields.dyno, fields.service_ms, fields.bytes), (None, None, None));
        for text in ["", "=", "a", "path=\"", "status=9999999", "é=é \"=\""] {
            RouterFields::parse(text);
        }
        assert_eq!(RouterFields::parse("path=\"/x").path, Some("/x"));
    }
}
