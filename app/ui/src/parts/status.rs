//! Status: a glyph and a label. The shape conveys the status, the colour repeats it.

use api::statuses::Condition;
use leptos::prelude::*;

use super::Glyph;

/// The severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Ok,
    Warn,
    Bad,
    Busy,
    Idle,
}

impl Tone {
    /// The class, and the name of the glyph.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Busy => "busy",
            Self::Idle => "idle",
        }
    }
}

/// The tone and the label for the condition of an app.
pub fn condition(condition: Condition, up: i32, wanted: i32) -> (Tone, String) {
    match condition {
        Condition::Empty => (Tone::Idle, "Not deployed".into()),
        Condition::Changing => (Tone::Busy, "Deploying".into()),
        Condition::Up if wanted > 1 => (Tone::Ok, format!("{up} up")),
        Condition::Up => (Tone::Ok, "Up".into()),
        Condition::Degraded => (Tone::Warn, format!("{up} of {wanted} up")),
        Condition::Held => (Tone::Warn, "New release crashes".into()),
        Condition::Crashed => (Tone::Bad, "Crashed".into()),
        Condition::Off => (Tone::Idle, "Off".into()),
        Condition::Maintenance => (Tone::Warn, "Maintenance".into()),
        Condition::Unknown => (Tone::Idle, "Unknown".into()),
    }
}

/// A glyph with its label.
#[component]
pub fn Status(#[prop(into)] tone: Signal<Tone>, #[prop(into)] word: Signal<String>) -> impl IntoView {
    // A single closure: each one costs the server and the browser more than the element around it.
    let drawn = move || {
        let name = tone.get().name();
        view! {
            <span class=format!("st {name}")>
                <Glyph name/>
                {word.get()}
            </span>
        }
    };
    drawn.into_any()
}
