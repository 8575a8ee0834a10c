//! Error pages: plain HTML without external resources.

use api::sanitize;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use crate::client_slots::Full;
use crate::codes::Code;

const PAGE: &str = include_str!("pages/page.html");

/// A page before it is rendered as HTML or JSON.
pub(crate) struct Page {
    status: StatusCode,
    /// The `id` in JSON and, for router errors, the code.
    id: &'static str,
    title: String,
    /// Paragraphs; one that begins with `$ ` is shown as commands.
    body: Vec<String>,
    request_id: String,
    /// Whether the connection is closed after it.
    last: bool,
}

impl Page {
    fn new(status: StatusCode, id: &'static str, title: impl Into<String>) -> Page {
        Page { status, id, title: title.into(), body: Vec::new(), request_id: String::new(), last: false }
    }

    fn say(mut self, paragraph: impl Into<String>) -> Page {
        self.body.push(paragraph.into());
        self
    }

    pub(crate) fn with_request_id(mut self, id: &HeaderValue) -> Page {
        self.request_id = String::from_utf8_lossy(id.as_bytes()).into_owned();
        self
    }

    /// The page of an error of app `app`.
    pub(crate) fn of(code: Code, app: &str) -> Page {
        let page = |title: &str| Page::new(code.status(), code.name(), title);
        let see = format!("If this is your app, check its log: wharf logs --tail --app {app}");
        match code {
            Code::H80 => {
                page("Down for maintenance").say(format!("{app} is under maintenance and will be back shortly."))
            }
            Code::H14 => page("This app is not running")
                .say(format!(
                    "{app} has no web dynos. If this is your app, start one: wharf ps:scale web=1 --app {app}"
                ))
                .say("If it does not have a web process type, first add a line \"web: COMMAND\" to its Procfile and push."),
            Code::H10 => page("This app has crashed").say(format!("All web dynos of {app} have stopped.")).say(see),
            Code::H20 => page("This app is slow to start")
                .say(format!("{app} is still starting. Try again in a minute."))
                .say(see),
            Code::H12 | Code::H15 | Code::H19 => page("This app took too long to respond").say(see),
            Code::H26 => page("This request cannot be forwarded")
                .say("A header of the request is too large or not allowed here."),
            Code::H99 => page("Internal error")
                .say("The request did not reach the app. Try again; if the problem persists, contact the operator of this platform."),
            _ => page("This app did not respond").say(see),
        }
    }

    /// The welcome page of an app without a deployment, with the commands for one.
    pub(crate) fn blank(app: &str, remote: &str) -> Page {
        let commands = format!("$ git remote add wharf {remote}\n$ git push wharf HEAD:main");
        Page::new(Code::H81.status(), "H81", format!("{app} is ready for your code"))
            .say("Nothing has been deployed yet. In your project folder:")
            .say(commands)
            .say("Prompted for a password? Run wharf login first, or use an API token.")
    }

    pub(crate) fn no_such_app(host: &str) -> Page {
        Page::new(StatusCode::NOT_FOUND, "not_found", "No such app")
            .say(format!("There is no app at {host}. Check the spelling of the address."))
    }

