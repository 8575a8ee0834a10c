//! `/live`: the websocket of the console. Its messages are in `api::live`.
//!
//! Every subscription is authorized like a request, and has its own task; all of them end with the socket, and with the
//! session that opened it. Values that many of them show are computed once (`feeds`).

pub(crate) mod changes;
pub(crate) mod feed_list;
mod feeds;
pub(crate) mod followers;
mod out;
mod shown;

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, UNIX_EPOCH},
};

use api::{
    ids::{AppId, BuildId},
    live::{Changed, Difference, ToBrowser, ToServer, Topic},
};
use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::Response,
};
use base::{Error, Result, bounds, ends::Reader, routes::RequiredScope};
use futures::{SinkExt as _, StreamExt as _, future, pin_mut, stream::SplitSink};
use identity::{Actor, Can, credential_exists, credential_time_left, watch::Watch};
use platform::{log_lines, outputs};
use serde_json::Value;
use tokio::{
    sync::{Notify, mpsc},
    task::{AbortHandle, JoinSet},
};

use self::{
    feed_list::{FeedMessage, FeedSubject},
    out::{Out, Room, Waiting},
};
use crate::{Observe, lines};

/// The minimum interval between values; lines are collected for this long.
const TICK: Duration = Duration::from_millis(50);
const CREDIT: u64 = 2000;
const BATCH: usize = 500;
const MOST_TOPICS: usize = 32;
/// The maximum size of a browser's message, in bytes.
const MOST_SAID: usize = 16 << 10;
/// The maximum burst of messages from a browser, refilled every second.
const MOST_MESSAGES: f64 = 1000.0;
const MESSAGES_A_SECOND: f64 = 200.0;
/// A reader of a log that is this many lines behind gets only the newest [`TAIL`] of them.
const FAR_BEHIND: u64 = 20_000;
const TAIL: usize = 2000;
/// Proxies close connections that are silent for a minute.
const PING: Duration = Duration::from_secs(20);

/// How long to wait after a check of the session that has failed.
const AGAIN: Duration = Duration::from_secs(10);

/// `GET /live`
pub async fn live(State(observe): State<Observe>, actor: Actor, upgrade: WebSocketUpgrade) -> Result<Response> {
    let slot = observe.streams().try_take(actor.payer)?;
    let upgrade = upgrade.max_message_size(MOST_SAID).max_frame_size(MOST_SAID);
    Ok(upgrade.on_upgrade(async move |socket| {
        let _slot = slot;
        talk(observe, actor, socket).await;
    }))
}

/// The time from the start of rendering a page on the server until the page is subscribed.
const ON_ITS_WAY: chrono::Duration = chrono::Duration::seconds(5);

struct Subscription {
    task: AbortHandle,
    credit: Arc<Credit>,
    is_apps: bool,
}

