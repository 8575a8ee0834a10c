//! A button with a confirmation dialog that lists the consequences.

use leptos::prelude::*;

use super::{ActButton, Dialog, Glyph};

/// The button, its confirmation and its action.
#[component]
pub fn ConfirmDialog(
    /// The verb on the button and on the confirmation button: `Remove`.
    verb: &'static str,
    /// The object, for the question and for screen readers.
    #[prop(into)]
    what: String,
    /// The question, if it is not just verb and object.
    #[prop(into, optional)]
    question: Option<String>,
    /// The consequences, one sentence each.
    effects: Vec<String>,
    busy: RwSignal<bool>,
    on_click: Callback<()>,
) -> impl IntoView {
    let open = RwSignal::new(false);
    let go = Callback::new(move |()| {
        open.set(false);
        on_click.run(());
    });
    let title = question.unwrap_or_else(|| format!("{verb} {what}?"));
    let effects = StoredValue::new(effects);
    view! {
        <ActButton class="btn gho sm dgr".to_owned() busy on_click=Callback::new(move |()| open.set(true))>
            {verb}<span class="vh">" "{what}</span>
        </ActButton>
        <Dialog open title body=move || view! {
            <ul class="effects">
                {effects.get_value().into_iter().map(|effect| view! { <li class="warn"><Glyph name="warn"/><span>{effect}</span></li> }).collect_view()}
            </ul>
        } foot=move || view! { <ActButton class="btn dgr pri".to_owned() busy on_click=go>{verb}</ActButton> }/>
    }
    .into_any()
}
