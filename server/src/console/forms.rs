//! Forms as browsers send them without JavaScript: the ones that somebody cannot do without.
//!
//! Each becomes the same request to the API that the page's script would have made, with the
//! visitor's cookie and `Origin`, and leads on to the page that shows the outcome.

use std::collections::BTreeMap;

use api::{Client, Error, apps::AppCreate, client::segment};
use axum::{
    Form, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;

use super::{assets, pages, transport::InProcess};

/// Where forms lead. No page and nothing of the API begins like this.
pub const PREFIX: &str = "/forms/";

/// The forms; `api` is asked.
pub fn router() -> Router<Router> {
    Router::new()
        .route("/forms/apps", post(app_create))
        .route("/forms/apps/{app}/config-vars", post(config_vars_update))
}

#[derive(Deserialize)]
struct NewApp {
    #[serde(default)]
    name: String,
    #[serde(default)]
    sample: String,
}

async fn app_create(State(api): State<Router>, headers: HeaderMap, Form(form): Form<NewApp>) -> Response {
    let client = Client::new(InProcess::new(api, &headers));
    let name = Some(form.name.trim().to_owned()).filter(|n| !n.is_empty());
    let app = match client.app_create(&AppCreate { name, ..AppCreate::default() }).await {
        Ok(app) => app.name.to_string(),
        Err(error) => return refused(&error, "/apps/new"),
    };
    let page = format!("/apps/{}", segment(&app));
    if !form.sample.is_empty()
        && let Err(error) = client.sample_deploy(&app, &form.sample).await
    {
        return refused(&error, &page);
    }
    on_to(&page)
}

#[derive(Deserialize)]
struct NewVar {
    key: String,
    #[serde(default)]
    value: String,
}

async fn config_vars_update(
    State(api): State<Router>,
    headers: HeaderMap,
    Path(app): Path<String>,
    Form(form): Form<NewVar>,
) -> Response {
    let client = Client::new(InProcess::new(api, &headers));
    let page = format!("/apps/{}/settings", segment(&app));
    let update = BTreeMap::from([(form.key.trim().to_owned(), Some(form.value))]);
    match client.config_vars_update(&app, &update).await {
        Ok(_) => on_to(&page),
        Err(error) => refused(&error, &page),
    }
}

fn on_to(page: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, page)]).into_response()
}

/// A page without anything that moves: what was refused, and the way back.
fn refused(error: &Error, back: &str) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let why = error.message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let document = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Not done · Wharf</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"stylesheet\" href=\"{}\"></head>\
         <body><main class=\"page\"><h1>Not done</h1><p role=\"alert\">{why}</p>\
         <p><a class=\"ul\" href=\"{back}\">Back to the form</a></p></main></body></html>",
        assets::css()
    );
    let policy = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'";
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy)];
    let mut response = (status, headers, document).into_response();
    pages::protect(response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_refused_is_text() {
        let error = Error::new(422, "invalid_params", "<b>no</b> & never");
        let response = refused(&error, "/apps/new");
        assert_eq!(response.status(), 422);
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("&lt;b&gt;no&lt;/b&gt; &amp; never"));
    }
}