    pub(crate) fn platform_restarting() -> Page {
        Page::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "service_unavailable",
            "Wharf's control plane is restarting. Apps keep running.",
        )
        .say("Try again in a few seconds.")
    }

    pub(crate) fn platform_broke_off() -> Page {
        Page::new(
            StatusCode::BAD_GATEWAY,
            "bad_gateway",
            "Wharf's control plane closed the connection during its response.",
        )
        .say("The request may have succeeded. Check before you try again.")
    }

    pub(crate) fn bad_request(sentence: &str) -> Page {
        Page::new(StatusCode::BAD_REQUEST, "bad_request", sentence)
    }

    /// The head of a request could not be parsed.
    pub(crate) fn unreadable(status: StatusCode) -> Page {
        let sentence = match status {
            StatusCode::URI_TOO_LONG => "The URL is too long: the maximum is 8192 bytes.",
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "The headers of the request are too large.",
            _ => "The request is not valid HTTP.",
        };
        Page::bad_request(sentence).with_status(status).last()
    }

    /// The body of a redirect.
    pub(crate) fn only_https() -> Page {
        Page::new(StatusCode::PERMANENT_REDIRECT, "https_only", "This site is served over https only.")
    }

    /// The client was too slow in sending its request.
    pub(crate) fn too_slow() -> Page {
        Page::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The request made no progress for too long.").last()
    }

    /// A limit on connections or requests was reached.
    pub(crate) fn full(full: Full) -> Page {
        match full {
            Full::Address => Page::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limit",
                "Your address has too many concurrent connections or requests.",
            ),
            Full::All => Page::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "service_unavailable",
                "There are too many concurrent connections or requests.",
            ),
        }
        .say("Try again in a moment.")
        .last()
    }

    /// The connection is closed after this page.
    pub(crate) fn last(mut self) -> Page {
        self.last = true;
        self
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Page {
        self.status = status;
        self
    }

    /// The response; JSON if `Accept` prefers that.
    pub(crate) fn respond(&self, accept: Option<&HeaderValue>) -> Response<Bytes> {
        let (content_type, body) = match wants_json(accept) {
            true => ("application/json", self.json()),
            false => ("text/html; charset=utf-8", self.html()),
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status;
        let length = response.body().len();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.last {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The whole response as HTML, for a connection without a request.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let page = self.respond(None);
        let mut text = format!("HTTP/1.1 {}\r\n", page.status()).into_bytes();
        for (name, value) in page.headers() {
            text.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        text.extend([b"\r\n", &page.body()[..]].concat());
        text
    }

    fn json(&self) -> String {
        let message = match self.id.strip_prefix('H') {
            Some(_) => format!("{}: {}.", self.id, self.title),
            None => self.title.clone(),
        };
        serde_json::json!({ "id": self.id, "message": message }).to_string()
    }

    fn html(&self) -> String {
        let mut body = String::new();
        for paragraph in &self.body {
            let tag = match paragraph.starts_with("$ ") {
                true => "pre",
                false => "p",
            };
            let text = paragraph.replace("$ ", "");
            body.push_str(&format!("<{tag}>{}</{tag}>\n", sanitize::html(&text)));
        }
        let code = match self.id.strip_prefix('H') {
            Some(_) => self.id,
            None => self.status.as_str(),
        };
        let footer = match self.request_id.is_empty() {
            true => sanitize::html(code),
            false => format!("{} · request {}", sanitize::html(code), sanitize::html(&self.request_id)),
        };
        PAGE.replace("{title}", &sanitize::html(&self.title)).replace("{footer}", &footer).replace("{body}", &body)
    }
}

fn wants_json(accept: Option<&HeaderValue>) -> bool {
    let accept = accept.and_then(|v| v.to_str().ok());
    accept.is_some_and(|a| a.contains("json") && !a.contains("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_escapes_what_the_visitor_chose() {
        let page = Page::no_such_app("<script>x</script>.example").respond(None);
        let html = String::from_utf8_lossy(page.body());
        assert_eq!(page.status(), StatusCode::NOT_FOUND);
        assert!(html.contains("&lt;script&gt;x"), "{html}");
        assert!(!html.contains("<script>"));
        assert!(!html.contains("{body}"));
    }

    #[test]
    fn the_welcome_page_has_the_commands() {
        let page = Page::blank("shop", "http://localhost:5000/shop.git").respond(None);
        let html = String::from_utf8_lossy(page.body());
        assert!(
            html.contains("<pre>git remote add wharf http://localhost:5000/shop.git\ngit push wharf HEAD:main</pre>"),
            "{html}"
        );
    }

    #[test]
    fn an_app_without_web_dynos_may_have_no_such_process_type() {
        let page = Page::of(Code::H14, "shop").respond(None);
        let html = String::from_utf8_lossy(page.body());
        assert!(html.contains("wharf ps:scale web=1 --app shop"), "{html}");
        assert!(html.contains("If it does not have a web process type, first add a line"), "{html}");
    }

    #[test]
    fn json_on_request() {
        let accept = HeaderValue::from_static("application/vnd.heroku+json; version=3");
        let page = Page::platform_restarting().respond(Some(&accept));
        let json: serde_json::Value = serde_json::from_slice(page.body()).expect("it is JSON");
        assert_eq!(json["message"], "Wharf's control plane is restarting. Apps keep running.");
    }
}
