//! Server-sent events, the subset that log sessions use.

/// Parses a byte stream into events. Chunks may be of any size.
#[derive(Default)]
pub struct Events {
    rest: Vec<u8>,
    data: String,
    has_data: bool,
    /// The id of the event being parsed.
    id: Option<String>,
    /// The id of the last complete event; a reconnect sends it to resume after it.
    pub last_id: Option<String>,
}

impl Events {
    /// Feeds more bytes and passes the data of each complete event to `each`, with its id.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&str, Option<&str>)) {
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let mut start = 0;
        while let Some(length) = rest[start..].iter().position(|b| *b == b'\n') {
            let line = &rest[start..start + length];
            self.line(line.strip_suffix(b"\r").unwrap_or(line), &mut each);
            start += length + 1;
        }
        self.rest = rest[start..].to_vec();
    }

    /// Discards a partial event after a disconnect.
    pub fn restart(&mut self) {
        self.rest.clear();
        self.data.clear();
        self.has_data = false;
        self.id = None;
    }

    fn line(&mut self, line: &[u8], each: &mut impl FnMut(&str, Option<&str>)) {
        let line = String::from_utf8_lossy(line);
        if line.is_empty() {
            if self.id.is_some() {
                self.last_id = self.id.take();
            }
            if self.has_data {
                each(&self.data, self.last_id.as_deref());
            }
            self.data.clear();
            self.has_data = false;
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            "id" => self.id = Some(value.to_owned()),
            // Comments are keep-alives; other fields are not used.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = ": hello\n\nid: 7\ndata: one\n\nid: 8\r\ndata: two\r\ndata: more: ü\r\n\r\nid: 9\ndata: half";

    #[test]
    fn events_do_not_depend_on_chunking() {
        for portion in 1..STREAM.len() {
            let mut events = Events::default();
            let mut seen = Vec::new();
            for bytes in STREAM.as_bytes().chunks(portion) {
                events.feed(bytes, |data, id| seen.push((data.to_owned(), id.map(str::to_owned))));
            }
            let expected =
                [("one".to_owned(), Some("7".to_owned())), ("two\nmore: ü".to_owned(), Some("8".to_owned()))];
            assert_eq!(seen, expected, "{portion}");
        }
    }

    #[test]
    fn a_broken_connection_discards_partial_events() {
        let mut events = Events::default();
        events.feed(b"id: 1\ndata: half", |_, _| unreachable!("no event is complete"));
        events.restart();
        assert_eq!(events.last_id, None);
        let mut seen = Vec::new();
        events.feed(b"data: whole\n\n", |data, _| seen.push(data.to_owned()));
        assert_eq!(seen, ["whole"]);
    }
}
