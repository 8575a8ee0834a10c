//! Icons and glyphs of the sprite in the document.

use leptos::prelude::*;

/// A line icon: `name` without its `i-`.
#[component]
pub fn Icon(
    name: &'static str,
    /// Additional class: `i-s` or `i-l`.
    #[prop(default = "")]
    size: &'static str,
) -> impl IntoView {
    view! {
        <svg class=format!("i {size}") aria-hidden="true">
            <use href=format!("#i-{name}")></use>
        </svg>
    }
    .into_any()
}

/// A filled glyph: `name` without its `g-`.
#[component]
pub fn Glyph(name: &'static str) -> impl IntoView {
    view! {
        <svg class=if name == "busy" { "spin" } else { "" } aria-hidden="true">
            <use href=format!("#g-{name}")></use>
        </svg>
    }
    .into_any()
}
