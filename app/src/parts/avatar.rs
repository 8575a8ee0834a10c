//! A person, as two letters on a colour of their own.

use leptos::prelude::*;

use crate::words;

/// The person with this e-mail address. Decoration: the name is to stand beside it.
#[component]
pub fn Avatar(#[prop(into)] who: Signal<String>, #[prop(optional)] large: bool) -> impl IntoView {
    let hue =
        move || who.with(|who| who.bytes().fold(7u32, |h, b| h.wrapping_mul(31).wrapping_add(b.into())) % 24 * 15);
    view! {
        <span
            class=if large { "av l" } else { "av" }
            style=move || format!("--av:light-dark(oklch(.88 .06 {0}),oklch(.42 .07 {0}))", hue())
            title=move || who.get()
            aria-hidden="true"
        >
            {move || who.with(|who| words::initials(who))}
        </span>
    }
    .into_any()
}
