//! Sign in: by a link that works once.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use crate::parts::{Cmd, Glyph, Icon};

/// `/login`, and where a link leads that does not work: `/login?error=…`.
#[component]
pub fn LoginPage() -> impl IntoView {
    let query = use_query_map();
    let error = move || {
        query.with(|q| q.get("error")).map(|why| match why.as_str() {
            "expired" => "This link is too old. Make a new one: a link works for 30 minutes.",
            "used" => "This link was used already. It works once; make a new one.",
            _ => "This link does not work. It may be too old or was used already; make a new one.",
        })
    };
    view! {
        <Title text="Sign in"/>
        <div class="login">
            <main id="main">
                <div class="lbox">
                    <div class="stack g3">
                        <span class="logo"><Icon name="logo"/></span>
                        <h1 style="font-size:1.5rem">"Sign in to Wharf"</h1>
                        <p class="dim small">"With a link that works once. There is no password to forget."</p>
                    </div>
                    {move || error().map(|why| view! {
                        <div class="notes" role="alert"><div class="note bad"><Glyph name="bad"/><span>{why}</span></div></div>
                    })}
                    <div class="card" style="box-shadow:var(--shadow-2)">
                        <div class="in stack g3 small">
                            <p>"On the machine that runs Wharf, print a link and open it in this browser:"</p>
                            <Cmd line="wharfd login-link".to_owned()/>
                            <p class="meta">"It works once, for 30 minutes. Starting the platform prints one too."</p>
                        </div>
                    </div>
                    <p class="meta">"Signed in elsewhere already? Make a link for this browser on the account page there."</p>
                </div>
            </main>
            <Harbour/>
        </div>
    }
    .into_any()
}

/// Water below a pier: the one picture in the console.
#[component]
fn Harbour() -> impl IntoView {
    let wave = |y: f64| {
        let mut path = format!("M-80 {y}");
        for _ in 0..20 {
            path.push_str(" q20 -8 40 0 t40 0");
        }
        path
    };
    view! {
        <svg class="harbour" viewBox="0 0 1440 360" preserveAspectRatio="xMaxYMax slice" aria-hidden="true">
            <g fill="none" stroke="var(--accent-line)" stroke-width="1.5">
                {(0..9).map(|i| view! {
                    <path d=wave(170.0 + f64::from(i) * 22.0) transform=format!("translate({} 0)", -(i * 37) % 80) opacity=format!("{:.2}", 0.95 - f64::from(i) * 0.09)></path>
                }).collect_view()}
            </g>
            <g stroke="var(--accent-fill)" fill="none">
                <path d="M940 72H1440" stroke-width="9"></path>
                {(0..7).map(|i| {
                    let x = if i == 0 { 980 } else { 980 + i * 66 };
                    view! { <path d=format!("M{x} 76V{}", 168 + i * 9) stroke-width="7"></path> }
                }).collect_view()}
            </g>
        </svg>
    }
    .into_any()
}
