//! A fixed pool of rows. Row k shows line i where i mod pool = k, so that scrolling by one line
//! touches one row. Rows are written directly to the document, without a signal for each.

use api::log_lines::{LogLevel, LogLine};
use chrono::Duration;
use leptos::prelude::document;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::{html, ring::Ring, search::Search};
use crate::words;

/// Height of a row in pixels, as in the style sheet.
pub const ROW_HEIGHT: f64 = 20.0;

struct Row {
    element: HtmlElement,
    bar: Element,
    time: Element,
    source: Element,
    text: Element,
    /// What it shows: position and number, if any.
    shows: Option<(u64, u64)>,
    marked: bool,
}

/// The settings for drawing rows.
pub struct RowSettings<'a> {
    /// Minutes from UTC to the reader's zone.
    pub offset: i32,
    pub search: &'a Search,
    pub selected: Option<u64>,
}

/// The rows in the document.
pub struct Rows(Vec<Row>);

fn child(of: &Element, tag: &str, class: &str) -> Option<Element> {
    let element = document().create_element(tag).ok()?;
    element.set_class_name(class);
    of.append_child(&element).ok()?;
    Some(element)
}

fn row(list: &Element) -> Option<Row> {
    let element = child(list, "li", "")?;
    let bar = child(&element, "span", "bar")?;
    let time = child(&element, "time", "")?;
    let source = child(&element, "span", "src")?;
    let text = child(&element, "span", "tx")?;
    let element = element.dyn_into().ok()?;
    Some(Row { element, bar, time, source, text, shows: None, marked: false })
}

/// The class for where a line comes from.
pub fn source_class(line: &LogLine) -> &'static str {
    match (line.source.as_str(), line.dyno.as_str()) {
        (_, "router") => "src info",
        ("heroku", _) => "src busy",
        _ => "src",
    }
}

/// The class for the mark of a bad line.
pub fn bar_class(line: &LogLine) -> &'static str {
    match line.level {
        LogLevel::Error => "bar bad",
        LogLevel::Warn => "bar warn",
        LogLevel::Info => "bar",
    }
}

impl Rows {
    /// `count` rows at the end of `list`.
    pub fn new(list: &Element, count: usize) -> Self {
        Self((0..count).filter_map(|_| row(list)).collect())
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Invalidates all rows, so that the next drawing rewrites them.
    pub fn invalidate(&mut self) {
        self.0.iter_mut().for_each(|row| row.shows = None);
    }

    /// Shows the lines from position `first`.
    pub fn draw(&mut self, ring: &Ring, first: usize, settings: &RowSettings<'_>) {
        let pool = self.0.len();
        for place in first..first + pool {
            // Counted from the very first line, so that dropping lines at the front moves no row.
            let absolute = ring.evicted() + place as u64;
            let row = &mut self.0[(absolute % pool.max(1) as u64) as usize];
            match ring.get(place) {
                Some(line) => row.show(line, place as u64, settings),
                None => row.hide(),
            }
        }
    }
}

impl Row {
    fn hide(&mut self) {
        if self.shows.take().is_some() || !self.element.has_attribute("hidden") {
            self.element.set_hidden(true);
            // Hidden rows are hidden from the browser's search and screen readers too.
            self.text.set_text_content(None);
        }
    }

    fn show(&mut self, line: &LogLine, place: u64, settings: &RowSettings<'_>) {
        let before = self.shows.replace((place, line.seq));
        if before.is_none() {
            self.element.set_hidden(false);
        }
        if before.map(|b| b.0) != Some(place) {
            let _ =
                self.element.set_attribute("style", &format!("transform:translateY({}px)", place as f64 * ROW_HEIGHT));
        }
        let marked = settings.selected == Some(line.seq);
        if marked != self.marked {
            self.marked = marked;
            self.element.set_class_name(if marked { "sel" } else { "" });
        }
        if before.map(|b| b.1) != Some(line.seq) {
            let local = line.at.naive_utc() + Duration::minutes(settings.offset.into());
            self.time.set_text_content(Some(&words::clock_millis(local)));
            self.source.set_text_content(Some(&line.dyno));
            self.source.set_class_name(source_class(line));
            self.bar.set_class_name(bar_class(line));
            self.text.set_inner_html(&html(line, |text| settings.search.find(text)));
        }
    }
}
