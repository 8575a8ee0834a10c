//! The navigation of a paginated list: links, so that it works without scripts.

use leptos::prelude::*;
use leptos_router::{
    hooks::{use_location, use_query_map},
    params::ParamsMap,
};

use super::{Icon, Show};

/// Links to the next page of the list `name` and back to its first. Nothing for a list of one page.
#[component]
pub fn Pager(
    /// The list, as in [`crate::data::paged`].
    name: &'static str,
    /// The items: `tokens`.
    what: &'static str,
    /// The cursor of the next page.
    #[prop(into)]
    next: Signal<Option<String>>,
) -> impl IntoView {
    let (query, path) = (use_query_map(), use_location().pathname);
    let to = move |after: Option<String>| format!("{}{}#{name}", path.get(), query.with(|q| with(q, name, after)));
    let is_first = Memo::new(move |_| query.with(|q| q.get(name)).is_none());
    view! {
        <Show when=move || !is_first.get() || next.with(Option::is_some)>
            <nav class="row wrap pager" aria-label=format!("Pages of {what}")>
                <Show when=move || !is_first.get()>
                    <a class="btn sm" href=move || to(None)>{format!("First {what}")}</a>
                </Show>
                <Show when=move || next.with(Option::is_some)>
                    <a class="btn sm" href=move || to(next.get())>{format!("More {what}")}<Icon name="right" size="i-s"/></a>
                </Show>
            </nav>
        </Show>
    }
    .into_any()
}

/// The query with another position in the list `name`.
fn with(query: &ParamsMap, name: &'static str, after: Option<String>) -> String {
    let mut query = query.clone();
    query.remove(name);
    if let Some(after) = after {
        query.insert(name, after);
    }
    query.to_query_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paging_preserves_the_rest_of_the_url() {
        let mut query = ParamsMap::new();
        query.insert("q", "a b".into());
        // The server escapes all but letters and digits, a browser a little less: both lead to the same page.
        assert_eq!(with(&query, "rows", Some("x~1".into())), "?q=a%20b&rows=x%7E1");
        query.insert("rows", "old".into());
        assert_eq!(with(&query, "rows", Some("new".into())), "?q=a%20b&rows=new");
        assert_eq!(with(&query, "rows", None), "?q=a%20b");
        assert_eq!(with(&ParamsMap::new(), "rows", None), "");
    }
}