async fn talk(observe: Observe, actor: Actor, socket: WebSocket) {
    let (sink, mut input) = socket.split();
    let (out, outbox) = out::channel();
    let mut tasks = JoinSet::new();
    let mut topics: HashMap<u32, Subscription> = HashMap::new();
    let mut ends = observe.session_ends(Reader::account(actor.account.id));
    // Access may have ended since the request was authorized.
    ends.check_now();
    let mut check_at = Instant::now();
    let sending = send(sink, outbox);
    pin_mut!(sending);
    let mut pace = Pace { left: MOST_MESSAGES, at: Instant::now() };
    let hello = ToBrowser::Hello { version: build().into() };
    out.try_send(&hello);
    loop {
        tokio::select! {
            () = &mut sending => return,
            message = input.next() => match message {
                Some(Ok(_)) if !pace.keeps() => return,
                Some(Ok(Message::Text(text))) => {
                    let Ok(said) = serde_json::from_str::<ToServer>(&text) else { return };
                    hear(&observe, &actor, said, &mut topics, &mut tasks, &out);
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            // Access of the credential's owner may have ended, or the token or session expires.
            _ = ends.due(check_at.saturating_duration_since(Instant::now())) => match lasts(&observe, &actor).await {
                Some(left) => check_at = Instant::now() + left,
                None => {
                    drop(tasks);
                    let last = async move { out.send(&ToBrowser::SignedOut).await };
                    let _ = tokio::time::timeout(Duration::from_secs(1), future::join(last, sending)).await;
                    return;
                }
            },
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
        }
    }
}

/// The message rate of a socket. A client that exceeds it is not the console.
struct Pace {
    left: f64,
    at: Instant,
}

impl Pace {
    fn keeps(&mut self) -> bool {
        let now = Instant::now();
        let back = now.duration_since(self.at).as_secs_f64() * MESSAGES_A_SECOND;
        (self.left, self.at) = ((self.left + back).min(MOST_MESSAGES) - 1.0, now);
        self.left >= 0.0
    }
}

/// How long the credential that the socket was opened with is valid without another check; `None` if it has ended.
/// A failed check does not close the socket, since its values are authorized repeatedly.
async fn lasts(observe: &Observe, actor: &Actor) -> Option<Duration> {
    match is_valid(observe, actor).await {
        Ok(true) => Some(credential_time_left(observe, Some(actor.credential.id())).await),
        Ok(false) => None,
        Err(err) => {
            tracing::info!(account.id = %actor.account.id, "could not check a session: {err}");
            Some(AGAIN)
        }
    }
}

/// Identifies the build: many builds have the same version.
fn build() -> &'static str {
    static BUILD: OnceLock<String> = OnceLock::new();
    BUILD.get_or_init(|| {
        // The file of this process, even if it has been replaced meanwhile.
        let file = std::fs::metadata("/proc/self/exe").ok();
        let written = file.as_ref().and_then(|f| f.modified().ok()?.duration_since(UNIX_EPOCH).ok());
        let (bytes, at) = (file.map_or(0, |f| f.len()), written.unwrap_or_default().as_millis());
        format!("{}+{bytes:x}.{at:x}", env!("CARGO_PKG_VERSION"))
    })
}

/// Whether the credential that the socket was opened with is still valid, and its owner has the same role.
async fn is_valid(observe: &Observe, actor: &Actor) -> Result<bool> {
    let account = store::accounts::account_info(observe.db(), actor.account.id).await?;
    let is_same = account.is_some_and(|account| account.admin == actor.account.admin);
    Ok(is_same && credential_exists(observe, actor.credential.id()).await?)
}

async fn send(mut sink: SplitSink<WebSocket, Message>, mut outbox: mpsc::Receiver<Waiting>) {
    loop {
        // Its space in the buffer is kept until it is sent.
        let (message, _room) = match tokio::time::timeout(PING, outbox.recv()).await {
            Ok(Some(Waiting { text, room })) => (Message::Text(text.into()), room),
            Ok(None) => {
                let _ = sink.close().await;
                return;
            }
            Err(_) => (Message::Ping(Vec::new().into()), None),
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
}

fn hear(
    observe: &Observe,
    actor: &Actor,
    said: ToServer,
    topics: &mut HashMap<u32, Subscription>,
    tasks: &mut JoinSet<()>,
    out: &Out,
) {
    topics.retain(|_, s| !s.task.is_finished());
    match said {
        ToServer::Subscribe { id, topic, differences } => {
            if let Err(Error::Public(error)) = begin((observe, actor), (id, topic, differences), topics, tasks, out) {
                out.try_send(&ToBrowser::Failed { id, error });
            }
        }
        ToServer::Unsubscribe { id } => {
            if let Some(old) = topics.remove(&id) {
                old.task.abort();
            }
        }
        ToServer::Credit { id, more } => {
            if let Some(topic) = topics.get(&id) {
                topic.credit.grant(more);
            }
        }
    }
}

/// Begins a subscription, replacing an existing one with its id.
fn begin(
    (observe, actor): (&Observe, &Actor),
    (id, topic, differences): (u32, Topic, bool),
    topics: &mut HashMap<u32, Subscription>,
    tasks: &mut JoinSet<()>,
    out: &Out,
) -> Result<()> {
    if let Some(old) = topics.remove(&id) {
        old.task.abort();
    }
    bounds::check(&serde_json::to_value(&topic).map_err(anyhow::Error::new)?)?;
    // There is one subscription to all apps: this one replaces an earlier one.
    let is_apps = topic == Topic::Apps;
    let former = topics.iter().find(|(_, other)| is_apps && other.is_apps).map(|(id, _)| *id);
    if let Some((id, other)) = former.and_then(|id| topics.remove_entry(&id)) {
        other.task.abort();
        out.try_send(&ToBrowser::End { id });
    }
    if topics.len() >= MOST_TOPICS {
        return Err(Error::too_many_tries(&format!("A page can have at most {MOST_TOPICS} subscriptions.")));
    }
    // A new subscription counts as a request.
    observe.rate_limits().take(actor.account.id, actor.payer, actor.credential, None)?;
    let slot = observe.feeds().subscriptions().try_take(actor.payer)?;
    let credit = Arc::new(Credit::default());
    let (observe, actor, out) = (observe.clone(), actor.clone(), out.clone());
    let follow = Follow { observe, actor, id, differences, out, credit: credit.clone() };
    let task = tasks.spawn(async move {
        let _slot = slot;
        follow.run(topic).await;
    });
    topics.insert(id, Subscription { task, credit, is_apps });
    Ok(())
}

/// The number of lines for which a reader has credit.
struct Credit {
    left: AtomicU64,
    granted: Notify,
}

impl Default for Credit {
    fn default() -> Self {
        Self { left: AtomicU64::new(CREDIT), granted: Notify::new() }
    }
}

impl Credit {
    fn grant(&self, more: u32) {
        self.left.fetch_add(u64::from(more), Ordering::Relaxed);
        self.granted.notify_one();
    }

    /// Waits for credit, and returns the number of lines.
    async fn room(&self) -> usize {
        loop {
            match self.left.load(Ordering::Relaxed) {
                0 => self.granted.notified().await,
                n => return usize::try_from(n).unwrap_or(usize::MAX).min(BATCH),
            }
        }
    }

    fn spend(&self, lines: usize) {
        let lines = lines as u64;
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_sub(lines)));
    }
}

/// The message for an internal error.
fn fault() -> api::Error {
    api::Error::new(500, "internal_server_error", "Internal error. Reload the page.")
}

/// One subscription.
struct Follow {
    observe: Observe,
    actor: Actor,
    id: u32,
    /// Whether the browser understands differences.
    differences: bool,
    out: Out,
    credit: Arc<Credit>,
}

impl Follow {
    async fn run(self, topic: Topic) {
        let outcome = match self.watch(&topic).await {
            Ok(Some((app, can, watch))) => tokio::select! {
                outcome = self.follow(topic) => outcome,
                () = watch.lost() => Err(self.actor.app(&app.to_string(), can).await.err().unwrap_or_else(Error::no_app)),
            },
            Ok(None) => self.follow(topic).await,
            Err(err) => Err(err),
        };
        let said = match outcome {
            Ok(()) => ToBrowser::End { id: self.id },
            Err(Error::Public(error)) => ToBrowser::Failed { id: self.id, error },
            Err(Error::Internal(err)) => {
                tracing::error!("could not follow a topic: {err:#}");
                ToBrowser::Failed { id: self.id, error: fault() }
            }
        };
        self.out.send(&said).await;
    }

    /// Watches the caller's access to a topic about an app.
    async fn watch(&self, topic: &Topic) -> Result<Option<(AppId, Can, Watch)>> {
        let (app, can) = match topic {
            Topic::App { app } | Topic::Metrics { app } => (app, Can::View),
            Topic::Logs { app, .. } | Topic::Build { app, .. } => (app, Can::Logs),
            Topic::Apps | Topic::Platform | Topic::Changes => return Ok(None),
        };
        let app = self.actor.app(app, can).await?.id;
        let watch = Watch::begin(&self.observe, self.actor.account.id, None, app, can).await?;
        Ok(Some((app, can, watch.ok_or_else(Error::no_app)?)))
    }

    async fn follow(&self, topic: Topic) -> Result<()> {
        match topic {
            Topic::Apps => self.feed(FeedSubject::Apps).await,
            Topic::App { app } => self.app(&app).await,
            Topic::Logs { app, filter, after, lines } => self.logs(&app, filter, after, lines).await,
            Topic::Build { app, build, after } => self.build(&app, build, after.unwrap_or(0)).await,
            Topic::Metrics { app } => self.metrics(&app).await,
            Topic::Platform => self.machinery().await,
            Topic::Changes => self.changes().await,
        }
    }

    /// Sends a value, or how it differs from the last one; nothing if they are equal. `false` if the socket is closed.
    async fn value(&self, value: Arc<Value>, last: &mut Option<Arc<Value>>) -> bool {
        let id = self.id;
        let message = match last.replace(value.clone()) {
            Some(last) if *last == *value => return true,
            Some(last) if self.differences => {
                Difference::between(&last, &value).map(|difference| ToBrowser::Difference { id, difference })
            }
            _ => Some(ToBrowser::Value { id, value: Value::clone(&value) }),
        };
        match message {
            Some(message) => self.out.send(&message).await,
            None => true,
        }
    }

    /// Forwards the messages of a feed.
    async fn feed(&self, shown: FeedSubject) -> Result<()> {
        let mut feed = feeds::follow(&self.observe, &self.actor, shown);
        let mut last = None;
        loop {
            let said = feed.borrow_and_update().clone();
            match said {
                FeedMessage::Nothing => {}
                FeedMessage::Value(value) => {
                    if !self.value(value, &mut last).await {
                        return Ok(());
                    }
                }
                FeedMessage::End => return Ok(()),
                FeedMessage::Failed(error) => return Err(Error::Public(error)),
            }
            if feed.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    async fn app(&self, app: &str) -> Result<()> {
        // By id: the app may be renamed while it is watched.
        let id = self.actor.app(app, Can::View).await?.id;
        self.feed(FeedSubject::App(id)).await
    }

    /// Sends the nouns of changes that the caller can see.
    async fn changes(&self) -> Result<()> {
        let mut follower = self.observe.followers().follow(self.actor.account.id);
        let newest = store::events::event_newest_at(self.observe.db()).await?;
        // A change during rendering is not on the page, and is not announced otherwise.
        let has_missed = newest.is_some_and(|at| chrono::Utc::now() - at < ON_ITS_WAY);
        let mut changed = Changed::default();
        if !self.changed(&changed).await {
            return Ok(());
        }
        changed.anything = has_missed;
        loop {
            let is_news = changed != Changed::default();
            if is_news && !self.changed(&changed).await {
                return Ok(());
            }
            let Some(next) = follower.next().await else { return Ok(()) };
            changed = next;
        }
    }

    async fn changed(&self, changed: &Changed) -> bool {
        let Ok(value) = serde_json::to_value(changed) else { return false };
        self.out.send(&ToBrowser::Value { id: self.id, value }).await
    }

    async fn machinery(&self) -> Result<()> {
        self.actor.scope.require(RequiredScope::Global)?;
        self.actor.must_administer()?;
        self.feed(FeedSubject::Platform).await
    }

    async fn lines<T: serde::Serialize>(&self, room: Room, lines: &[T], cursor: u64) -> bool {
        self.credit.spend(lines.len());
        self.out.lines(room, self.id, lines, cursor).await
    }

    /// Waits until there is space in the buffer for lines; returns how many, and the space. `None` if the socket is
    /// closed.
    async fn room(&self) -> Option<(usize, Room)> {
        let lines = self.credit.room().await;
        Some((lines, self.out.room().await?))
    }

    async fn logs(&self, app: &str, filter: logs::Filter, after: Option<u64>, lines: Option<u32>) -> Result<()> {
        let app = self.actor.app(app, Can::Logs).await?.id;
        let history = self.observe.history().clone();
        let newest = *history.subscribe(app).map_err(log_lines::refused)?.borrow();
        let start = match after {
            Some(seq) => seq,
            None => match self.past(app, &filter, newest, lines.unwrap_or(500).min(2000) as usize).await? {
                Some(end) => end,
                None => return Ok(()),
            },
        };
        let mut tail = history.tail(app, start, &filter).map_err(log_lines::refused)?;
        loop {
            let Some((most, room)) = self.room().await else { return Ok(()) };
            let lag = tail.lag();
            // A rare text may be after a gigabyte of lines: a search that finds nothing in one turn continues in the
            // next.
            let turn = move |budget: &logs::Budget| {
                // A reader that is far behind gets the number of missed lines instead of all of them.
                let skipped = if tail.lag() > FAR_BEHIND { tail.skip(TAIL, budget)? } else { 0 };
                let batch = tail.read(most, budget)?.into_iter().map(api::log_lines::LogLine::from);
                let batch: Vec<_> = batch.collect();
                Ok((tail, skipped, batch))
            };
            let (back, skipped, batch) = log_lines::read_on(&self.observe, self.actor.payer, lag, turn).await?;
            tail = back;
            if skipped > 0 {
                self.out.send(&ToBrowser::Dropped { id: self.id, lines: skipped }).await;
            }
            if batch.is_empty() {
                drop(room);
                if !tail.changed().await {
                    return Ok(());
                }
                tokio::time::sleep(TICK).await;
            } else if !self.lines(room, &batch, tail.seq()).await {
                return Ok(());
            }
        }
    }

    /// Sends the last lines of a log. Returns the last one that was read; `None` if the socket is closed.
    async fn past(&self, app: AppId, filter: &logs::Filter, newest: u64, last: usize) -> Result<Option<u64>> {
        let (history, filter) = (self.observe.history().clone(), filter.clone());
        let find = move |budget: &logs::Budget| {
            let budget = budget.clone();
            history.read(app, &logs::Query { filter, last: Some(last), budget, ..logs::Query::default() })
        };
        let mut past = log_lines::search(&self.observe, self.actor.payer, find).await?;
        let mut end = 0;
        loop {
            let Some(room) = self.out.room().await else { return Ok(None) };
            let turn = move |budget: &logs::Budget| {
                past.go_on(budget.clone());
                let (batch, is_over) = lines::take(&mut past, BATCH, None);
                Ok((past, batch, is_over))
            };
            let (back, batch, is_over) = log_lines::read_on(&self.observe, self.actor.payer, 0, turn).await?;
            past = back;
            end = batch.last().map_or(end, |line| line.seq);
            let batch: Vec<_> = batch.into_iter().map(api::log_lines::LogLine::from).collect();
            let cursor = if is_over { end.max(newest) } else { end };
            // Sent even if it is empty, since the browser waits for it.
            if (is_over || !batch.is_empty()) && !self.lines(room, &batch, cursor).await {
                return Ok(None);
            }
            if is_over {
                return Ok(Some(cursor));
            }
        }
    }

    async fn build(&self, app: &str, build: BuildId, after: u64) -> Result<()> {
        let app = self.actor.app(app, Can::Logs).await?;
        let found = store::builds::build_info(self.observe.db(), build).await?.filter(|b| b.app_id == app.id);
        found.ok_or_else(|| Error::not_found("build", "Couldn't find that build."))?;
        let output = outputs::follow(self.observe.platform().clone(), outputs::Output::of_build(app.id, build), after);
        pin_mut!(output);
        let mut whole = lines::of_output(after);
        while let Some(chunk) = output.next().await {
            whole.push(&chunk?);
            while whole.has_next() {
                let Some((most, room)) = self.room().await else { return Ok(()) };
                let batch = lines::batch(&mut whole, most);
                if !self.lines(room, &batch, whole.at()).await {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn metrics(&self, app: &str) -> Result<()> {
        let app = self.actor.app(app, Can::View).await?.id;
        let mut points = self.observe.series().subscribe();
        loop {
            match points.recv().await {
                Ok((id, point)) if id == app => {
                    let cursor = point.at.timestamp().unsigned_abs();
                    let Some(room) = self.out.room().await else { return Ok(()) };
                    if !self.lines(room, &[api::metrics::MetricPoint::from(&point)], cursor).await {
                        return Ok(());
                    }
                }
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return Ok(()),
                _ => {}
            }
        }
    }
}
