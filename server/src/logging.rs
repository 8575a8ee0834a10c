//! Log lines on standard error: readable, or JSON on request.
//!
//! ```text
//! 18:30:01.123 router  warn: could not reach the server, error=connection refused
//! ```

use std::{
    fmt,
    io::{self, IsTerminal},
};

use anyhow::{Context, Result};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

use crate::config::{LogFormat, Settings};

/// Libraries that are verbose at `info`.
const QUIET: &str = "hyper=warn,sqlx=warn,leptos=warn,tower_sessions=warn,tower_http=warn";

/// Starts logging for `role`. Lines that cannot be written are silently dropped:
/// a role may outlive its terminal.
pub fn start(role: &'static str, settings: &Settings) -> Result<()> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", settings.log))
        .with_context(|| format!("invalid --log {:?}; use a level such as info, or router=debug", settings.log))?;
    // Journals and files would contain the colour codes.
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(io::stderr().is_terminal());
    let lines = lines.with_writer(io::stderr).log_internal_errors(false);
    let started = match settings.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
        LogFormat::Text => lines.event_format(Readable { role }).try_init(),
    };
    started.map_err(anyhow::Error::from_boxed).context("start logging")
}

struct Readable {
    role: &'static str,
}

impl<S, N> FormatEvent<S, N> for Readable
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        // `2026-11-24T18:30:01.123456Z`: the date is in every journal already.
        write!(out, "{} {:<6} {}", time.get(11..23).unwrap_or(&time), self.role, level(event.metadata().level()))?;
        ctx.field_format().format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

fn level(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "error: ",
        Level::WARN => "warn: ",
        Level::INFO => "",
        Level::DEBUG => "debug: ",
        Level::TRACE => "trace: ",
    }
}
