//! Whether something on the page was not found: that is the page's title for as long as it is shown.
//!
//! It does not have a `Title` of its own, because one that is rendered again would stay when it is gone.

use leptos::prelude::*;

use crate::Answer;

/// How many parts of the page show that something was not found.
#[derive(Clone)]
pub struct Missing(ArcRwSignal<usize>);

impl Missing {
    /// To be called by the root of all pages.
    pub fn provide() -> Self {
        let missing = Self(ArcRwSignal::new(0));
        provide_context(missing.clone());
        missing
    }

    /// That of this page.
    pub fn of_page() -> Self {
        use_context().unwrap_or_else(|| Self(ArcRwSignal::new(0)))
    }

    /// Counts the part that is being rendered until it is gone. On the server it stays, because the title is written last.
    pub fn note() {
        let Self(count) = Self::of_page();
        count.update(|count| *count += 1);
        if use_context::<Answer>().is_none() {
            on_cleanup(move || count.update(|count| *count = count.saturating_sub(1)));
        }
    }

    /// The title of a page that is otherwise called `title`.
    pub fn or(&self, title: impl FnOnce() -> String) -> String {
        if self.0.get() > 0 { "Not found".to_owned() } else { title() }
    }
}

#[cfg(test)]
mod tests {
    use leptos::reactive::owner::Owner;

    use super::*;

    #[test]
    fn the_title_of_the_page_comes_back_when_nothing_is_missing_any_more() {
        Owner::new().with(|| {
            let missing = Missing::provide();
            let title = || missing.or(|| "Teams".to_owned());
            let parts = [Owner::new(), Owner::new()];
            assert_eq!(title(), "Teams");
            for part in &parts {
                // Rendered again.
                part.with(Missing::note);
                part.cleanup();
                part.with(Missing::note);
                assert_eq!(title(), "Not found");
            }
            parts[0].cleanup();
            assert_eq!(title(), "Not found");
            parts[1].cleanup();
            assert_eq!(title(), "Teams");
            provide_context(Answer::new(|_| ()));
            parts[0].with(Missing::note);
            parts[0].cleanup();
            assert_eq!(title(), "Not found");
        });
    }
}
