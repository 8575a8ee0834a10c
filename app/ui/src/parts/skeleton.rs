//! Placeholders for loading data: the same geometry, invisible for the first moment.

use leptos::prelude::*;

/// `lines` rows of a list that is loading.
#[component]
pub fn Skeleton(lines: usize) -> impl IntoView {
    let widths = ["62%", "48%", "55%", "40%"];
    view! {
        <div class="stack g4 sk-wait" role="status" aria-busy="true" aria-label="Loading">
            {(0..lines)
                .map(|i| {
                    view! {
                        <div class="row g3">
                            <div class="stack" style="flex:1;gap:7px">
                                <div class="sk" style=format!("width:{}", widths[i % 4])></div>
                                <div class="sk" style=format!("height:8px;width:{}", widths[(i + 3) % 4])></div>
                            </div>
                            <div class="sk" style="width:64px"></div>
                        </div>
                    }
                })
                .collect_view()}
        </div>
    }
    .into_any()
}
