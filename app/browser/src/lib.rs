//! The WASM entry point: hydrates the page.
#![cfg(target_arch = "wasm32")]

mod fetch;
mod socket;

use std::sync::Arc;

use leptos::prelude::*;
use wasm_bindgen::prelude::wasm_bindgen;

#[cfg(not(any(erase_components, doc)))]
compile_error!("The server renders pages with --cfg erase_components (.cargo/config.toml), which RUSTFLAGS overrides.");

/// Called once by the page's script when the module is ready. If a bundle fails to load, the page
/// stays as rendered by the server, with ordinary links.
#[wasm_bindgen]
pub async fn hydrate() {
    // Without it a panic reports only "unreachable".
    if cfg!(debug_assertions) {
        std::panic::set_hook(Box::new(|panic| web_sys::console::error_1(&panic.to_string().into())));
    }
    let path = web_sys::window().and_then(|window| window.location().pathname().ok());
    if !app::bundles::load(&path.unwrap_or_default()).await {
        return;
    }
    leptos::mount::hydrate_body(|| {
        provide_context(api::Client::new(fetch::Fetch));
        provide_context(app::prefetch::PrefetchClient(api::Client::new(fetch::Prefetch)));
        provide_context::<Arc<dyn app::live::Socket>>(Arc::new(socket::OneSocket::new()));
        view! { <app::App/> }
    });
}
