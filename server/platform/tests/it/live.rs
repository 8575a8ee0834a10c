//! `/live`: values and lines over one websocket, until the session ends.

use api::{
    ids::BuildId,
    live::{Difference, ToBrowser, ToServer, Topic},
    releases::Rollout,
};
use areas::Areas;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _},
};

use crate::{
    sessions::sign_in,
    world::{LONG, World, until},
};

pub struct Socket(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

impl Socket {
    async fn say(&mut self, said: ToServer) {
        self.0.send(Message::text(serde_json::to_string(&said).unwrap())).await.unwrap();
    }

    /// Sends a message, as any browser could; an error when the socket is closed.
    pub async fn try_say(&mut self, said: ToServer) -> Result<(), Error> {
        self.0.send(Message::text(serde_json::to_string(&said).unwrap())).await
    }

    pub async fn subscribe(&mut self, id: u32, topic: Topic) {
        self.say(ToServer::Subscribe { id, topic, differences: false }).await;
    }

    /// Subscribes like the console, which applies differences.
    async fn subscribe_to_differences(&mut self, id: u32, topic: Topic) {
        self.say(ToServer::Subscribe { id, topic, differences: true }).await;
    }

    /// The next difference of a topic.
    async fn difference(&mut self, of: u32) -> Difference {
        loop {
            match self.hear().await.expect("the socket is open") {
                ToBrowser::Difference { id, difference } if id == of => return difference,
                ToBrowser::Value { id, value } if id == of => panic!("all of it again: {value}"),
                ToBrowser::Failed { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
    }

    /// The next message; `None` when the socket is closed.
    pub async fn hear(&mut self) -> Option<ToBrowser> {
        loop {
            let message = tokio::time::timeout(LONG, self.0.next()).await.expect("something is said");
            match message {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The next value of a topic that satisfies a condition.
    pub async fn value(&mut self, of: u32, is_so: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.hear().await.expect("the socket is open") {
                ToBrowser::Value { id, value } if id == of && is_so(&value) => return value,
                ToBrowser::Failed { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
    }
}

/// Serves the world on a separate port.
pub async fn serve(t: &World) -> String {
    serve_areas(&t.areas).await
}

/// As [`serve`], for any server.
pub async fn serve_areas(areas: &Areas) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let routes = areas.router();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    addr.to_string()
}

pub async fn open(host: &str, headers: &[(&'static str, String)]) -> Result<Socket, u16> {
    let mut request = format!("ws://{host}/live").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(Socket(socket)),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(err) => panic!("{err}"),
    }
}

/// Waits until pages no longer get the message that anything may have changed, which is sent when the server begins to
/// listen to others.
pub async fn settled(t: &World, host: &str) {
    crate::bus::listening(t).await;
    let account = t.stranger.account_info().await.unwrap().id.get();
    let mut socket = open(host, &bearer(t.stranger.token.as_ref().unwrap())).await.unwrap();
    socket.subscribe(1, Topic::Changes).await;
    for n in 0.. {
        let noun = format!("mark_{n}");
        let event = json!({ "Event": { "noun": noun, "app": null, "to": [{ "account": account }] } });
        let message = json!({ "from": uuid::Uuid::nil(), "changed": [], "recorded": [event] }).to_string();
        store::bus::change_notify(&t.db, &[message]).await.unwrap();
        let is_news = |v: &Value| v["anything"] == true || v["nouns"].as_array().unwrap().contains(&json!(noun));
        if socket.value(1, is_news).await["anything"] != true {
            return;
        }
    }
}

pub fn bearer(token: &str) -> [(&'static str, String); 1] {
    [("authorization", format!("Bearer {token}"))]
}

#[tokio::test]
async fn values_and_lines_come_as_they_change() {
    let t = World::start().await;
    t.app("dusk").await;
    let host = serve(&t).await;
    assert_eq!(open(&host, &[]).await.err(), Some(401));
    let mut socket = open(&host, &bearer(t.owner.token.as_ref().unwrap())).await.unwrap();
    assert!(matches!(socket.hear().await, Some(ToBrowser::Hello { .. })));

    socket.subscribe(1, Topic::App { app: "dusk".into() }).await;
    socket.value(1, |v| v["condition"] == "empty").await;
    t.deploy("dusk", &[("web", "./server")]).await;
    let up = socket.value(1, |v| v["condition"] == "up").await;
    assert_eq!(up["dynos"][0]["name"], "web.1");

    socket.subscribe(2, Topic::Apps).await;
    socket.value(2, |v| v[0]["name"] == "dusk").await;
    socket.say(ToServer::Unsubscribe { id: 1 }).await;
    t.owner.patch("/apps/dusk", json!({ "name": "dawn" })).await;
    socket.value(2, |v| v[0]["name"] == "dawn").await;

    let logs = Topic::Logs { app: "dawn".into(), filter: Default::default(), after: None, lines: Some(1) };
    socket.subscribe(3, logs).await;
    let run = t.driver.running("web.1").unwrap().handle.id;
    t.driver.say(run, b'o', "hello").unwrap();
    let mut cursor = 0;
    loop {
        if let Some(ToBrowser::Lines { id: 3, lines, cursor: at }) = socket.hear().await {
            assert!(at >= cursor);
            cursor = at;
            if lines.iter().any(|l| l["text"] == "hello") {
                break;
            }
        }
    }
    socket.subscribe(4, Topic::Platform).await;
    socket.value(4, |v| !v["reconcilers"].as_array().unwrap().is_empty()).await;
}

/// What the overview shows of an app, without what changes by itself.
fn facts(status: &Value) -> Value {
    let of = |list: &str, fields: &[&str]| -> Vec<Value> {
        let fields = |row: &Value| json!(fields.iter().map(|field| row.pointer(field)).collect::<Vec<_>>());
        status[list].as_array().unwrap().iter().map(fields).collect()
    };
    json!({
        "app": [status["app"]["name"], status["app"]["maintenance"], status["condition"], status["detail"]],
        "formation": of("formation", &["/id", "/type", "/quantity", "/size"]),
        "dynos": of("dynos", &["/id", "/name", "/state", "/release/version", "/starts"]),
        "one_offs": of("one_offs", &["/id", "/name", "/state"]),
        "releases": of("releases", &["/id", "/version", "/status", "/current", "/rollout", "/up_at", "/up_since"]),
        "builds": of("builds", &["/id", "/number", "/status"]),
        "permissions": status["permissions"],
    })
}

/// Applies differences until a page shows what the API responds.
async fn follow(t: &World, socket: &mut Socket, page: &mut Value) {
    loop {
        let now = t.owner.get(&format!("/apps/{}/status", page["app"]["name"].as_str().unwrap())).await.json();
        if facts(page) == facts(&now) {
            return;
        }
        *page = socket.difference(1).await.apply(page.take()).expect("it is a difference from the last value");
    }
}

#[tokio::test]
async fn after_the_first_value_only_what_changed_is_sent() {
    let t = World::start().await;
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server"), ("worker", "./work")]).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
    until("the release has passed", async || match t.owner.release_info("dusk", "v2").await.unwrap() {
        release if release.rollout == Rollout::Passed && release.up_at.is_some() => Ok(()),
        release => Err(format!("{release:?}")),
    })
    .await;
    let host = serve(&t).await;
    let mut socket = open(&host, &bearer(t.owner.token.as_ref().unwrap())).await.unwrap();
    socket.subscribe_to_differences(1, Topic::App { app: "dusk".into() }).await;
    let mut page = socket.value(1, |_| true).await;
    follow(&t, &mut socket, &mut page).await;

    t.owner.patch("/apps/dusk", json!({ "maintenance": true })).await;
    let changed = loop {
        let difference = socket.difference(1).await;
        page = difference.clone().apply(page).unwrap();
        if page["app"]["maintenance"] == true {
            break serde_json::to_value(difference).unwrap();
        }
    };
    let fields = changed["fields"]["changed"].as_object().unwrap();
    assert!(fields.contains_key("app") && fields.contains_key("condition"), "{changed}");
    assert!(!fields.contains_key("releases") && !fields.contains_key("formation"), "{changed}");

    // Whatever changes arrives, although no more is read again than what it may concern.
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": "1" })).await;
    follow(&t, &mut socket, &mut page).await;
    t.owner.patch("/apps/dusk/formation/worker", json!({ "quantity": 2 })).await;
    follow(&t, &mut socket, &mut page).await;
    t.owner.delete("/apps/dusk/dynos/worker.1").await;
    follow(&t, &mut socket, &mut page).await;
    let run = t.driver.running("web.1").unwrap().handle.id;
    t.driver.exit(run, 1);
    follow(&t, &mut socket, &mut page).await;
    let url = crate::builds::source(&t).await;
    t.owner.post("/apps/dusk/builds", json!({ "source_blob": { "url": url } })).await;
    follow(&t, &mut socket, &mut page).await;
    t.owner.patch("/apps/dusk", json!({ "name": "dawn", "maintenance": false })).await;
    socket_shows(&mut socket, &mut page, "/app/name", "dawn").await;
    follow(&t, &mut socket, &mut page).await;

    // A new connection gets everything.
    let mut again = open(&host, &bearer(t.owner.token.as_ref().unwrap())).await.unwrap();
    again.subscribe_to_differences(1, Topic::App { app: "dawn".into() }).await;
    let whole = again.value(1, |_| true).await;
    assert_eq!(whole["releases"], page["releases"]);
}

/// Applies differences until a field has this value.
async fn socket_shows(socket: &mut Socket, page: &mut Value, field: &str, value: &str) {
    while page.pointer(field).and_then(Value::as_str) != Some(value) {
        *page = socket.difference(1).await.apply(page.take()).unwrap();
    }
}

#[tokio::test]
async fn of_the_list_of_apps_only_those_that_changed_are_sent() {
    let t = World::start().await;
    for app in ["dawn", "dusk", "noon"] {
        t.app(app).await;
    }
    let host = serve(&t).await;
    let mut socket = open(&host, &bearer(t.owner.token.as_ref().unwrap())).await.unwrap();
    socket.subscribe_to_differences(1, Topic::Apps).await;
    let mut page = socket.value(1, |apps| apps.as_array().unwrap().len() == 3).await;
    t.deploy("dusk", &[("web", "./server")]).await;
    while page[1]["condition"] != "up" {
        let difference = socket.difference(1).await;
        let sent = serde_json::to_value(&difference).unwrap();
        let parts = sent["elements"].as_array().unwrap();
        assert!(parts.iter().all(|part| part["new"].is_null()), "{sent}");
        assert_eq!(parts.iter().filter(|part| !part["changed"].is_null()).count(), 1, "{sent}");
        page = difference.apply(page).unwrap();
    }
    assert_eq!((&page[0]["condition"], &page[1]["dynos_up"]), (&json!("empty"), &json!(1)));
    // Apps that appear and disappear.
    t.app("late").await;
    while page[2]["name"] != "late" {
        page = socket.difference(1).await.apply(page).unwrap();
    }
    assert_eq!(t.owner.delete("/apps/dawn").await.status, 200);
    while page[0]["name"] == "dawn" {
        page = socket.difference(1).await.apply(page).unwrap();
    }
    let names: Vec<_> = page.as_array().unwrap().iter().map(|app| app["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["dusk", "late", "noon"]);
}

#[tokio::test]
async fn invisible_topics_are_rejected() {
    let t = World::start().await;
    t.app("dusk").await;
    let host = serve(&t).await;
    let mut socket = open(&host, &bearer(t.stranger.token.as_ref().unwrap())).await.unwrap();
    socket.hear().await;
    let logs = Topic::Logs { app: "dusk".into(), filter: Default::default(), after: None, lines: None };
    let build = Topic::Build { app: "dusk".into(), build: BuildId::nil(), after: None };
    let app = Topic::App { app: "dusk".into() };
    let metrics = Topic::Metrics { app: "dusk".into() };
    for (n, (topic, status)) in
        [(app, 404), (logs, 404), (build, 404), (metrics, 404), (Topic::Platform, 403)].into_iter().enumerate()
    {
        socket.subscribe(n as u32, topic).await;
        let Some(ToBrowser::Failed { id, error }) = socket.hear().await else { panic!("{n} should be refused") };
        assert_eq!((id as usize, error.status), (n, status));
    }
    socket.subscribe(9, Topic::Apps).await;
    assert_eq!(socket.value(9, |_| true).await, json!([]));
}

#[tokio::test]
async fn a_session_that_ends_ends_its_sockets() {
    let t = World::start().await;
    let host = serve(&t).await;
    let cookie = sign_in(&t).await;
    assert_eq!(open(&host, &[("cookie", cookie.clone())]).await.err(), Some(403));
    let here = [("cookie", cookie.clone()), ("origin", format!("http://{host}"))];
    let mut socket = open(&host, &here).await.unwrap();
    let mut other = open(&host, &bearer(t.owner.token.as_ref().unwrap())).await.unwrap();
    socket.hear().await;
    other.hear().await;
    let id = t.owner.session_list().await.unwrap()[0].id.to_string();
    t.owner.session_delete(&id).await.unwrap();
    assert_eq!(socket.hear().await, Some(ToBrowser::SignedOut));
    assert_eq!(socket.hear().await, None);
    // The socket of the token stays open.
    other.subscribe(1, Topic::Apps).await;
    other.value(1, |_| true).await;
}

#[tokio::test]
async fn the_output_of_a_build_is_followed_to_its_end() {
    let t = World::start().await;
    t.app("dusk").await;
    let host = serve(&t).await;
    let url = crate::builds::source(&t).await;
    let made = t.owner.post("/apps/dusk/builds", json!({ "source_blob": { "url": url } })).await.json();
    let build: BuildId = made["id"].as_str().unwrap().parse().unwrap();
    let mut socket = open(&host, &bearer(t.owner.token.as_ref().unwrap())).await.unwrap();
    socket.hear().await;
    socket.subscribe(1, Topic::Build { app: "dusk".into(), build, after: None }).await;
    crate::world::until("the build runs", async || t.driver.started().first().map(|_| ()).ok_or_else(String::new))
        .await;
    t.driver.say(build.into(), b'o', "-----> Compiling").unwrap();
    t.driver.exit(build.into(), 1);
    let (mut all, mut places) = (Vec::new(), Vec::new());
    loop {
        match socket.hear().await {
            Some(ToBrowser::Lines { id: 1, lines, cursor }) => {
                all.extend(lines.iter().map(|l| l.as_str().unwrap().to_owned()));
                places.push((all.len(), cursor));
            }
            Some(ToBrowser::End { id: 1 }) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(all.contains(&"-----> Compiling".to_owned()), "{all:?}");
    assert_eq!(all.last().unwrap(), " !     Push rejected, failed to compile the app.");

    // From a position in the middle, the rest is sent.
    let (had, cursor) = places[0];
    socket.subscribe(2, Topic::Build { app: "dusk".into(), build, after: Some(cursor) }).await;
    let mut rest = Vec::new();
    while let Some(ToBrowser::Lines { lines, .. }) = socket.hear().await {
        rest.extend(lines.iter().map(|l| l.as_str().unwrap().to_owned()));
    }
    assert_eq!(rest, all[had..]);
}

#[tokio::test]
async fn kinds_of_changes_are_sent_to_those_who_can_see_the_app() {
    let t = World::start().await;
    t.app("dusk").await;
    assert_eq!(t.stranger.post("/apps", json!({ "name": "own" })).await.status, 201);
    // Changes made just before a socket opens are also sent.
    sqlx::query("alter table events disable trigger events_are_kept").execute(&t.db).await.unwrap();
    sqlx::query("update events set at = at - interval '1 minute'").execute(&t.db).await.unwrap();
    let host = serve(&t).await;
    settled(&t, &host).await;
    let [owners, strangers] = [&t.owner, &t.stranger].map(|who| bearer(who.token.as_ref().unwrap()));
    let mut owners = open(&host, &owners).await.unwrap();
    let mut strangers = open(&host, &strangers).await.unwrap();
    for socket in [&mut owners, &mut strangers] {
        socket.subscribe(1, Topic::Changes).await;
        assert_eq!(socket.value(1, |_| true).await, json!({ "nouns": [] }));
    }
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": "1" })).await;
    assert_eq!(owners.value(1, |_| true).await, json!({ "nouns": ["config_vars"] }));
    t.owner.patch("/apps/own/config-vars", json!({ "A": "1" })).await;
    assert_eq!(owners.value(1, |_| true).await, json!({ "nouns": ["config_vars"] }));
    // Their first message is about their own app; the renaming of another app does not concern them.
    assert_eq!(strangers.value(1, |_| true).await, json!({ "nouns": ["config_vars"] }));
    t.owner.patch("/apps/dusk", json!({ "name": "dawn" })).await;
    assert_eq!(owners.value(1, |_| true).await, json!({ "nouns": ["app"] }));
    t.stranger.patch("/apps/own", json!({ "name": "other" })).await;
    for socket in [&mut owners, &mut strangers] {
        assert_eq!(socket.value(1, |_| true).await, json!({ "nouns": ["app"] }));
    }
}

#[tokio::test]
async fn what_was_changed_while_a_page_was_on_its_way_is_told_to_it() {
    let t = World::start().await;
    t.app("dusk").await;
    let host = serve(&t).await;
    // Another page listens, so that the newest change has been received before this one opens.
    let mut other = open(&host, &bearer(t.owner.token.as_ref().unwrap())).await.unwrap();
    other.subscribe(1, Topic::Changes).await;
    other.value(1, |_| true).await;
    t.owner.patch("/apps/dusk", json!({ "maintenance": true })).await;
    // Perhaps together with what the start had changed; a server that has just begun to listen may have missed something.
    let is_told = |v: &Value| {
        v["anything"] == json!(true) || v["nouns"].as_array().is_some_and(|nouns| nouns.contains(&json!("app")))
    };
    other.value(1, is_told).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;

    let mut page = open(&host, &bearer(t.owner.token.as_ref().unwrap())).await.unwrap();
    page.subscribe(1, Topic::Changes).await;
    assert_eq!(page.value(1, |_| true).await, json!({ "nouns": [] }));
    assert_eq!(page.value(1, |_| true).await, json!({ "nouns": [], "anything": true }));
}
