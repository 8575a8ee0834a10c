//! The lines themselves: a window onto a ring buffer, drawn once per frame.

use std::{cell::RefCell, rc::Rc};

use api::{
    live::Topic,
    log_lines::{LogFilter, LogLine, LogLinesQuery},
};
use leptos::{ev, html, prelude::*};
use pages_app::app_frame::ThisApp;
use send_wrapper::SendWrapper;
use ui::{
    clock::Clock,
    data::client,
    live::{Live, Message, Subscription},
    parts::{
        Icon, Show,
        log::{ROW_HEIGHT, Ring, Rows, Search, html as markup, rows},
    },
    words,
};

use super::{Position, Reading, page_at};

/// Lines per request of history.
const PAGE: u32 = 500;
/// Lines at the start of a new subscription.
const TAIL: u32 = 1_000;

/// State that changes too often for signals.
#[derive(Default)]
struct State {
    ring: Ring,
    rows: Option<Rows>,
    /// Lines received but not drawn yet; credit for them is granted once they are.
    undrawn: u32,
    scheduled: bool,
    last_top: f64,
    subscription: Option<Subscription>,
    loading: bool,
    /// A generation counter, so that late responses for an earlier position are ignored.
    part: u64,
    /// Whether the oldest and the newest line of the history are loaded.
    at_start: bool,
    at_end: bool,
}

type Shared = SendWrapper<Rc<RefCell<State>>>;

/// The viewer's interface for buttons and keys.
#[derive(Clone, Copy)]
pub struct Viewer {
    app: ThisApp,
    reading: Reading,
    first: StoredValue<Vec<LogLine>>,
    // Created in the browser only, after hydration.
    state: StoredValue<Option<Shared>>,
    scroller: NodeRef<html::Div>,
    list: NodeRef<html::Ol>,
    /// Whether the view follows the newest line.
    pub follow: RwSignal<bool>,
    /// Lines on the page.
    pub length: RwSignal<usize>,
    /// Lines received while the view was paused.
    pub unseen: RwSignal<usize>,
    /// Lines dropped because they arrived too fast.
    pub missed: RwSignal<u64>,
    pub selected: RwSignal<Option<LogLine>>,
    mounted: RwSignal<bool>,
    error: RwSignal<Option<String>>,
}

impl Viewer {
    /// A viewer that starts with `first`.
    pub fn new(app: ThisApp, reading: Reading, first: Vec<LogLine>) -> Self {
        let viewer = Self {
            app,
            reading,
            length: RwSignal::new(first.len()),
            first: StoredValue::new(first),
            state: StoredValue::new(None),
            scroller: NodeRef::new(),
            list: NodeRef::new(),
            follow: RwSignal::new(reading.position.get_untracked() == Position::Newest),
            unseen: RwSignal::new(0),
            missed: RwSignal::new(0),
            selected: RwSignal::new(None),
            mounted: RwSignal::new(false),
            error: RwSignal::new(None),
        };
        viewer.run();
        viewer
    }

    /// The position in the log.
    pub fn reading(self) -> Reading {
        self.reading
    }

    fn with<R>(self, f: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.state.try_with_value(|state| state.as_ref().map(|state| f(&mut state.borrow_mut()))).flatten()
    }

    /// Starts once the page is shown, and again when the position changes.
    fn run(self) {
        let client = StoredValue::new(client());
        let live = Live::of_page();
        Effect::new(move |before: Option<()>| {
            let (name, filter, position) =
                (self.app.name.get(), self.reading.filter.get(), self.reading.position.get());
            let Some(scroller) = self.scroller.get() else { return };
            if before.is_none() || self.state.with_value(Option::is_none) {
                self.mount(scroller.client_height());
            } else {
                self.with(|s| {
                    s.ring.clear();
                    (s.at_start, s.at_end, s.loading, s.subscription) = (false, false, false, None);
                    s.part += 1;
                    if let Some(rows) = &mut s.rows {
                        rows.invalidate();
                    }
                });
                self.missed.set(0);
                self.selected.set(None);
            }
            self.unseen.set(0);
            self.error.set(None);
            match position {
                Position::Newest => self.subscribe(&live, name, filter),
                Position::At(_) | Position::Line(_) => {
                    self.load(client.get_value(), name, page_at(&filter, position, PAGE), position)
                }
            }
            self.schedule();
        });
        on_cleanup(move || drop(self.state.try_update_value(Option::take)));
    }

