//! Light, dark, or the system's theme; stored on this device.

use leptos::prelude::*;

use super::{Icon, dom};

const KEY: &str = "wharfTheme";

/// Sets the theme: `light`, `dark`, or `None` for the system's.
pub fn choose(theme: Option<&str>) {
    let Some(root) = document().document_element() else { return };
    let _ = match theme {
        Some(theme) => root.set_attribute("data-theme", theme),
        None => root.remove_attribute("data-theme"),
    };
    dom::remember(KEY, theme);
}

/// The selected theme, or `None` for the system's.
pub fn chosen() -> Option<String> {
    dom::remembered(KEY)
}

/// The theme that is shown.
pub fn shown() -> String {
    chosen().unwrap_or_else(|| {
        let dark = window().match_media("(prefers-color-scheme: dark)").ok().flatten().is_some_and(|m| m.matches());
        if dark { "dark".into() } else { "light".into() }
    })
}

/// Switches between light and dark.
#[component]
pub fn ThemeButton() -> impl IntoView {
    let switch = move |_| choose(Some(if shown() == "dark" { "light" } else { "dark" }));
    view! {
        <button class="btn gho ico" type="button" aria-label="Switch light and dark" on:click=switch>
            <Icon name="sun"/>
        </button>
    }
    .into_any()
}
