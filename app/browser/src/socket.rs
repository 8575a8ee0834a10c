//! The page's websocket: opened with the first subscription, reopened after it is lost.
//!
//! Every subscription is stored with its cursor, so that a new connection resumes where the
//! old one ended, without gaps or duplicates. Nothing here is reactive: a signal
//! per message would lose some and wake its effects thousands of times a second.

use std::{any::Any, cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use api::{
    Error,
    live::{Difference, ToServer, Topic},
};
use app::live::{Link, LinkState, Message, Sink, Socket};
use leptos::prelude::*;
use send_wrapper::SendWrapper;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{CloseEvent, MessageEvent, WebSocket};

/// Maximum delay before reconnecting.
const LONGEST_WAIT_MS: u32 = 8_000;
/// Delay before a failed subscription is retried.
const RETRY_AFTER: Duration = Duration::from_secs(3);

/// The page's one connection.
pub struct OneSocket(SendWrapper<Rc<RefCell<Inner>>>);

struct Followed {
    topic: Topic,
    sink: Rc<Sink>,
    /// The last value, to which the next difference is applied.
    last: Option<Value>,
}

#[derive(Default)]
struct Inner {
    socket: Option<WebSocket>,
    // Callbacks of a closed socket are kept until the next: one of them may be running.
    callbacks: Vec<Box<dyn Any>>,
    followed: BTreeMap<u32, Followed>,
    last_id: u32,
    tries: u32,
    version: Option<String>,
    state: Option<LinkState>,
    over: bool,
    /// A difference could not be applied: whole values are requested from now on.
    whole: bool,
}

/// A frame with its payload as raw JSON: only the subscriber knows its type.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(default)]
    id: u32,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    difference: Option<&'a RawValue>,
    #[serde(borrow, default)]
    lines: Option<&'a RawValue>,
    #[serde(default)]
    cursor: Option<u64>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    error: Option<Error>,
}

impl OneSocket {
    /// A connection that is opened when it is first needed.
    pub fn new() -> Self {
        Self(SendWrapper::new(Rc::default()))
    }
}

impl Socket for OneSocket {
    fn subscribe(&self, topic: Topic, sink: Sink) -> u32 {
        let id = {
            let mut inner = self.0.borrow_mut();
            inner.last_id += 1;
            let id = inner.last_id;
            inner.followed.insert(id, Followed { topic, sink: Rc::new(sink), last: None });
            id
        };
        if self.0.borrow().socket.is_some() {
            self.0.borrow().subscribe(id);
        } else {
            connect(&self.0);
        }
        id
    }

    fn credit(&self, id: u32, more: u32) {
        self.0.borrow().send(&ToServer::Credit { id, more });
    }

    fn unsubscribe(&self, id: u32) {
        let mut inner = self.0.borrow_mut();
        if inner.followed.remove(&id).is_some() {
            inner.send(&ToServer::Unsubscribe { id });
        }
    }

    fn report_to(&self, state: LinkState) {
        self.0.borrow_mut().state = Some(state);
    }
}

impl Inner {
    fn send(&self, message: &ToServer) {
        let open = self.socket.as_ref().filter(|s| s.ready_state() == WebSocket::OPEN);
        if let (Some(socket), Ok(text)) = (open, serde_json::to_string(message)) {
            let _ = socket.send_with_str(&text);
        }
    }

    /// Begins a subscription on this connection, with its value or where its lines ended.
    fn subscribe(&self, id: u32) {
        if let Some(followed) = self.followed.get(&id) {
            self.send(&ToServer::Subscribe { id, topic: followed.topic.clone(), differences: !self.whole });
        }
    }

    fn report(&self, link: Link) {
        if let Some(state) = self.state {
            if link == Link::Lost && state.link.try_get_untracked() == Some(Link::Open) {
                state.lost_at.try_set(js_sys::Date::now() as i64);
            }
            // A first connection that fails is lost too, once it has been tried a few times.
            if link != Link::Opening && state.link.try_get_untracked() != Some(link) {
                state.link.try_set(link);
            }
        }
    }
}

type Shared = Rc<RefCell<Inner>>;

fn connect(shared: &Shared) {
    if shared.borrow().over {
        return;
    }
    let location = window().location();
    let scheme = if location.protocol().as_deref() == Ok("https:") { "wss" } else { "ws" };
    let Ok(socket) = WebSocket::new(&format!("{scheme}://{}/live", location.host().unwrap_or_default())) else {
        return;
    };
    let me = shared.clone();
    let opened = Closure::<dyn Fn()>::new(move || on_open(&me));
    let me = shared.clone();
    let received = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
        if let Some(text) = event.data().as_string() {
            on_frame(&me, &text);
        }
    });
    let me = shared.clone();
    let closed = Closure::<dyn Fn(CloseEvent)>::new(move |_: CloseEvent| on_close(&me));
    socket.set_onopen(Some(opened.as_ref().unchecked_ref()));
    socket.set_onmessage(Some(received.as_ref().unchecked_ref()));
    socket.set_onclose(Some(closed.as_ref().unchecked_ref()));
    let mut inner = shared.borrow_mut();
    inner.socket = Some(socket);
    if inner.callbacks.len() > 3 {
        inner.callbacks.drain(0..3);
    }
    inner.callbacks.extend([Box::new(opened) as Box<dyn Any>, Box::new(received), Box::new(closed)]);
}

