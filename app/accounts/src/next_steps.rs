//! What somebody does next who was invited, added or offered an app: whether they can sign in, and the link to send.

use api::{
    client::Asked,
    mails::{Mail, MailState},
    next_steps::NextStep,
};
use leptos::prelude::*;
use ui::parts::{CopyButton, Glyph};

/// Fetches `request` into `step`. What it is about has been done already, so a failure shows nothing.
pub fn ask(request: Asked<NextStep>, step: RwSignal<Option<NextStep>>) {
    leptos::task::spawn_local(async move {
        if let Ok(found) = request.await {
            step.try_set(Some(found));
        }
    });
}

/// The state of the message about an invitation, in a few words.
pub fn about(mail: &Mail) -> String {
    let why = mail.error.as_deref().unwrap_or_default();
    match mail.state {
        MailState::Sent => "e-mail sent".into(),
        MailState::Failed => format!("e-mail not sent: {why}"),
        MailState::Pending if why.is_empty() => "e-mail is being sent".into(),
        MailState::Pending => format!("e-mail will be tried again: {why}"),
        MailState::Cancelled | MailState::Unknown => String::new(),
    }
}

/// The next step, once it is known.
#[component]
pub fn NextSteps(step: RwSignal<Option<NextStep>>) -> impl IntoView {
    let shown = move |now: NextStep| {
        let (tone, glyph) = if now.can_sign_in { ("note info", "info") } else { ("note warn", "warn") };
        let mail = now.about_mail();
        view! {
            <div class="stack g2 small" role="status">
                <div class="notes"><div class=tone><Glyph name=glyph/><span>{now.message}" "{mail}</span></div></div>
                <div class="cmd"><code tabindex="0">{now.url.clone()}</code><CopyButton text=now.url label=format!("Copy link for {}", now.email)/></div>
            </div>
        }
    };
    view! { {move || step.get().map(shown)} }.into_any()
}

#[cfg(test)]
mod tests {
    use api::mails::{Mail, MailState};

    use super::about;

    #[test]
    fn the_reason_is_shown() {
        let updated_at = "2026-01-01T00:00:00Z".parse().unwrap();
        let mail = |state, error: Option<&str>| about(&Mail { state, error: error.map(String::from), updated_at });
        assert_eq!(mail(MailState::Failed, Some("550 no such user")), "e-mail not sent: 550 no such user");
        assert_eq!(mail(MailState::Pending, Some("busy")), "e-mail will be tried again: busy");
        assert_eq!(mail(MailState::Sent, None), "e-mail sent");
    }
}
