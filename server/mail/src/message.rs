//! A message: one sender, one recipient, plain text and HTML.

use lettre::{
    Address,
    message::{Mailbox, MultiPart},
};

use crate::error::{Error, line};

/// The longest subject, in characters.
const LONGEST_SUBJECT: usize = 150;

/// A message. No field can add a header: addresses are parsed, and control characters are removed from the subject.
#[derive(Clone, Debug)]
pub struct Message {
    /// Identifies it for mail programs, which show it once even if it was sent again: `<uuid>@<domain>`.
    pub id: String,
    pub from: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// Whether this is the address of one mailbox, without a name.
pub fn is_address(text: &str) -> bool {
    // A quoted local part could have these, which mail servers read in different ways.
    let is_odd = |c: char| !c.is_ascii_graphic() || "<>,;:\"\\()".contains(c);
    text.len() <= 254 && !text.contains(is_odd) && text.parse::<Address>().is_ok()
}

fn mailbox(name: Option<&str>, address: &str) -> Result<Mailbox, Error> {
    let odd = || Error::Permanent(line(&format!("{address:?} is not an email address.")));
    if !is_address(address) {
        return Err(odd());
    }
    let address = address.parse().map_err(|_| odd())?;
    Ok(Mailbox::new(name.map(String::from), address))
}

impl Message {
    pub(crate) fn build(&self) -> Result<lettre::Message, Error> {
        let subject: String = line(&self.subject).chars().take(LONGEST_SUBJECT).collect();
        let id: String = self.id.chars().filter(|c| c.is_ascii_alphanumeric() || "-.@".contains(*c)).collect();
        lettre::Message::builder()
            .message_id(Some(format!("<{id}>")))
            .from(mailbox(Some("Wharf"), &self.from)?)
            .to(mailbox(None, &self.to)?)
            .subject(subject)
            .multipart(MultiPart::alternative_plain_html(self.text.clone(), self.html.clone()))
            .map_err(|err| Error::Permanent(line(&format!("The message could not be written: {err}"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(to: &str, subject: &str) -> Message {
        let [text, html] = ["Hello".to_owned(), "<p>Hello</p>".to_owned()];
        let (id, from) = ("1@wharf.test".to_owned(), "wharf@acme.test".to_owned());
        Message { id, from, to: to.into(), subject: subject.into(), text, html }
    }

    #[test]
    fn nothing_adds_a_header() {
        let built = message("ada@acme.test", "Hi\r\nBcc: eve@evil.test\r\n\r\nBody").build().unwrap();
        let text = String::from_utf8(built.formatted()).unwrap();
        let head = text.split("\r\n\r\n").next().unwrap();
        assert!(!head.lines().any(|line| line.to_lowercase().starts_with("bcc")), "{head}");
        assert_eq!(head.lines().filter(|line| line.starts_with("Subject: ")).count(), 1, "{head}");
        let odd =
            ["ada@acme.test\r\nBcc: eve@evil.test", "ada@acme.test, eve@evil.test", "Ada <ada@acme.test>", "ada", ""];
        for to in odd {
            assert!(!is_address(to) && message(to, "Hi").build().is_err(), "{to:?}");
        }
    }

    #[test]
    fn it_has_both_texts() {
        let built = message("ada@acme.test", "Grüße").build().unwrap();
        let text = String::from_utf8(built.formatted()).unwrap();
        assert!(text.contains("text/plain") && text.contains("text/html") && text.is_ascii(), "{text}");
        assert!(text.contains("Message-ID: <1@wharf.test>"), "{text}");
    }
}
