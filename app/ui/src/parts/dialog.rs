//! Dialogs: native ones, which trap the keyboard focus and restore it.

use crate::parts::Show;
use leptos::{html, prelude::*};

/// A confirmation with its consequences. `open` opens it and reflects its state.
#[component]
pub fn Dialog(
    open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    /// One line below the title.
    #[prop(into, optional)]
    lead: Signal<String>,
    /// The content; created each time it opens.
    #[prop(into)]
    body: ViewFn,
    /// The buttons.
    #[prop(into)]
    foot: ViewFn,
) -> impl IntoView {
    let element = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let (Some(dialog), wanted) = (element.get(), open.get()) else { return };
        if wanted && !dialog.open() {
            let _ = dialog.show_modal();
        } else if !wanted && dialog.open() {
            dialog.close();
        }
    });
    let foot = StoredValue::new(foot);
    let body = StoredValue::new(body);
    view! {
        <dialog class="dialog" node_ref=element aria-label=move || title.get() on:close=move |_| open.set(false)>
            <Show when=move || open.get()>
                <div class="dh">
                    <div>
                        <h2>{move || title.get()}</h2>
                        <p class="small dim">{move || lead.get()}</p>
                    </div>
                </div>
                <div class="bd">{body.with_value(|body| body.run())}</div>
                <div class="dt">
                    <span class="push"></span>
                    <button class="btn gho" type="button" on:click=move |_| open.set(false)>"Cancel"</button>
                    {foot.with_value(|foot| foot.run())}
                </div>
            </Show>
        </dialog>
    }
    .into_any()
}