    fn mount(self, height: i32) {
        let Some(list) = self.list.get_untracked() else { return };
        let count = (f64::from(height.max(window_height())) / ROW_HEIGHT).ceil() as usize + 4;
        let mut state = State { rows: Some(Rows::new(&list, count)), ..State::default() };
        state.ring.push(self.first.get_value());
        self.state.set_value(Some(SendWrapper::new(Rc::new(RefCell::new(state)))));
        self.mounted.set(true);
    }

    fn subscribe(self, live: &Live, app: String, filter: LogFilter) {
        let after = self.with(|s| s.ring.last()).flatten();
        let topic = Topic::Logs { app, filter, after, lines: after.is_none().then_some(TAIL) };
        let subscription = live.subscribe(topic, move |message| match message {
            Message::Lines(json) => {
                if let Ok(lines) = serde_json::from_str::<Vec<LogLine>>(json) {
                    self.take(lines);
                }
            }
            Message::Dropped(n) => {
                let _ = self.missed.try_update(|missed| *missed += n);
            }
            Message::Failed(error) => {
                self.error.try_set(Some(error.message.clone()));
            }
            Message::Value(_) | Message::End => {}
        });
        self.with(|s| s.subscription = Some(subscription));
    }

    fn take(self, lines: Vec<LogLine>) {
        let count = lines.len();
        let gone = self.with(|s| {
            s.undrawn += count as u32;
            s.ring.push(lines)
        });
        if self.follow.try_get_untracked() == Some(false) {
            let _ = self.unseen.try_update(|n| *n += count);
            if let Some(gone) = gone.filter(|gone| *gone > 0) {
                self.shift(-(gone as f64) * ROW_HEIGHT);
            }
        }
        self.schedule();
    }

    /// Loads a page of history; the request determines where it belongs.
    fn load(self, client: api::Client, app: String, query: LogLinesQuery, position: Position) {
        let older = query.before.is_some();
        let Some((false, part)) = self.with(|s| (std::mem::replace(&mut s.loading, true), s.part)) else { return };
        let request = client.log_line_list(&app, &query);
        leptos::task::spawn_local(async move {
            let result = request.await;
            let Some(added) = self.with(|s| {
                if s.part != part {
                    return 0;
                }
                s.loading = false;
                let lines = match &result {
                    Ok(lines) => lines.clone(),
                    Err(_) => return 0,
                };
                let few = lines.len() < PAGE as usize;
                if older {
                    s.at_start = few;
                    s.ring.push_older(lines)
                } else {
                    s.at_end = few;
                    s.ring.push(lines);
                    0
                }
            }) else {
                return;
            };
            if let Err(error) = result {
                self.error.try_set(Some(error.message));
            }
            if older && added > 0 {
                self.shift(added as f64 * ROW_HEIGHT);
            }
            if let Position::Line(seq) = position {
                self.reveal(seq);
            }
            self.schedule();
        });
    }

    /// Keeps the visible lines in place although lines were added or removed above.
    fn shift(self, by: f64) {
        self.update_height();
        if let Some(Some(scroller)) = self.scroller.try_get_untracked() {
            scroller.set_scroll_top(scroller.scroll_top() + by as i32);
            self.with(|s| {
                s.last_top = f64::from(scroller.scroll_top());
                if let Some(rows) = &mut s.rows {
                    rows.invalidate();
                }
            });
        }
    }

    fn update_height(self) {
        if let (Some(length), Some(Some(list))) = (self.with(|s| s.ring.len()), self.list.try_get_untracked()) {
            let _ = list.set_attribute("style", &format!("height:{}px", length as f64 * ROW_HEIGHT));
        }
    }

    /// Scrolls to a line and marks it.
    fn reveal(self, seq: u64) {
        let Some(Some((position, line))) = self.with(|s| s.ring.find(seq).map(|i| (i, s.ring.get(i).cloned()))) else {
            return;
        };
        self.follow.set(false);
        self.selected.set(line);
        self.update_height();
        if let Some(scroller) = self.scroller.get_untracked() {
            let middle = position as f64 * ROW_HEIGHT - f64::from(scroller.client_height()) / 2.0;
            scroller.set_scroll_top(middle.max(0.0) as i32);
        }
    }

