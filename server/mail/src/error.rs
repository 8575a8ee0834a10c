//! Why a message was not sent.

/// The longest text of an answer, in characters.
const LONGEST: usize = 400;

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It may work later. The server's answer, or why there is none.
    #[error("{0}")]
    Temporary(String),
    /// It will never work: the server has rejected the message or its recipient.
    #[error("{0}")]
    Permanent(String),
}

impl Error {
    /// Whether it may work later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Temporary(_))
    }
}

/// One line without control characters, of bounded length: the text comes from another machine.
pub(crate) fn line(text: &str) -> String {
    let plain = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    plain.collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}

/// Codes about the platform's own credentials, which are not the fault of the message.
const CREDENTIALS: [&str; 4] = ["530", "534", "535", "538"];

/// What an error of the protocol means.
pub(crate) fn of_smtp(err: &lettre::transport::smtp::Error) -> Error {
    use std::error::Error as _;
    let source = err.source().map(|source| source.to_string()).unwrap_or_default();
    let Some(code) = err.status() else {
        return Error::Temporary(if err.is_timeout() {
            "The server did not answer in time.".to_owned()
        } else if err.is_response() {
            "The answer is not that of an SMTP server.".to_owned()
        } else {
            line(&format!("The connection failed: {err}"))
        });
    };
    let code = code.to_string();
    let answer = line(&format!("{code} {source}"));
    match err.is_permanent() && !CREDENTIALS.contains(&code.as_str()) {
        true => Error::Permanent(answer),
        false => Error::Temporary(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_short_line() {
        assert_eq!(line("a\r\n b\u{1b}[31m\tc"), "a b [31m c");
        assert_eq!(line(&"x".repeat(1000)).len(), LONGEST);
        assert_eq!(line("\r\n"), "");
    }
}
