//! The time that a page shows: one clock for all of it.
//!
//! The server's time goes into the page, so that both sides write the same words; then the
//! browser's clock takes over. Times are UTC until the browser has told its zone.

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
    /// Makes the page's clock and provides it by context.
    pub(crate) fn provide() {
        let start = SharedValue::new(|| Utc::now().timestamp_millis()).into_inner();
        let clock = Self { now: RwSignal::new(start), offset: RwSignal::new(0) };
        // Effects run in the browser only, after the page has been taken up.
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

    /// What time it is; whoever reads it is told when it changes.
    pub fn now(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.now.get()).unwrap_or_default()
    }

    /// What time it is, without being told when it changes.
    pub fn now_untracked(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.now.get_untracked()).unwrap_or_default()
    }

    /// `at` as the wall clock of the reader shows it; the zone is left out on purpose.
    pub fn local(self, at: DateTime<Utc>) -> chrono::NaiveDateTime {
        at.naive_utc() + chrono::Duration::minutes(self.offset.get().into())
    }

    /// Minutes from UTC to the reader's zone, in the browser.
    pub fn offset_now() -> i32 {
        -(js_sys::Date::new_0().get_timezone_offset() as i32)
    }
}
