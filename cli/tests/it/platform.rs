//! A fake platform with canned responses, to test how the command line handles them.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

/// Canned responses at a free address. Anything else is not found.
pub struct Platform {
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Platform {
    /// Serves `answers`: `GET /apps/dusk` with its status and body, in which `http://platform` is this platform.
    pub fn start(answers: Vec<(&'static str, u16, Value)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &answers, &seen);
            }
        });
        Self { url, asked }
    }

    /// All requests.
    pub fn heard(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The requests since the last call, without read-only ones.
    pub fn changes(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.into_iter().filter(|line| !line.starts_with("GET ")).collect()
    }
}

/// One request and its response; the connection is closed after it.
fn answer(stream: TcpStream, answers: &[(&str, u16, Value)], seen: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_ascii_lowercase());
    }
    let Some(first) = lines.first() else { return };
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap().to_uppercase(), words.next().unwrap());
    let question = format!("{method} {}", path.split('?').next().unwrap());
    let length = lines.iter().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    // Archives are not text.
    seen.lock().unwrap().push(format!("{question} {}", String::from_utf8_lossy(&body)).trim().to_owned());
    let missing = (404, json!({ "id": "not_found", "resource": "app", "message": "Couldn't find that app." }));
    let found = answers.iter().find(|(q, ..)| *q == question).map(|(_, status, body)| (*status, body.clone()));
    let (status, body) = found.unwrap_or(missing);
    let host = lines.iter().find_map(|l| l.strip_prefix("host: ")).unwrap_or_default();
    let body = body.to_string().replace("http://platform", &format!("http://{host}"));
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
    reader.into_inner().write_all(format!("{head}\r\nConnection: close\r\n\r\n{body}").as_bytes()).unwrap();
}

pub const ID: &str = "0b9a1c1e-0000-7000-8000-000000000000";
pub const TIME: &str = "2026-01-02T03:04:05Z";

/// A release of `dusk` with the slug whose id ends in this letter.
pub fn release(version: i32, slug: Option<char>, description: &str) -> Value {
    json!({
        "id": format!("{}{version:02}", &ID[..34]), "app": { "id": ID, "name": "dusk" }, "version": version,
        "status": "succeeded", "current": false, "description": description,
        "user": { "id": ID, "email": "a@b.c" }, "slug": slug.map(|c| json!({ "id": format!("{}{c}", &ID[..35]) })),
        "addon_plan_names": [], "artifacts": [], "eligible_for_rollback": true, "output_stream_url": null,
        "created_at": TIME, "updated_at": TIME, "commit": null,
    })
}

/// An app.
pub fn app() -> Value {
    let named = |name: &str| json!({ "id": ID, "name": name });
    json!({
        "id": ID, "name": "dusk", "owner": { "id": ID, "email": "a@b.c" }, "region": named("here"),
        "stack": named("heroku-24"), "build_stack": named("heroku-24"), "maintenance": false, "acm": false,
        "git_url": "", "web_url": "http://dusk.localhost", "buildpack_provided_description": null,
        "created_at": TIME, "updated_at": TIME, "released_at": null, "archived_at": null,
        "repo_size": null, "slug_size": null, "team": null, "space": null, "organization": null,
        "internal_routing": null, "generation": named("cedar"), "create_status": "complete", "process_tier": "basic",
    })
}

/// A process type of `dusk`.
pub fn formation(kind: &str, quantity: i32) -> Value {
    json!({
        "id": ID, "app": { "id": ID, "name": "dusk" }, "type": kind, "command": "run", "quantity": quantity,
        "size": "Basic", "dyno_size": { "id": ID, "name": "Basic" }, "created_at": TIME, "updated_at": TIME,
    })
}

/// A dyno of `dusk` that is up.
pub fn dyno(name: &str) -> Value {
    json!({
        "id": ID, "name": name, "type": "web", "size": "Basic", "state": "up", "command": "run", "attach_url": null,
        "app": { "id": ID, "name": "dusk" }, "release": { "id": ID, "version": 4 },
        "created_at": TIME, "updated_at": TIME,
    })
}

/// A build of `dusk` with this status, which resulted in v2.
pub fn build(status: &str) -> Value {
    json!({
        "id": ID, "app": { "id": ID }, "status": status, "buildpacks": [], "source_blob": {}, "stack": "heroku-24",
        "slug": null, "release": { "id": format!("{}02", &ID[..34]) }, "user": { "id": ID, "email": "a@b.c" },
        "output_stream_url": "http://platform/streams/builds/secret", "created_at": TIME, "updated_at": TIME,
        "number": 1, "error": (status == "failed").then_some("the build command failed"),
    })
}

/// The status of `dusk` after v6 did not stay up, while v4 serves.
pub fn held() -> Value {
    json!({
        "app": app(), "condition": "held", "detail": "", "formation": [], "dynos": [], "releases": [], "builds": [],
        "held": { "version": 6, "serving": 4, "dyno": "web.1", "last_exit": "Process exited with status 3" },
    })
}
