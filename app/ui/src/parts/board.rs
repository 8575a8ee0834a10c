//! Stages side by side, with the apps in each.
//!
//! Arrow keys move between the cards of a stage and between stages. On a phone a stage takes the
//! width, and links above jump to each.

use leptos::{ev, html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::{Status, Tone};

/// The board of stages. `names` are their names, in order.
#[component]
pub fn Board(label: &'static str, names: Vec<String>, children: Children) -> impl IntoView {
    let element = NodeRef::<html::Div>::new();
    let keyed = move |ev: ev::KeyboardEvent| {
        // With Alt they are browser shortcuts.
        if ev.alt_key() || ev.ctrl_key() || ev.meta_key() {
            return;
        }
        let (across, down) = match ev.key().as_str() {
            "ArrowLeft" => (-1, 0),
            "ArrowRight" => (1, 0),
            "ArrowUp" => (0, -1),
            "ArrowDown" => (0, 1),
            _ => return,
        };
        if element.get_untracked().is_some_and(|board| step(&board, across, down)) {
            ev.prevent_default();
        }
    };
    view! {
        <nav class="stages show-p" aria-label="Stages">
            {names.iter().map(|name| view! { <a href=format!("#{}", id_of(name)) rel="external">{name.clone()}</a> }).collect_view()}
        </nav>
        <div class="board" role="region" tabindex="0" aria-label=label node_ref=element on:keydown=keyed>{children()}</div>
    }
    .into_any()
}

/// A stage: name, summary and cards.
#[component]
pub fn Stage(#[prop(into)] name: String, #[prop(into)] meta: Signal<String>, children: Children) -> impl IntoView {
    view! {
        <section class="lane" id=id_of(&name) aria-label=name.clone()>
            <header><div class="row"><h2>{name.clone()}</h2><span class="meta">{move || meta.get()}</span></div></header>
            <ul>{children()}</ul>
        </section>
    }
    .into_any()
}

/// An app in a stage.
#[component]
pub fn StageCard(
    #[prop(into)] name: String,
    #[prop(into)] href: String,
    #[prop(into)] tone: Signal<Tone>,
    #[prop(into)] word: Signal<String>,
    children: Children,
) -> impl IntoView {
    view! {
        <li class="kc">
            <div class="ti"><a class="name clip" href=href>{name}</a><Status tone word/></div>
            {children()}
        </li>
    }
    .into_any()
}

fn id_of(name: &str) -> String {
    format!("stage-{}", name.to_ascii_lowercase().replace(' ', "-"))
}

/// The matches of a selector in `of`, in order.
fn all(of: &Element, selector: &str) -> Vec<Element> {
    let Ok(found) = of.query_selector_all(selector) else { return Vec::new() };
    (0..found.length()).filter_map(|i| found.item(i)?.dyn_into().ok()).collect()
}

/// Moves the focus by stages and cards. Returns whether it moved.
fn step(board: &Element, across: i32, down: i32) -> bool {
    let stages: Vec<Vec<Element>> = all(board, ".lane").iter().map(|lane| all(lane, ".kc .name")).collect();
    let focused = document().active_element();
    let place = stages
        .iter()
        .enumerate()
        .find_map(|(stage, cards)| Some((stage, cards.iter().position(|card| Some(card) == focused.as_ref())?)));
    let heights: Vec<usize> = stages.iter().map(Vec::len).collect();
    let Some((stage, card)) = next(&heights, place, across, down) else { return false };
    stages[stage][card].dyn_ref::<HtmlElement>().is_some_and(|card| card.focus().is_ok())
}

/// The stage and card to go to from `place`; stages have `heights` cards, and empty ones are skipped.
fn next(heights: &[usize], place: Option<(usize, usize)>, across: i32, down: i32) -> Option<(usize, usize)> {
    let Some((stage, card)) = place else {
        return heights.iter().position(|height| *height > 0).map(|stage| (stage, 0));
    };
    if down != 0 {
        let card = card.checked_add_signed(down as isize).filter(|card| *card < heights[stage])?;
        return Some((stage, card));
    }
    let mut to = stage;
    loop {
        to = to.checked_add_signed(across as isize).filter(|to| *to < heights.len())?;
        if heights[to] > 0 {
            return Some((to, card.min(heights[to] - 1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{id_of, next};

    #[test]
    fn arrows_skip_empty_stages_and_stop_at_the_ends() {
        let heights = [2, 0, 1];
        assert_eq!(next(&heights, None, 0, 1), Some((0, 0)));
        assert_eq!(next(&heights, Some((0, 1)), 1, 0), Some((2, 0)));
        assert_eq!(next(&heights, Some((2, 0)), -1, 0), Some((0, 0)));
        assert_eq!(next(&heights, Some((2, 0)), 1, 0), None);
        assert_eq!(next(&heights, Some((0, 0)), 0, 1), Some((0, 1)));
        assert_eq!(next(&heights, Some((0, 1)), 0, 1), None);
        assert_eq!(next(&[0, 0], None, 0, 1), None);
    }

    #[test]
    fn stages_have_ids() {
        assert_eq!(id_of("Review apps"), "stage-review-apps");
    }
}
