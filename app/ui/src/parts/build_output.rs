//! The live output of a build: lines are written directly to the document.

use api::{ids::BuildId, live::Topic};
use leptos::{html, prelude::*};

use super::{LiveMark, Show};
use crate::{
    live::{Live, Message},
    words,
};

/// Maximum number of lines on the page; the plain output has all of them.
const MOST_LINES: usize = 20_000;

/// The class of a line: heading, problem, command.
fn class_of(line: &str) -> &'static str {
    let text = line.trim_start();
    match text {
        _ if line.starts_with("----->") => "h",
        _ if text.starts_with('!') || text.starts_with("error") || text.starts_with("Error") => "e",
        _ if text.starts_with("warning") || text.starts_with("WARN") || text.starts_with("npm warn") => "w",
        _ if text.starts_with('$') || text.starts_with("> ") => "c",
        _ => "",
    }
}

fn append(pre: &web_sys::HtmlElement, line: &str) {
    let document = document();
    let Ok(span) = document.create_element("span") else { return };
    let class = class_of(line);
    if !class.is_empty() {
        span.set_class_name(class);
    }
    span.set_text_content(Some(&format!("{}\n", super::ansi::strip(line.trim_end_matches('\n')))));
    let _ = pre.append_child(&span);
}

/// The terminal of one build.
#[component]
pub fn BuildOutput(
    app: String,
    id: BuildId,
    /// Pixels.
    height: u32,
) -> impl IntoView {
    let pre = NodeRef::<html::Pre>::new();
    let term = NodeRef::<html::Div>::new();
    let lines = RwSignal::new(0usize);
    let follow = RwSignal::new(true);
    let over = RwSignal::new(false);
    let live = Live::of_page();
    Effect::new(move |_| {
        let topic = Topic::Build { app: app.clone(), build: id, after: None };
        let credit = StoredValue::new(None::<crate::live::Subscription>);
        let subscription = live.subscribe(topic, move |message| match message {
            Message::Lines(json) => {
                let Ok(new) = serde_json::from_str::<Vec<String>>(json) else { return };
                let Some(pre) = pre.try_get_untracked().flatten() else { return };
                let room = MOST_LINES.saturating_sub(lines.try_get_untracked().unwrap_or(MOST_LINES));
                for line in new.iter().take(room) {
                    append(&pre, line);
                }
                let _ = lines.try_update(|n| *n += new.len());
                credit.try_with_value(|s| {
                    if let Some(s) = s {
                        s.credit(new.len() as u32)
                    }
                });
                if follow.try_get_untracked() == Some(true) {
                    request_animation_frame(move || {
                        if let Some(Some(term)) = term.try_get_untracked() {
                            term.set_scroll_top(term.scroll_height());
                        }
                    });
                }
            }
            Message::End | Message::Failed(_) => {
                over.try_set(true);
            }
            Message::Value(_) | Message::Dropped(_) => {}
        });
        credit.set_value(Some(subscription));
    });
    let scrolled = move |_| {
        if let Some(term) = term.get_untracked() {
            follow.set(term.scroll_top() + term.client_height() >= term.scroll_height() - 8);
        }
    };
    let to_end = move |_| {
        follow.update(|f| *f = !*f);
        if let (true, Some(term)) = (follow.get_untracked(), term.get_untracked()) {
            term.set_scroll_top(term.scroll_height());
        }
    };
    view! {
        <section class="sec" aria-label="Build output">
            <div class="sec-h">
                <h2>"Output"</h2>
                <Show when=move || !over.get()><LiveMark/></Show>
                <span class="push meta">{move || words::count(lines.get(), "line", "lines")}</span>
                <button class="btn sm" type="button" aria-pressed=move || follow.get().to_string() on:click=to_end>
                    <super::Icon name="down" size="i-s"/>
                    "Follow"
                </button>
            </div>
            <div class="term" tabindex="0" role="log" aria-live="off" aria-label="Build output"
                style=format!("height:{height}px") node_ref=term on:scroll=scrolled>
                <pre node_ref=pre></pre>
            </div>
        </section>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::class_of;

    #[test]
    fn lines_are_classified() {
        assert_eq!(class_of("-----> Node.js app detected"), "h");
        assert_eq!(class_of(" !     Push rejected"), "e");
        assert_eq!(class_of("       added 3 packages"), "");
    }
}
