//! Conditional content: Leptos's `Show`, compiled once for all contents, so that browsers load it once.

use leptos::{
    children::{ChildrenFn, ViewFn},
    prelude::*,
};

/// Renders `children` while `when` is true, and `fallback` otherwise.
#[component]
pub fn Show(
    children: ChildrenFn,
    when: impl Fn() -> bool + Send + Sync + 'static,
    #[prop(optional, into)] fallback: ViewFn,
) -> impl IntoView {
    shown(Box::new(when), children, fallback)
}

fn shown(when: Box<dyn Fn() -> bool + Send + Sync>, children: ChildrenFn, fallback: ViewFn) -> AnyView {
    let when = Memo::new(move |_| when());
    (move || if when.get() { children() } else { fallback.run() }).into_any()
}
