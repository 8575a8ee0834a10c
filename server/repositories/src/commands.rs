//! Parses the commands of a push while they are forwarded: their number, and their refs.
//!
//! They are pkt-lines of git's protocol, which begin with their length, up to the first flush. This is our own code,
//! since crates for the format include an entire implementation of git.

/// Refs that are rejected individually; with more, the client gets a single message, since users would have to find the
/// reason above a list of all of them.
const MOST_LISTED: usize = 20;
/// The beginning of a line, which contains the name of the ref: two ids and the name.
const MOST_BYTES: usize = 4 << 10;

/// Reads lines, wherever they are split.
pub(crate) struct Commands {
    /// The maximum number of commands.
    most: usize,
    lines: usize,
    head: Vec<u8>,
    /// The beginning of the current line.
    line: Vec<u8>,
    /// Bytes left until the next line.
    rest: usize,
    are_over: bool,
    names: Vec<Vec<u8>>,
    is_shallow: bool,
}

impl Commands {
    pub fn new(most: usize) -> Self {
        let (head, line, names) = (Vec::new(), Vec::new(), Vec::new());
        Self { most, lines: 0, head, line, rest: 0, are_over: false, names, is_shallow: false }
    }

    /// Whether all commands were read, or the rest is not a command.
    pub fn are_over(&self) -> bool {
        self.are_over
    }

    pub fn are_too_many(&self) -> bool {
        self.lines > self.most
    }

    /// Whether the client can get a reason for each ref.
    pub fn are_worth_reading(&self) -> bool {
        self.lines <= MOST_LISTED
    }

    /// The refs so far; empty when there are more than are worth listing.
    pub fn names(&self) -> Vec<Vec<u8>> {
        if self.are_worth_reading() { self.names.clone() } else { Vec::new() }
    }

    /// Whether the client has a shallow clone, which it says before its commands.
    pub fn is_shallow(&self) -> bool {
        self.is_shallow
    }

    pub fn read(&mut self, mut part: &[u8]) {
        while !self.are_over && !part.is_empty() {
            let taken = self.rest.min(part.len());
            let room = MOST_BYTES.saturating_sub(self.line.len()).min(taken);
            self.line.extend_from_slice(&part[..room]);
            self.rest -= taken;
            part = &part[taken..];
            if self.rest > 0 {
                return;
            }
            self.end_line();
            let taken = part.len().min(4 - self.head.len());
            self.head.extend_from_slice(&part[..taken]);
            part = &part[taken..];
            if self.head.len() < 4 {
                return;
            }
            self.begin_line();
        }
    }

    fn begin_line(&mut self) {
        let length = std::str::from_utf8(&self.head).ok().and_then(|head| usize::from_str_radix(head, 16).ok());
        self.head.clear();
        match length {
            Some(length) if length >= 4 => {
                self.rest = length - 4;
                self.lines += 1;
            }
            // A flush, or something that git will reject.
            _ => self.are_over = true,
        }
    }

    /// Extracts the name from a command `OLD NEW NAME`; in the first one, a zero byte and the client's capabilities
    /// follow.
    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.is_shallow |= line.starts_with(b"shallow ");
        let command = line.split(|b| *b == 0 || *b == b'\n').next().unwrap_or_default();
        let name = command.splitn(3, |b| *b == b' ').nth(2).filter(|name| name.starts_with(b"refs/"));
        if let (Some(name), true) = (name, self.most < usize::MAX && self.are_worth_reading()) {
            self.names.push(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> String {
        format!("{:04x}{text}", text.len() + 4)
    }

    #[test]
    fn lines_are_counted_wherever_they_are_cut() {
        let three = "0009first0008nextxxxx00000009notaline";
        let text = ["0009first0008next0005x0000", three].concat();
        for cut in 1..text.len() {
            let are_too_many = |most| {
                let mut commands = Commands::new(most);
                text.as_bytes().chunks(cut).for_each(|part| commands.read(part));
                assert!(commands.are_over());
                commands.are_too_many()
            };
            assert!(!are_too_many(3) && are_too_many(2), "{cut}");
        }
    }

    #[test]
    fn what_is_no_line_ends_the_counting() {
        let mut commands = Commands::new(0);
        commands.read(b"not a line of git");
        assert!(commands.are_over() && !commands.are_too_many());
        let mut commands = Commands::new(0);
        commands.read(b"0005x");
        assert!(commands.are_too_many());
    }

    #[test]
    fn the_refs_are_known() {
        let id = "0".repeat(40);
        let text = line(&format!("{id} {id} refs/heads/main\0report-status agent=git/2"))
            + &line(&format!("shallow {id}"))
            + &line(&format!("{id} {id} refs/tags/one two"))
            + "0000PACK";
        for cut in 1..text.len() {
            let mut commands = Commands::new(5);
            text.as_bytes().chunks(cut).for_each(|part| commands.read(part));
            assert_eq!(commands.names(), [&b"refs/heads/main"[..], b"refs/tags/one two"], "{cut}");
            assert!(commands.is_shallow());
        }
        // More refs than are useful to list.
        let many = line(&format!("{id} {id} refs/tags/x")).repeat(MOST_LISTED + 1);
        let mut commands = Commands::new(5);
        commands.read(many.as_bytes());
        assert!(commands.are_too_many() && !commands.are_worth_reading() && commands.names().is_empty());
    }
}
