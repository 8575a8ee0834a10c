//! The websocket of a terminal: `GET` of a dyno's `terminal_path`, once, within a minute.
//!
//! Binary messages are input to the process, and its output: the first byte of an output is [`STDOUT`] or [`STDERR`].
//! Text messages are [`ToTerminal`] and [`FromTerminal`]. The socket is closed after the last one, which says how the
//! process ended; if it is closed without that, the process got SIGHUP.

use serde::{Deserialize, Serialize};

use crate::dynos::Window;

/// The first byte of output of the terminal, or of stdout.
pub const STDOUT: u8 = 1;
/// The first byte of output of stderr. Only without a terminal.
pub const STDERR: u8 = 2;

/// A message of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToTerminal {
    /// The window has this size now.
    Resize(Window),
    /// There will be no more input.
    EndOfInput,
}

/// A message of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromTerminal {
    /// The process runs, and its output follows.
    Attached,
    /// The process has ended, with this status as in a shell. The last message.
    Exited { status: i32, sentence: String },
    /// The session has ended for another reason. The last message.
    Failed { message: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_small_objects() {
        let json = |message: &ToTerminal| serde_json::to_string(message).unwrap();
        let window = Window { columns: 80, rows: 24 };
        assert_eq!(json(&ToTerminal::Resize(window)), r#"{"type":"resize","columns":80,"rows":24}"#);
        assert_eq!(json(&ToTerminal::EndOfInput), r#"{"type":"end_of_input"}"#);
        let exited = FromTerminal::Exited { status: 3, sentence: "Process exited with status 3".into() };
        let text = r#"{"type":"exited","status":3,"sentence":"Process exited with status 3"}"#;
        assert_eq!(serde_json::from_str::<FromTerminal>(text).unwrap(), exited);
    }
}
