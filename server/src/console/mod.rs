//! Serves the console next to the API: on one host, one port, one socket.
//!
//! A request is for the API or for a page (`dispatch`). Pages are rendered here, by calling the API in process on
//! behalf of the visitor (`transport`), and their files are embedded in the executable (`assets`).

#[cfg(not(any(erase_components, doc)))]
compile_error!("The console is rendered with --cfg erase_components (.cargo/config.toml), which RUSTFLAGS overrides.");

mod assets;
mod dispatch;
mod forms;
mod headers;
mod pages;
mod transport;

use axum::{Router, extract::Request, response::Response};
use identity::CookieGuard;
use tower::ServiceExt;

pub use self::assets::{Embedded, embed};
use self::dispatch::For;

/// Everything that the server serves: the API and the pages.
pub fn service(api: Router, domain: &str, guard: CookieGuard) -> Router {
    let api_host = format!("api.{domain}");
    let pages = pages::router(api.clone(), guard);
    Router::new().fallback(move |request: Request| {
        let service = match dispatch::of(&request, &api_host) {
            For::Api => api.clone(),
            For::Page => pages.clone(),
        };
        answer(service, request)
    })
}

async fn answer(service: Router, request: Request) -> Response {
    let Ok(response) = service.oneshot(request).await;
    response
}
