//! A keyed list: Leptos's `For`, compiled once for all item types, so that browsers load it once instead of once per
//! list.

use std::{fmt::Debug, sync::Arc};

use leptos::prelude::*;

struct Item {
    key: String,
    draw: Box<dyn FnOnce() -> AnyView + Send>,
}

/// Renders each item of `each` with `children`; items with an existing `key` are kept.
#[component]
pub fn Each<T, K, V>(
    each: impl Fn() -> Vec<T> + Send + Sync + 'static,
    key: impl Fn(&T) -> K + Send + Sync + 'static,
    children: impl Fn(T) -> V + Send + Sync + 'static,
) -> impl IntoView
where
    T: Send + 'static,
    K: Debug,
    V: IntoView + 'static,
{
    let children = Arc::new(children);
    let item = move |item: T| {
        let (key, children) = (format!("{:?}", key(&item)), children.clone());
        Item { key, draw: Box::new(move || children(item).into_any()) }
    };
    list(Box::new(move || each().into_iter().map(&item).collect()))
}

fn list(items: Box<dyn Fn() -> Vec<Item> + Send + Sync>) -> AnyView {
    view! { <For each=items key=|item| item.key.clone() children=|item| (item.draw)()/> }.into_any()
}
