//! Output: tables, colours, times, sizes, JSON.
//!
//! Results go to stdout and messages to stderr, so that `--json` and pipes stay clean.
//! Colours are used only on a terminal, never with `NO_COLOR`. Much of the output is untrusted:
//! everything passes [`api::sanitize`] on its way out, to a terminal and to a file that may be
//! shown on one later. Only [`write_exactly`] bypasses it.

use std::{
    fmt::Display,
    io::{IsTerminal, Write},
};

use anyhow::{Context as _, Result, bail};
use api::sanitize;
use chrono::{DateTime, Local, Utc};
use serde::Serialize;

/// Prints a line to stdout, like `println!`, but exits quietly on a closed pipe.
macro_rules! out {
    ($($arg:tt)*) => { $crate::output::write(&format!("{}\n", format_args!($($arg)*))) };
}

/// Writes to stdout. A closed pipe (`wharf logs | head`) ends the command.
pub fn write(text: &str) {
    write_exactly(&sanitize::text(text));
}

/// Writes to stdout unchanged: output for programs, and text that is sanitized already.
pub fn write_exactly(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Writes to stderr, ignoring errors.
fn write_stderr(text: &str) {
    let mut stderr = std::io::stderr().lock();
    stderr.write_all(sanitize::text(text).as_bytes()).and_then(|()| stderr.flush()).ok();
}

/// Prints a note about the result to stderr.
pub fn note(text: impl Display) {
    write_stderr(&format!("{text}\n"));
}

/// Prints a warning to stderr.
pub fn warn(text: impl Display) {
    let arrow = Stderr.paint("33", " ▸    Warning:");
    note(format!("{arrow} {text}"));
}

/// Prints the reason why the command failed, in the format of Heroku's CLI.
pub fn fail(text: impl Display) {
    let arrow = Stderr.paint("31", " ▸   ");
    for line in text.to_string().lines() {
        note(format!("{arrow} {line}"));
    }
}

/// Prints `value` as JSON.
pub fn json<T: Serialize>(value: &T) -> Result<()> {
    print_json(&serde_json::to_string_pretty(value).context("write JSON")?);
    Ok(())
}

/// Prints serialized JSON. Terminal control characters are escaped, which JSON allows.
pub fn print_json(text: &str) {
    write_exactly(&format!("{}\n", sanitize::json(text)));
}

fn plain() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) || std::env::var_os("TERM").is_some_and(|t| t == "dumb")
}

/// Whether stdout gets colours.
pub fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && !plain()
}

struct Stderr;

impl Stderr {
    fn paint(&self, code: &str, text: &str) -> String {
        let coloured = std::io::stderr().is_terminal() && !plain();
        if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `text` for stdout in a colour, given as the number of an SGR sequence.
pub fn paint(code: &str, text: impl Display) -> String {
    if is_coloured() && !code.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
}

pub const BOLD: &str = "1";
pub const DIM: &str = "2";
pub const RED: &str = "31";
pub const GREEN: &str = "32";
pub const YELLOW: &str = "33";
pub const CYAN: &str = "36";
pub const NONE: &str = "";

/// The name of an app, as shown in messages on stderr.
pub fn app(name: &str) -> String {
    Stderr.paint("35", &format!("⬢ {name}"))
}

/// `=== text`, followed by an empty line.
pub fn heading(text: impl Display) {
    out!("{}{}\n", paint(DIM, "=== "), paint(BOLD, text));
}

/// Progress on stderr: `Doing x... done`. Dropped before [`Action::done`], it reports
/// failure.
pub struct Action {
    open: bool,
}

impl Action {
    /// Announces the action.
    pub fn start(what: impl Display) -> Self {
        write_stderr(&format!("{what}... "));
        Self { open: true }
    }

    /// Reports success.
    pub fn done(self) {
        self.done_with("");
    }

    /// Reports success, and prints `result` as JSON if requested.
    pub fn finish(self, as_json: bool, result: &impl Serialize) -> Result<()> {
        self.done();
        if as_json { json(result) } else { Ok(()) }
    }

    /// Reports success with a result.
    pub fn done_with(mut self, result: impl Display) {
        let result = result.to_string();
        let comma = if result.is_empty() { "" } else { ", " };
        write_stderr(&format!("done{comma}{result}\n"));
        self.open = false;
    }
}

impl Drop for Action {
    fn drop(&mut self) {
        if self.open {
            write_stderr(&format!("{}\n", Stderr.paint("31", "!")));
        }
    }
}

/// A table cell: text and its colour.
pub struct Cell {
    text: String,
    colour: &'static str,
}

impl Cell {
    /// Text in a colour.
    pub fn new(text: impl Display, colour: &'static str) -> Self {
        // A line break or a control character in a description must not break the table.
        Self { text: sanitize::word(&text.to_string()), colour }
    }
}

impl<T: Display> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, NONE)
    }
}

