//! Renders pages: access to them, the files that they load, and their content security policies.

use api::Client;
use app::Answer;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use identity::{CookieCheck, CookieGuard};
use leptos::{nonce::use_nonce, prelude::*};
use leptos_axum::ResponseOptions;
use tower_http::compression::CompressionLayer;

use super::{assets, forms, headers, transport::InProcess};

/// Everything except the API: files and pages. Pages call `api`; `guard` checks their cookies first.
pub fn router(api: Router, guard: CookieGuard) -> Router {
    // Also starts the executor that rendering needs, which cannot be started otherwise.
    leptos_axum::generate_route_list(NoApp);
    let pages = forms::router().fallback(page).layer(CompressionLayer::new()).with_state(api);
    Router::new().fallback(move |request: Request| {
        let (pages, guard) = (pages.clone(), guard.clone());
        async move {
            if let Some(file) = assets::serve(request.uri().path(), request.headers()) {
                return file;
            }
            let navigates = matches!(*request.method(), Method::GET | Method::HEAD);
            match guard.check(request.headers(), request.uri().path(), navigates) {
                CookieCheck::Passed => super::answer(pages, request).await,
                CookieCheck::Ambiguous(cookies) => with(cookies, injected_session()),
                CookieCheck::Unproven(cookies) => with(cookies, again(request.uri())),
            }
        }
    })
}

fn with(cookies: Vec<HeaderValue>, mut response: Response) -> Response {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    headers::protect(response.headers_mut());
    response
}

/// Redirects the browser to the same page, without cookies that others have set.
fn again(uri: &Uri) -> Response {
    let wanted = uri.path_and_query().map_or("/", |pq| pq.as_str());
    // Two slashes would refer to another host.
    let to = if wanted.starts_with("//") { "/" } else { wanted };
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

/// Warns a visitor that another site has set a session cookie. The response removes the cookies.
fn injected_session() -> Response {
    let document = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Session removed · Wharf</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"stylesheet\" href=\"{}\"></head>\
         <body><main class=\"page\"><h1>Another site has set a session cookie for this one</h1><p role=\"alert\">Your \
         browser sent two session cookies, so an app on this domain has set one, perhaps to make you work in somebody \
         else's account. It was removed, and nothing was changed.</p><p><a class=\"ul\" href=\"/apps\">Continue</a>, \
         and check which account you are signed in to. An administrator can prevent this with TLS, or with a separate \
         domain for apps.</p>\
         </main></body></html>",
        assets::css()
    );
    let policy = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'";
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy)];
    (StatusCode::FORBIDDEN, headers, document).into_response()
}

#[component]
fn NoApp() -> impl IntoView {}

async fn page(State(api): State<Router>, request: Request) -> Response {
    let client = Client::new(InProcess::new(api, request.headers()));
    // The response to this form redirects the browser to the client, which the browser counts as a target of the form,
    // too. The server knows the target; the policy of a page does not yet.
    let targets = if request.uri().path() == CONSENT { "" } else { "form-action 'self'; " };
    if !is_open(request.uri().path()) && is_stranger(&client).await {
        return to_sign_in(&request);
    }
    let context = move || {
        provide_context(client.clone());
        let Some(options) = use_context::<ResponseOptions>() else { return };
        if let Some(policy) = use_nonce().and_then(|nonce| HeaderValue::from_str(&policy(&nonce, targets)).ok()) {
            options.insert_header(header::CONTENT_SECURITY_POLICY, policy);
        }
        provide_context(Answer::new(move |status| {
            if let Ok(status) = StatusCode::from_u16(status) {
                options.set_status(status);
            }
        }));
    };
    let assets = assets::of_page(request.uri().path());
    let document = move || app::shell(assets.clone());
    let holds_secret = is_link(request.uri().path());
    let mut response = leptos_axum::render_app_async_with_context(context, document)(request).await;
    headers::protect(response.headers_mut());
    if holds_secret {
        // Its URL is not sent to anybody, including this server; the form still sends its origin.
        response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
    }
    response
}

/// The page on which users authorize an OAuth client.
const CONSENT: &str = "/oauth/authorize";

/// Pages for people who are not signed in.
fn is_open(path: &str) -> bool {
    path.trim_end_matches('/') == "/login" || is_link(path)
}

/// Whether `path` is that of a one-time sign-in link.
fn is_link(path: &str) -> bool {
    path.strip_prefix("/login/").is_some_and(|secret| !secret.is_empty())
}

/// Whether the API reports that nobody is signed in. If the request fails, the page shows why.
async fn is_stranger(client: &Client) -> bool {
    client.account_info().await.is_err_and(|err| err.status == 401)
}

fn to_sign_in(request: &Request) -> Response {
    let wanted = request.uri().path_and_query().map_or("/", |pq| pq.as_str());
    // Two slashes would refer to another host.
    let to = match wanted.starts_with("//") || wanted == "/" {
        true => "/login".to_owned(),
        false => format!("/login?next={}", api::client::segment(wanted)),
    };
    let headers = [
        (header::LOCATION, to.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept, authorization, cookie"),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Allows only what the page names and this server has. Charts position text by inline style.
fn policy(nonce: &str, targets: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic' 'wasm-unsafe-eval'; style-src 'self'; \
         style-src-attr 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
         {targets}frame-ancestors 'none'; base-uri 'none'"
    )
}
