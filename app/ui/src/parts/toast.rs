//! Toasts: the outcome of an action that the page itself does not show.

use std::time::Duration;

use api::Error;
use leptos::prelude::*;

use super::{Each, Glyph, Icon, Tone};

#[derive(Clone, Debug)]
struct Toast {
    id: u32,
    tone: Tone,
    title: String,
    detail: String,
}

/// The toasts of the page.
#[derive(Clone, Copy)]
pub struct Toasts(RwSignal<Vec<Toast>>);

/// Creates the page's toasts and provides them through the context.
pub(super) fn provide() {
    provide_context(Toasts(RwSignal::new(Vec::new())));
}

impl Toasts {
    /// The toasts of this page.
    pub fn of_page() -> Self {
        expect_context()
    }

    /// Shows a success. Disappears by itself.
    pub fn done(self, title: impl Into<String>) {
        let id = self.add(Tone::Ok, title.into(), String::new());
        set_timeout(move || self.close(id), Duration::from_secs(6));
    }

    /// Shows an error. Stays until it is closed.
    pub fn failed(self, title: impl Into<String>, error: &Error) {
        let id = error.request_id.as_ref().map(|id| format!(" Request {id}.")).unwrap_or_default();
        self.add(Tone::Bad, title.into(), format!("{}{id}", error.message));
    }

    fn add(self, tone: Tone, title: String, detail: String) -> u32 {
        let id = self.0.with_untracked(|all| all.last().map_or(1, |last| last.id + 1));
        self.0.update(|all| {
            all.push(Toast { id, tone, title, detail });
            if all.len() > 4 {
                all.remove(0);
            }
        });
        id
    }

    fn close(self, id: u32) {
        let _ = self.0.try_update(|all| all.retain(|toast| toast.id != id));
    }
}

/// Where toasts appear.
#[component]
pub fn ToastStack() -> impl IntoView {
    let toasts = Toasts::of_page();
    view! {
        <div class="toasts" aria-live="polite">
            <Each each=move || toasts.0.get() key=|toast| toast.id let:toast>
                <div class=format!("toast {}", toast.tone.name()) role=if toast.tone == Tone::Bad { "alert" } else { "status" }>
                    <Glyph name=toast.tone.name()/>
                    <div style="flex:1;min-width:0">
                        <b>{toast.title.clone()}</b>
                        {(!toast.detail.is_empty()).then(|| view! { <div class="dim">{toast.detail.clone()}</div> })}
                    </div>
                    <button class="btn gho sm ico" type="button" aria-label="Close" on:click=move |_| toasts.close(toast.id)>
                        <Icon name="x" size="i-s"/>
                    </button>
                </div>
            </Each>
        </div>
    }
    .into_any()
}
