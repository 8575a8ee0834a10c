//! *Wharf:* what happens next, after somebody was invited, added or offered an app: whether they can sign in, and the
//! link to send them.

use serde::{Deserialize, Serialize};

use crate::{mails::Mail, named::named};

named! {
    /// How a person can sign in.
    pub enum SignInWay {
        /// Through an identity provider.
        Provider = "provider",
        /// With their password.
        Password = "password",
        /// Not at all.
        None = "none",
    }
}

/// What a person has to do next, for those who invited them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NextStep {
    pub email: String,
    /// Whether the person can sign in now.
    pub can_sign_in: bool,
    pub way: SignInWay,
    /// What happens next, in sentences; if they cannot sign in, why, and what to do about it.
    pub message: String,
    /// The page to send them, which asks them to sign in. It contains no secret, and admits nobody by itself.
    pub url: String,
    /// The message that was sent to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<Mail>,
}

impl NextStep {
    /// A sentence about the message that was sent, or that none was.
    pub fn about_mail(&self) -> String {
        use crate::mails::MailState;
        let Some(mail) = &self.mail else { return "No e-mail was sent: send them the link yourself.".into() };
        let why = mail.error.as_deref().unwrap_or_default();
        match mail.state {
            MailState::Sent => format!("An e-mail was sent to {}.", self.email),
            MailState::Failed => format!("The e-mail to {} could not be sent: {why}", self.email),
            MailState::Cancelled => "No e-mail was sent.".into(),
            _ if why.is_empty() => format!("An e-mail to {} is being sent.", self.email),
            _ => format!("The e-mail to {} will be tried again: {why}", self.email),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::mails::MailState;

    #[test]
    fn the_state_of_the_mail_is_a_sentence() {
        let step = |mail: Option<(MailState, Option<&str>)>| NextStep {
            email: "a@b.test".into(),
            can_sign_in: false,
            way: SignInWay::None,
            message: String::new(),
            url: String::new(),
            mail: mail.map(|(state, error)| Mail {
                state,
                error: error.map(String::from),
                updated_at: DateTime::UNIX_EPOCH,
            }),
        };
        assert_eq!(step(None).about_mail(), "No e-mail was sent: send them the link yourself.");
        let failed = step(Some((MailState::Failed, Some("550 no such user")))).about_mail();
        assert_eq!(failed, "The e-mail to a@b.test could not be sent: 550 no such user");
        assert_eq!(step(Some((MailState::Pending, None))).about_mail(), "An e-mail to a@b.test is being sent.");
        assert!(step(Some((MailState::Pending, Some("busy")))).about_mail().contains("tried again: busy"));
    }
}
