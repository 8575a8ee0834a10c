//! A person as initials on an individual colour.

use leptos::prelude::*;

use crate::words;

/// The person with this email address. Decorative: show the name beside it.
#[component]
pub fn Avatar(#[prop(into)] who: Signal<String>, #[prop(optional)] large: bool) -> impl IntoView {
    let drawn = move || {
        let who = who.get();
        let hue = who.bytes().fold(7u32, |h, b| h.wrapping_mul(31).wrapping_add(b.into())) % 24 * 15;
        let letters = words::initials(&who);
        view! {
            <span
                class=if large { "av l" } else { "av" }
                style=format!("--av:light-dark(oklch(.88 .06 {hue}),oklch(.42 .07 {hue}))")
                title=who
                aria-hidden="true"
            >
                {letters}
            </span>
        }
    };
    drawn.into_any()
}