fn on_open(shared: &Shared) {
    let inner = shared.borrow();
    inner.followed.keys().for_each(|id| inner.subscribe(*id));
    inner.report(Link::Open);
}

fn on_close(shared: &Shared) {
    let wait = {
        let mut inner = shared.borrow_mut();
        inner.socket = None;
        inner.tries += 1;
        inner.report(Link::Lost);
        let longest = (250u32 << inner.tries.min(6)).min(LONGEST_WAIT_MS);
        100 + (js_sys::Math::random() * f64::from(longest)) as u64
    };
    let me = shared.clone();
    set_timeout(move || connect(&me), Duration::from_millis(wait));
}

fn on_frame(shared: &Shared, text: &str) {
    let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else { return };
    match frame.kind {
        "hello" => on_hello(shared, frame.version),
        "signed_out" => {
            let mut inner = shared.borrow_mut();
            inner.over = true;
            if let Some(state) = inner.state {
                state.signed_out.try_set(true);
            }
        }
        "value" => {
            let value = frame.value.map_or("null", RawValue::get);
            if let Some(followed) = shared.borrow_mut().followed.get_mut(&frame.id) {
                followed.last = serde_json::from_str(value).ok();
            }
            deliver(shared, frame.id, Message::Value(value));
        }
        "difference" => on_difference(shared, frame.id, frame.difference.map_or("null", RawValue::get)),
        "lines" => {
            if let (Some(cursor), Some(followed)) = (frame.cursor, shared.borrow_mut().followed.get_mut(&frame.id)) {
                resume_after(&mut followed.topic, cursor);
            }
            deliver(shared, frame.id, Message::Lines(frame.lines.map_or("[]", RawValue::get)));
        }
        "dropped" => {
            let lines = frame.lines.and_then(|n| n.get().parse().ok()).unwrap_or(0);
            deliver(shared, frame.id, Message::Dropped(lines));
        }
        "end" => {
            deliver(shared, frame.id, Message::End);
            shared.borrow_mut().followed.remove(&frame.id);
        }
        "failed" => {
            let Some(error) = &frame.error else { return };
            // Server errors are temporary (a database restart): retry, so that nobody has to reload.
            if error.id == "internal_server_error" {
                return resubscribe_later(shared, frame.id);
            }
            deliver(shared, frame.id, Message::Failed(error));
            shared.borrow_mut().followed.remove(&frame.id);
        }
        _ => {}
    }
}

/// Applies a difference to the last value. If that is not possible, a new connection gets whole values: on this one, more
/// differences from values that are not here may be on their way.
fn on_difference(shared: &Shared, id: u32, difference: &str) {
    let value = {
        let mut inner = shared.borrow_mut();
        let Some(last) = inner.followed.get_mut(&id).and_then(|followed| followed.last.take()) else { return };
        let difference = serde_json::from_str::<Difference>(difference).ok();
        let Some(value) = difference.and_then(|difference| difference.apply(last)) else {
            inner.whole = true;
            if let Some(socket) = &inner.socket {
                let _ = socket.close();
            }
            return;
        };
        let text = value.to_string();
        if let Some(followed) = inner.followed.get_mut(&id) {
            followed.last = Some(value);
        }
        text
    };
    deliver(shared, id, Message::Value(&value));
}

/// Subscribes again after a delay, unless the subscription has ended by then.
fn resubscribe_later(shared: &Shared, id: u32) {
    let me = shared.clone();
    let subscribe = move || {
        me.borrow().subscribe(id);
    };
    set_timeout(subscribe, RETRY_AFTER);
}

fn on_hello(shared: &Shared, version: Option<String>) {
    let mut inner = shared.borrow_mut();
    inner.tries = 0;
    match (&inner.version, version) {
        (None, version) => inner.version = version,
        (Some(first), Some(now)) if *first != now => {
            if let Some(state) = inner.state {
                state.newer.try_set(true);
            }
        }
        _ => {}
    }
}

/// The subscriber is called with nothing borrowed: it may subscribe or end subscriptions.
fn deliver(shared: &Shared, id: u32, message: Message<'_>) {
    let sink = shared.borrow().followed.get(&id).map(|f| f.sink.clone());
    if let Some(sink) = sink {
        sink(message);
    }
}

fn resume_after(topic: &mut Topic, cursor: u64) {
    match topic {
        Topic::Logs { after, .. } | Topic::Build { after, .. } => *after = Some(cursor),
        Topic::Apps | Topic::App { .. } | Topic::Metrics { .. } | Topic::Platform | Topic::Changes => {}
    }
}
