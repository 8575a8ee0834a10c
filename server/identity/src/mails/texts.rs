//! What messages say: plain text, and the same as simple HTML.
//!
//! Nothing in them was chosen freely by a user: addresses, names of teams and apps, and URLs have characters of their
//! own, so that the platform does not send other people's texts. They are escaped all the same.

use api::{ids::MailId, mails::MailKind, sanitize};
use base::Base;
use store::mails::Row;

/// A text before it has a recipient.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text {
    subject: String,
    paragraphs: Vec<String>,
    /// The label and URL of the link after the first paragraph.
    link: (&'static str, String),
}

impl Text {
    /// The message with this text.
    pub fn message(&self, base: &Base, id: MailId, from: &str, to: &str) -> mail::Message {
        mail::Message {
            id: format!("{id}@{}", base.settings().domain),
            from: from.into(),
            to: to.into(),
            subject: self.subject.clone(),
            text: self.plain(),
            html: self.html(),
        }
    }

    fn plain(&self) -> String {
        let (label, url) = &self.link;
        let mut parts = self.paragraphs.clone();
        parts.insert(1.min(parts.len()), format!("{label}:\n{url}"));
        format!("{}\n", parts.join("\n\n"))
    }

    fn html(&self) -> String {
        let (label, url) = &self.link;
        let mut parts: Vec<String> =
            self.paragraphs.iter().map(|text| format!("<p>{}</p>", sanitize::html(text))).collect();
        let link =
            format!("<p><a href=\"{url}\">{label}</a></p>", url = sanitize::html(url), label = sanitize::html(label));
        parts.insert(1.min(parts.len()), link);
        format!("<!doctype html>\n<html lang=\"en\"><body>\n{}\n</body></html>\n", parts.join("\n"))
    }
}

/// The text about what `row` is about; `None` if that is gone. `sign_in` says how the recipient can sign in.
pub(super) fn of(row: &Row, (host, url): (&str, String), sign_in: &str) -> Option<Text> {
    let by = &row.sender_email;
    let (subject, first, label) = match (row.kind, &row.team, &row.app) {
        (MailKind::TeamInvitation, Some(team), _) => (
            format!("Invitation to the team {team}"),
            format!(
                "{by} has invited you to the team {team} on {host}, as {}.",
                row.role.as_deref().unwrap_or("member")
            ),
            "Accept or decline the invitation",
        ),
        (MailKind::Collaborator, _, Some(app)) => (
            format!("Access to the app {app}"),
            format!("{by} has added you as a collaborator of the app {app} on {host}."),
            "Open the app",
        ),
        (MailKind::AppTransfer, _, Some(app)) => (
            format!("The app {app} is offered to you"),
            format!("{by} wants to transfer the app {app} on {host} to you. It is yours once you accept it."),
            "Accept or decline the app",
        ),
        _ => return None,
    };
    let mut paragraphs = vec![first, sign_in.to_owned()];
    if let Some(until) = row.expires_at {
        paragraphs.push(format!("The invitation is valid until {}.", until.format("%-d %B %Y")));
    }
    paragraphs.push("If you did not expect this message, ignore it: nothing changes unless you sign in.".into());
    Some(Text { subject, paragraphs, link: (label, url) })
}

/// The test message.
pub(super) fn test(url: &str) -> Text {
    Text {
        subject: "Test message".into(),
        paragraphs: vec!["An administrator of Wharf has sent this message to test the mail server.".into()],
        link: ("Open the console", url.into()),
    }
}

#[cfg(test)]
mod tests {
    use api::mails::MailState;
    use chrono::DateTime;

    use super::*;

    fn row(kind: MailKind) -> Row {
        Row {
            id: MailId::nil(),
            kind,
            recipient: "bob@acme.test".into(),
            state: MailState::Pending,
            attempts: 0,
            error: None,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            sender_email: "ada@acme.test".into(),
            is_sender_suspended: false,
            account_id: None,
            account_email: None,
            team_id: None,
            team: Some("crew".into()),
            role: Some("viewer".into()),
            expires_at: Some(DateTime::UNIX_EPOCH),
            app_id: None,
            app: None,
        }
    }

    fn text(row: &Row) -> Option<Text> {
        of(row, ("wharf.test", "https://wharf.test/login?next=%2Fteams&a='\"".into()), "Sign in through GitHub.")
    }

    #[test]
    fn an_invitation_says_who_where_and_how() {
        let text = text(&row(MailKind::TeamInvitation)).unwrap();
        assert_eq!(text.subject, "Invitation to the team crew");
        let plain = text.plain();
        for part in [
            "ada@acme.test has invited you to the team crew on wharf.test, as viewer.",
            "https://wharf.test/login?next=%2Fteams",
            "Sign in through GitHub.",
            "valid until 1 January 1970",
        ] {
            assert!(plain.contains(part), "{plain}");
        }
        let html = text.html();
        assert!(html.contains("&amp;a=&#39;&quot;\">Accept or decline the invitation</a>"), "{html}");
    }

    #[test]
    fn what_is_gone_has_no_text() {
        let mut app = row(MailKind::AppTransfer);
        assert_eq!(text(&app), None);
        app.app = Some("shop".into());
        assert!(text(&app).unwrap().plain().contains("transfer the app shop"));
        app.kind = MailKind::Collaborator;
        assert!(text(&app).unwrap().plain().contains("collaborator of the app shop"));
        assert_eq!(text(&Row { team: None, ..row(MailKind::TeamInvitation) }), None);
    }
}
