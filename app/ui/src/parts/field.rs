//! A text field of a form.

use leptos::prelude::*;

/// A field with its label and a hint below it.
pub fn field(
    id: &'static str,
    label: &'static str,
    kind: &'static str,
    value: RwSignal<String>,
    hint: &'static str,
) -> AnyView {
    let described = format!("{id}-hint");
    view! {
        <div class="field" style="flex:1 1 220px">
            <label for=id>{label}</label>
            <input class="input" id=id type=kind autocomplete="off" autocapitalize="none" spellcheck="false"
                aria-describedby=described.clone()
                prop:value=move || value.get() value=value.get_untracked() on:input=move |ev| value.set(event_target_value(&ev))/>
            <span class="hint" id=described>{hint}</span>
        </div>
    }
    .into_any()
}
