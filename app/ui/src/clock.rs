//! One clock for the whole page.
//!
//! The server's time is part of the page, so that both sides render the same text; then the
//! browser's clock takes over. Times are in UTC until the browser's time zone is known.

use std::time::Duration as Span;

use chrono::{DateTime, Utc};
use leptos::prelude::*;

/// The clock of the page, ticking once a second in the browser.
#[derive(Clone, Copy)]
pub struct Clock {
    now: RwSignal<i64>,
    offset: RwSignal<i32>,
}

impl Clock {
    /// Creates the page's clock and provides it through the context.
    pub fn provide() {
        let start = SharedValue::new(|| Utc::now().timestamp_millis()).into_inner();
        let clock = Self { now: RwSignal::new(start), offset: RwSignal::new(0) };
        // Effects run in the browser only, after hydration.
        Effect::new(move |_| {
            clock.offset.set(Self::offset_now());
            clock.now.set(Utc::now().timestamp_millis());
            let ticking =
                set_interval_with_handle(move || clock.now.set(Utc::now().timestamp_millis()), Span::from_secs(1));
            if let Ok(ticking) = ticking {
                on_cleanup(move || ticking.clear());
            }
        });
        provide_context(clock);
    }

    /// The clock of this page.
    pub fn of_page() -> Self {
        expect_context::<Self>()
    }

    /// The current time, tracked.
    pub fn now(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.now.get()).unwrap_or_default()
    }

    /// The current time, untracked.
    pub fn now_untracked(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.now.get_untracked()).unwrap_or_default()
    }

    /// `at` in the reader's local time; the time zone is omitted on purpose.
    pub fn local(self, at: DateTime<Utc>) -> chrono::NaiveDateTime {
        at.naive_utc() + chrono::Duration::minutes(self.offset.get().into())
    }

    /// Minutes from UTC to the reader's zone, in the browser.
    pub fn offset_now() -> i32 {
        -(js_sys::Date::new_0().get_timezone_offset() as i32)
    }
}
