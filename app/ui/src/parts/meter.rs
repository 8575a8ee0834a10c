//! A value against its limit, as a bar. Always shown with its number.

use leptos::prelude::*;

/// `value` of `limit`, as a bar.
#[component]
pub fn Meter(
    #[prop(into)] label: String,
    #[prop(into)] value: Signal<f64>,
    #[prop(into)] limit: Signal<f64>,
) -> impl IntoView {
    let part = move || if limit.get() > 0.0 { (value.get() / limit.get() * 100.0).clamp(0.0, 100.0) } else { 0.0 };
    let class = move || match part() {
        p if p >= 95.0 => "meter bad",
        p if p >= 85.0 => "meter warn",
        _ => "meter",
    };
    view! {
        <div
            class=class
            role="meter"
            aria-label=label
            aria-valuemin="0"
            aria-valuemax="100"
            aria-valuenow=move || format!("{:.0}", part())
            style=move || format!("--v:{:.1}", part())
        ></div>
    }
    .into_any()
}
