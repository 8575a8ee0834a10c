//! The status of an app as text: a word for lists, and a sentence about a release that did not stay up.

use api::{
    client::Client,
    statuses::{AppSummary, Condition, HeldRelease},
};
use chrono::{DateTime, Utc};

use crate::output::{self, DIM, GREEN, RED, YELLOW, ago};

/// The console's label for the condition of an app, and a colour.
pub fn condition(app: &AppSummary) -> (String, &'static str) {
    let (up, wanted) = (app.dynos_up, app.dynos_wanted);
    match app.condition {
        Condition::Empty => ("Not deployed".into(), DIM),
        Condition::Changing => ("Deploying".into(), YELLOW),
        Condition::Up if wanted > 1 => (format!("{up} up"), GREEN),
        Condition::Up => ("Up".into(), GREEN),
        Condition::Degraded => (format!("{up} of {wanted} up"), YELLOW),
        Condition::Held => ("New release crashes".into(), YELLOW),
        Condition::Crashed => ("Crashed".into(), RED),
        Condition::Off => ("Off".into(), DIM),
        Condition::Maintenance => ("Maintenance".into(), YELLOW),
        Condition::Unknown => ("Unknown".into(), DIM),
    }
}

/// The newest release of `app`, if it did not stay up and an older one serves. This is an extra request,
/// which must not fail the command.
pub async fn held(client: &Client, app: &str) -> Option<HeldRelease> {
    client.app_status(app).await.ok()?.held
}

/// Warns that the newest release did not stay up, so that visitors do not see the change.
pub fn warn_if_held(held: Option<&HeldRelease>) {
    if let Some(held) = held {
        output::warn(held_message(held, Utc::now()));
    }
}

/// `v6 did not stay up (web.1: Process exited with status 3). v4 serves, so there is nothing to roll back.`
pub fn held_message(held: &HeldRelease, now: DateTime<Utc>) -> String {
    let why = held.last_exit.as_deref().map(|exit| format!(": {exit}")).unwrap_or_default();
    let next = held.next_start_at.map(|at| format!(", next start {}", next_try(at, now))).unwrap_or_default();
    let HeldRelease { version, serving, dyno, .. } = held;
    format!("v{version} did not stay up ({dyno}{why}{next}). v{serving} serves, so there is nothing to roll back.")
}

/// When a crashed dyno is restarted.
pub fn next_try(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    // Below a second it would be "0s ago".
    if (at - now).num_seconds() < 1 { "now".into() } else { ago(at, now) }
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;

    #[test]
    fn a_held_release_is_reported_without_advice_to_roll_back_to_what_serves() {
        let now = Utc::now();
        let mut held = HeldRelease {
            version: 6,
            serving: 4,
            dyno: "web.1".into(),
            last_exit: Some("Process exited with status 3".into()),
            next_start_at: Some(now + Duration::milliseconds(40_500)),
        };
        let text = "v6 did not stay up (web.1: Process exited with status 3, next start in 40s). \
                    v4 serves, so there is nothing to roll back.";
        assert_eq!(held_message(&held, now), text);
        (held.last_exit, held.next_start_at) = (None, None);
        let text = "v6 did not stay up (web.1). v4 serves, so there is nothing to roll back.";
        assert_eq!(held_message(&held, now), text);
    }

    #[test]
    fn a_due_restart_is_shown_as_now() {
        let now = Utc::now();
        for (milliseconds, text) in [(-3000, "now"), (0, "now"), (999, "now"), (1000, "in 1s"), (61_000, "in 1m")] {
            assert_eq!(next_try(now + Duration::milliseconds(milliseconds), now), text, "{milliseconds}");
        }
    }
}