/// Rows in aligned columns.
pub struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these headings, or with rows only.
    pub fn new(heads: &[&'static str]) -> Self {
        Self { heads: heads.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// Prints it.
    pub fn print(&self) {
        write(&self.render());
    }

    fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0).max(self.heads.len());
        let width = |i: usize| {
            let cells = self.rows.iter().filter_map(|r| r.get(i)).map(|c| c.text.chars().count());
            cells.chain(self.heads.get(i).map(|h| h.chars().count())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        if !self.heads.is_empty() {
            let cells: Vec<Cell> = self.heads.iter().map(|h| Cell::new(h, DIM)).collect();
            line(&mut text, &cells, &widths);
        }
        for row in &self.rows {
            line(&mut text, row, &widths);
        }
        text
    }
}

fn line(out: &mut String, cells: &[Cell], widths: &[usize]) {
    let last = cells.iter().rposition(|c| !c.text.is_empty()).unwrap_or(0);
    for (i, cell) in cells.iter().enumerate().take(last + 1) {
        out.push_str(&paint(cell.colour, &cell.text));
        if i < last {
            out.extend(std::iter::repeat_n(' ', widths[i] - cell.text.chars().count() + 2));
        }
    }
    out.push('\n');
}

/// Prints aligned `Name:  value` lines; empty values are left out.
pub fn pairs(pairs: &[(&str, String)]) {
    let shown = pairs.iter().filter(|(_, value)| !value.is_empty());
    let width = shown.clone().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in shown {
        let gap = " ".repeat(width - name.chars().count());
        out!("{}{gap} {value}", paint(CYAN, format!("{name}:")));
    }
}

/// A human-readable size: `14.2 MB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 || value >= 100.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// How long ago `at` was: `5m ago`. For the future: `in 5m`.
pub fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - at).num_seconds();
    let span = span(seconds.unsigned_abs());
    match seconds {
        0.. => format!("{span} ago"),
        _ => format!("in {span}"),
    }
}

/// A duration in its largest unit.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A timestamp in local time and how long ago it was, in Heroku's format.
pub fn moment(at: DateTime<Utc>) -> String {
    let local = at.with_timezone(&Local).format("%Y/%m/%d %H:%M:%S %z");
    format!("{local} (~ {})", ago(at, Utc::now()))
}

/// Makes the user type `name` before something is destroyed, unless `--confirm` names it.
pub fn confirm(name: &str, given: Option<&str>, what: &str) -> Result<()> {
    let answer = match given {
        Some(given) => given.to_owned(),
        None if !std::io::stdin().is_terminal() => {
            bail!("{what} To skip the prompt, add: --confirm {name}")
        }
        None => {
            warn(what);
            write_stderr(&format!("To proceed, type {name} or run again with --confirm {name}\n> "));
            read_line()?
        }
    };
    if answer.trim() != name {
        bail!("Confirmation did not match {name}. Nothing was changed.");
    }
    Ok(())
}

/// Prompts for one line.
pub fn ask(question: &str) -> Result<String> {
    write_stderr(question);
    read_line()
}

fn read_line() -> Result<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("read from the terminal")?;
    Ok(line.trim().to_owned())
}

/// Whether stdout is a file or a pipe, where values must stay unchanged.
pub fn is_piped() -> bool {
    !std::io::stdout().is_terminal()
}

/// Quotes `text` for a POSIX shell if needed; control characters are written as `$'\x1b'`, which
/// shells read back.
pub fn shell_quote(text: &str) -> String {
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@,+%".contains(&b);
    if !text.is_empty() && text.bytes().all(safe) {
        return text.into();
    }
    if sanitize::text(text) == text && !text.contains('\x1b') {
        return format!("'{}'", text.replace('\'', "'\\''"));
    }
    let mut quoted = String::from("$'");
    for b in text.bytes() {
        match b {
            b'\'' | b'\\' => quoted.extend(['\\', b as char]),
            b' '..=b'~' => quoted.push(b as char),
            b => quoted.push_str(&format!("\\x{b:02x}")),
        }
    }
    quoted + "'"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_and_have_no_trailing_blanks() {
        let mut table = Table::new(&["Name", "State"]);
        table.row(["dusk-1".into(), "up".into()]);
        table.row(["ü".into(), "two\nlines".into()]);
        assert_eq!(table.render(), "Name    State\ndusk-1  up\nü       two lines\n");
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(14 * 1024 * 1024 + 200_000), "14.2 MB");
        assert_eq!(bytes(300 * 1024), "300 KB");
        let now = Utc::now();
        assert_eq!(ago(now - chrono::Duration::seconds(90), now), "1m ago");
        assert_eq!(ago(now + chrono::Duration::hours(3), now), "in 3h");
        assert_eq!(ago(now - chrono::Duration::days(3), now), "3d ago");
    }

    #[test]
    fn shell_words_are_quoted_when_needed() {
        assert_eq!(shell_quote("a=b"), "a=b");
        assert_eq!(shell_quote("it's"), "'it'\\''s'");
        assert_eq!(shell_quote(""), "''");
        assert_eq!(shell_quote("a\nb"), "'a\nb'");
        assert_eq!(shell_quote("it's \x1b[2J\u{202e}"), "$'it\\'s \\x1b[2J\\xe2\\x80\\xae'");
    }
}
