//! Access to an app as levels: each includes the previous ones.

use leptos::prelude::*;

/// The levels: name and permissions.
pub const LEVELS: [(&str, &[&str]); 4] = [
    ("view", &["view"]),
    ("deploy", &["view", "deploy"]),
    ("operate", &["view", "deploy", "operate"]),
    ("manage", &["view", "deploy", "operate", "manage"]),
];

/// The level of a set of permissions; `custom` if it matches none.
pub fn level(permissions: &[String]) -> &'static str {
    let has = |name: &str| permissions.iter().any(|p| p == name);
    let fine = permissions.iter().any(|p| !LEVELS[3].1.contains(&p.as_str()));
    match (has("view"), has("deploy"), has("operate"), has("manage")) {
        _ if permissions.is_empty() => "none",
        (.., true) => "manage",
        (_, true, true, _) => "operate",
        (_, true, false, _) if !fine => "deploy",
        (true, false, false, _) if !fine => "view",
        _ => "custom",
    }
}

/// The verb for a level, followed by a number of apps.
pub fn verb(level: &str) -> &str {
    if level == "custom" { "custom access to" } else { level }
}

/// A level, with the permissions of a custom one: `custom (view, config)`.
pub fn in_full(level: &str, permissions: &[String]) -> String {
    if level == "custom" { format!("custom ({})", permissions.join(", ")) } else { level.to_owned() }
}

/// The permissions of a level.
pub fn permissions(of: &str) -> Vec<String> {
    let found = LEVELS.iter().find(|(name, _)| *name == of);
    found.map(|(_, all)| all.iter().map(|p| (*p).to_owned()).collect()).unwrap_or_default()
}

/// A select of levels. A custom one is shown as `text` and cannot be selected again.
#[component]
pub fn LevelSelect(
    #[prop(into)] label: String,
    now: &'static str,
    #[prop(into)] text: String,
    on_choose: Callback<String>,
) -> impl IntoView {
    let is_level = LEVELS.iter().any(|(name, _)| *name == now);
    view! {
        <select class="select" aria-label=label on:change=move |ev| on_choose.run(event_target_value(&ev))>
            {(!is_level).then(|| view! { <option value=now selected=true disabled=true>{text}</option> })}
            {LEVELS.into_iter().map(|(name, _)| view! { <option value=name selected=name == now>{name}</option> }).collect_view()}
        </select>
    }
    .into_any()
}

/// A level as four squares, with its label.
#[component]
pub fn Level(name: &'static str, text: String) -> impl IntoView {
    let filled = LEVELS.iter().position(|(level, _)| *level == name).map_or(0, |n| n + 1);
    view! {
        <span class="lv">
            {(0..4).map(|n| view! { <i class:on=n < filled></i> }).collect_view()}
            <span>{text}</span>
        </span>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_map_to_levels() {
        for (name, all) in LEVELS {
            assert_eq!(level(&permissions(name)), name, "{all:?}");
        }
        let of = |names: &[&str]| level(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        assert_eq!([of(&[]), of(&["view", "operate"]), of(&["config"])], ["none", "custom", "custom"]);
    }
}