    /// Draws in the next frame, once.
    pub fn schedule(self) {
        if self.with(|s| std::mem::replace(&mut s.scheduled, true)) == Some(false) {
            request_animation_frame(move || self.tick());
        }
    }

    fn tick(self) {
        let (Some(Some(scroller)), Some(follow)) = (self.scroller.try_get_untracked(), self.follow.try_get_untracked())
        else {
            return;
        };
        self.update_height();
        if follow {
            scroller.set_scroll_top(scroller.scroll_height());
        }
        let top = f64::from(scroller.scroll_top());
        let offset = Clock::offset_now();
        let search = self.reading.filter.with_untracked(Search::of);
        let selected = self.selected.with_untracked(|line| line.as_ref().map(|l| l.seq));
        let drawn = self.with(|s| {
            s.scheduled = false;
            s.last_top = top;
            let first = (top / ROW_HEIGHT) as usize;
            let State { ring, rows, .. } = s;
            if let Some(rows) = rows {
                let first = first.min(ring.len().saturating_sub(rows.len().saturating_sub(3)));
                rows.draw(ring, first, &rows::RowSettings { offset, search: &search, selected });
            }
            // While paused, accept no more lines than fit.
            let credit = if follow || !s.ring.is_full() { std::mem::take(&mut s.undrawn) } else { 0 };
            (s.ring.len(), credit, s.subscription.clone())
        });
        let Some((length, credit, subscription)) = drawn else { return };
        if length != self.length.get_untracked() {
            self.length.set(length);
        }
        if let (true, Some(subscription)) = (credit > 0, subscription) {
            subscription.credit(credit);
        }
    }

    fn scrolled(self, client: &api::Client) {
        let Some(scroller) = self.scroller.get_untracked() else { return };
        let top = f64::from(scroller.scroll_top());
        let below = f64::from(scroller.scroll_height() - scroller.client_height()) - top;
        let live = self.reading.position.get_untracked() == Position::Newest;
        let before = self.with(|s| s.last_top).unwrap_or(0.0);
        if live && below <= 2.0 {
            self.set_follow(true);
        } else if top < before - 2.0 {
            self.follow.set(false);
        }
        self.schedule();
        let Some((first, last, at_start, at_end)) =
            self.with(|s| (s.ring.first(), s.ring.last(), s.at_start, s.at_end))
        else {
            return;
        };
        let filter = self.reading.filter.get_untracked();
        let mut query = LogLinesQuery { filter, lines: Some(PAGE), ..Default::default() };
        if top < 400.0 && !at_start && first.is_some() && !self.follow.get_untracked() {
            query.before = first;
        } else if !live && below < 400.0 && !at_end && last.is_some() {
            query.after = last;
        } else {
            return;
        }
        self.load(client.clone(), self.app.name.get_untracked(), query, Position::Newest);
    }

    /// Scrolls to the newest line, or keeps the visible lines in place.
    pub fn set_follow(self, on: bool) {
        if on {
            self.unseen.set(0);
            if self.reading.position.get_untracked() != Position::Newest {
                self.reading.position.set(Position::Newest);
            }
        }
        self.follow.set(on);
        self.schedule();
    }

    /// Marks the line at a position in the window; `y` is in pixels from the top of all lines.
    fn select_at(self, y: f64) {
        let line = self.with(|s| s.ring.get((y / ROW_HEIGHT) as usize).cloned()).flatten();
        if let Some(line) = line {
            self.selected.set(Some(line));
            self.follow.set(false);
            self.schedule();
        }
    }

    /// Marks another line: `by` lines further, or the next one that `fits`.
    fn step(self, by: i64, fits: fn(&LogLine) -> bool) {
        let from = self.selected.with_untracked(|line| line.as_ref().map(|l| l.seq));
        let found = self.with(|s| {
            let length = s.ring.len() as i64;
            let mut i = match from.and_then(|seq| s.ring.find(seq)) {
                Some(i) => i as i64 + by,
                None => {
                    if by < 0 {
                        length - 1
                    } else {
                        (s.last_top / ROW_HEIGHT) as i64
                    }
                }
            };
            while (0..length).contains(&i) {
                if let Some(line) = s.ring.get(i as usize).filter(|line| fits(line)) {
                    return Some(line.seq);
                }
                i += by;
            }
            None
        });
        if let Some(Some(seq)) = found {
            self.reveal(seq);
            self.schedule();
        }
    }

