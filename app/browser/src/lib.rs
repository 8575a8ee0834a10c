//! The WASM entry point: takes up the page that the server has sent.
#![cfg(target_arch = "wasm32")]

mod fetch;
mod socket;

use std::sync::Arc;

use leptos::prelude::*;
use wasm_bindgen::prelude::wasm_bindgen;

/// Called once by the page's script when the module is ready.
#[wasm_bindgen]
pub fn hydrate() {
    // Without it a panic says nothing but "unreachable".
    if cfg!(debug_assertions) {
        std::panic::set_hook(Box::new(|panic| web_sys::console::error_1(&panic.to_string().into())));
    }
    leptos::mount::hydrate_body(|| {
        provide_context(api::Client::new(fetch::Fetch));
        provide_context(app::prefetch::Ahead(api::Client::new(fetch::Ahead)));
        provide_context::<Arc<dyn app::live::Socket>>(Arc::new(socket::OneSocket::new()));
        view! { <app::App/> }
    });
}
