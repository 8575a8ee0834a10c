//! The essential forms, which work without JavaScript.
//!
//! Each becomes the same API request that the page's script would have sent, with the visitor's cookie and `Origin`,
//! and redirects to the page that shows the outcome.

use std::collections::BTreeMap;

use api::{
    Client, Error,
    apps::AppCreate,
    client::{self, segment},
    passwords::{PasswordSignIn, SignedIn},
    sanitize,
    teams::TeamAppCreate,
};
use axum::{
    Router,
    body::to_bytes,
    extract::{FromRequest, Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use base::{body_budget::Authenticated, web::Form};
use serde::{Deserialize, de::DeserializeOwned};

use super::{assets, headers, transport::InProcess};

/// The prefix of form actions. No page and no API path begins with it.
pub const PREFIX: &str = "/forms/";

/// The forms; their requests go to `api`.
pub fn router() -> Router<Router> {
    Router::new()
        .route("/forms/apps", post(app_create))
        .route("/forms/apps/{app}/config-vars", post(config_vars_update))
        .route("/forms/account/identity-proposals/{proposal}/accept", post(identity_proposal_accept))
        .route("/forms/account/identity-proposals/{proposal}/refuse", post(identity_proposal_delete))
        .route("/forms/login", post(password_sign_in))
}

/// A form of somebody who is signed in, whose body then counts as theirs and not as that of an anonymous client.
struct VisitorForm<T>(T);

impl<T: DeserializeOwned> FromRequest<Router> for VisitorForm<T> {
    type Rejection = base::Error;

    async fn from_request(request: Request, api: &Router) -> Result<Self, base::Error> {
        let request = authenticated(request, api).await;
        Form::<T>::from_request(request, api).await.map(|Form(form)| Self(form))
    }
}

/// The request, marked as authenticated if `api` accepts its cookie. Whether the visitor may do what they ask for is
/// decided by the request that the form becomes.
async fn authenticated(mut request: Request, api: &Router) -> Request {
    let client = Client::new(InProcess::new(api.clone(), request.headers()));
    let has_cookie = request.headers().contains_key(header::COOKIE);
    if has_cookie && client.account_info().await.is_ok() {
        request.extensions_mut().insert(Authenticated);
    }
    request
}

#[derive(Deserialize)]
struct NewApp {
    #[serde(default)]
    name: String,
    #[serde(default)]
    sample: String,
    #[serde(default)]
    team: String,
}

async fn app_create(State(api): State<Router>, headers: HeaderMap, VisitorForm(form): VisitorForm<NewApp>) -> Response {
    let client = Client::new(InProcess::new(api, &headers));
    let name = Some(form.name.trim().to_owned()).filter(|n| !n.is_empty());
    let team = Some(form.team).filter(|team| !team.is_empty());
    let app = AppCreate { name, ..AppCreate::default() };
    let app = match client.team_app_create(&TeamAppCreate { app, team, ..TeamAppCreate::default() }).await {
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
    VisitorForm(form): VisitorForm<NewVar>,
) -> Response {
    let client = Client::new(InProcess::new(api, &headers));
    let page = format!("/apps/{}/settings", segment(&app));
    let update = BTreeMap::from([(form.key.trim().to_owned(), Some(form.value))]);
    outcome(client.config_vars_update(&app, &update).await, &page)
}

async fn identity_proposal_accept(
    State(api): State<Router>,
    headers: HeaderMap,
    Path(proposal): Path<String>,
) -> Response {
    let client = Client::new(InProcess::new(api, &headers));
    outcome(client.identity_proposal_accept(&proposal).await, "/account")
}

async fn identity_proposal_delete(
    State(api): State<Router>,
    headers: HeaderMap,
    Path(proposal): Path<String>,
) -> Response {
    let client = Client::new(InProcess::new(api, &headers));
    outcome(client.identity_proposal_delete(&proposal).await, "/account")
}

/// Passes on the cookie that the API sets; a rejection is shown on the sign-in page.
async fn password_sign_in(State(api): State<Router>, headers: HeaderMap, Form(form): Form<PasswordSignIn>) -> Response {
    match signed_in(api, &headers, &form).await {
        Ok(response) => response,
        Err(error) => {
            let why = match error.status {
                401 => "password",
                429 => "locked",
                _ => return refused(&error, "/login"),
            };
            on_to(&format!("/login?error={why}&next={}", segment(&form.next)))
        }
    }
}

async fn signed_in(api: Router, headers: &HeaderMap, form: &PasswordSignIn) -> Result<Response, Error> {
    let unreadable = || Error::unreadable(500, "The platform's response to the sign-in could not be read.");
    let request = client::Request {
        method: "POST",
        path: "/login/password".into(),
        headers: vec![("accept", client::ACCEPT.into()), ("content-type", "application/json".into())],
        body: serde_json::to_vec(form).map_err(|_| unreadable())?,
    };
    let (parts, body) = InProcess::new(api, headers).answer(request).await?.into_parts();
    let body = to_bytes(body, 1 << 20).await.map_err(|_| unreadable())?;
    if !parts.status.is_success() {
        let mut error: Error = serde_json::from_slice(&body).map_err(|_| unreadable())?;
        error.status = parts.status.as_u16();
        return Err(error);
    }
    let signed_in: SignedIn = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    let mut response = on_to(&signed_in.next);
    for cookie in parts.headers.get_all(header::SET_COOKIE) {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    Ok(response)
}

/// Redirects to `page`, or shows the error with a link to it.
fn outcome<T>(done: Result<T, Error>, page: &str) -> Response {
    match done {
        Ok(_) => on_to(page),
        Err(error) => refused(&error, page),
    }
}

fn on_to(page: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, page)]).into_response()
}

/// A static page with the error and a link back.
fn refused(error: &Error, back: &str) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let why = sanitize::html(&error.message);
    let document = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Request failed · Wharf</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"stylesheet\" href=\"{}\"></head>\
         <body><main class=\"page\"><h1>Request failed</h1><p role=\"alert\">{why}</p>\
         <p><a class=\"ul\" href=\"{back}\">Back to the form</a></p></main></body></html>",
        assets::css()
    );
    let policy = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'";
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy)];
    let mut response = (status, headers, document).into_response();
    headers::protect(response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_body_of_a_form_is_not_that_of_an_anonymous_client_if_the_cookie_is_valid() {
        let account = async |headers: HeaderMap| match headers.get(header::COOKIE).is_some_and(|c| c == "wharf=ada") {
            true => axum::Json(serde_json::json!({
                "id": "01900000-0000-7000-8000-000000000000", "email": "ada@example.com", "verified": true,
                "two_factor_authentication": false, "federated": false,
                "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
            }))
            .into_response(),
            false => StatusCode::UNAUTHORIZED.into_response(),
        };
        let api = Router::new().route("/account", axum::routing::get(account));
        for (cookie, is_known) in [(Some("wharf=ada"), true), (Some("wharf=bob"), false), (None, false)] {
            let mut request = Request::new(axum::body::Body::from("name=dusk"));
            if let Some(cookie) = cookie {
                request.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
            }
            let request = authenticated(request, &api).await;
            assert_eq!(request.extensions().get::<Authenticated>().is_some(), is_known, "{cookie:?}");
            let VisitorForm(form) = VisitorForm::<NewApp>::from_request(request, &api).await.ok().unwrap();
            assert_eq!(form.name, "dusk");
        }
    }

    #[tokio::test]
    async fn what_was_refused_is_text() {
        let error = Error::new(422, "invalid_params", "<b>no</b> & never");
        let response = refused(&error, "/apps/new");
        assert_eq!(response.status(), 422);
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("&lt;b&gt;no&lt;/b&gt; &amp; never"));
    }
}