    /// All lines on the page as text, in Heroku's format.
    pub fn text(self) -> String {
        self.with(|s| s.ring.iter().map(|line| format!("{line}\n")).collect()).unwrap_or_default()
    }

    fn key(self, ev: &ev::KeyboardEvent) {
        if ev.ctrl_key() || ev.meta_key() || ev.alt_key() {
            return;
        }
        let bad = |line: &LogLine| line.level >= api::log_lines::LogLevel::Warn;
        match ev.key().as_str() {
            " " => self.set_follow(!self.follow.get_untracked()),
            "g" | "G" | "End" => self.set_follow(true),
            "n" => self.step(1, bad),
            "N" => self.step(-1, bad),
            "j" | "ArrowDown" => self.step(1, |_| true),
            "k" | "ArrowUp" => self.step(-1, |_| true),
            "Escape" => self.selected.set(None),
            _ => return,
        }
        ev.prevent_default();
        ev.stop_propagation();
        self.schedule();
    }
}

fn window_height() -> i32 {
    window().inner_height().ok().and_then(|h| h.as_f64()).unwrap_or(900.0) as i32
}

/// The window onto the lines, the details of the marked line, and the footer.
#[component]
pub fn ViewerView(viewer: Viewer, children: Children) -> impl IntoView {
    let client = client();
    let clock = Clock::of_page();
    let clicked = move |ev: ev::MouseEvent| {
        if let Some(list) = viewer.list.get_untracked() {
            viewer.select_at(f64::from(ev.client_y()) - list.get_bounding_client_rect().top());
        }
    };
    view! {
        <div class="vl">
            <div
                class="log vlog"
                tabindex="0"
                role="log"
                aria-live="off"
                aria-label="Log lines"
                aria-keyshortcuts="Space G N Shift+N"
                id="log"
                node_ref=viewer.scroller
                on:scroll=move |_| viewer.scrolled(&client)
                on:click=clicked
                on:keydown=move |ev| viewer.key(&ev)
            >
                <Show when=move || !viewer.mounted.get()>
                    <ol>{viewer.first.get_value().into_iter().map(|line| view! {
                        <li>
                            <span class=rows::bar_class(&line)></span>
                            <time>{words::clock_millis(clock.local(line.at))}</time>
                            <span class=rows::source_class(&line)>{line.dyno.clone()}</span>
                            <span class="tx" inner_html=markup(&line, |_| None)></span>
                        </li>
                    }).collect_view()}</ol>
                </Show>
                <ol class="win" node_ref=viewer.list></ol>
                <Show when=move || viewer.length.get() == 0>
                    <p class="small dim" style="padding:12px var(--gutter);font-family:var(--font-sans)">
                        {move || if viewer.reading.filter.with(|f| *f == LogFilter::default()) { "No log lines yet." } else { "No lines match this filter." }}
                    </p>
                </Show>
            </div>
            {move || viewer.error.get().map(|why| view! { <p class="note bad small" role="alert">{why}</p> })}
            <Show when=move || !viewer.follow.get()>
                <button class="btn pri more-new" type="button" on:click=move |_| viewer.set_follow(true)>
                    <Icon name="down" size="i-s"/>
                    {move || match viewer.unseen.get() {
                        0 => "Jump to newest".to_owned(),
                        n => format!("Paused. {}", words::count(n, "new line", "new lines")),
                    }}
                </button>
            </Show>
        </div>
        {children()}
        <div class="lf">
            <span>{move || words::count(viewer.length.get(), "line", "lines")}" loaded"</span>
            <Show when=move || { viewer.missed.get() > 0 }>
                <span class="t-warn">{move || words::count(viewer.missed.get() as usize, "line", "lines")}" left out: they arrived faster than they can be displayed. They are in the history."</span>
            </Show>
            <span class="push hide-p"><kbd>"/"</kbd>" search "<kbd>"Space"</kbd>" pause "<kbd>"N"</kbd>" next problem "<kbd>"G"</kbd>" newest"</span>
        </div>
    }
    .into_any()
}
