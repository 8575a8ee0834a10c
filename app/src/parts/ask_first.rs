//! A button that asks first: what it does happens once its consequences were read.

use leptos::prelude::*;

use super::{ActButton, Dialog, Glyph};

/// What is asked before something is taken away, and what is done then.
#[component]
pub fn AskFirst(
    /// The verb, on the button and on the one that goes on: `Remove`.
    verb: &'static str,
    /// What it is done to, for the question and for those who hear the button alone.
    #[prop(into)]
    what: String,
    /// Asked instead of verb and object, where these make no question.
    #[prop(into, optional)]
    question: Option<String>,
    /// What will happen, a sentence each.
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
