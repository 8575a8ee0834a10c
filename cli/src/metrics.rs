//! `metrics`: metrics as numbers and sparklines.

use std::collections::BTreeSet;

use anyhow::Result;
use api::metrics::{MetricPoint, Metrics, MetricsQuery, ProcessPoint};
use chrono::{Duration, Utc};
use clap::Args;

use crate::{
    context::{AppFlags, Context},
    output::{self, Cell, DIM, Table, bytes, heading, span},
    when,
};

/// Blocks of a sparkline, from zero to the maximum.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Width of a sparkline.
const WIDTH: usize = 60;

/// Shows requests, response times, memory and CPU of an app
#[derive(Args)]
pub struct Show {
    #[command(flatten)]
    app: AppFlags,
    /// Start of the range [default: 1h]
    #[arg(long, value_name = "TIME", default_value = "1h", hide_default_value = true)]
    since: String,
    /// End of the range [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Show {
    /// `metrics`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let now = Utc::now();
        let from = when::parse(&self.since, now)?;
        let to = self.until.as_deref().map(|t| when::parse(t, now)).transpose()?;
        let name = self.app.app(cx)?;
        let query = MetricsQuery { from: Some(from), to, step: None };
        let metrics = cx.client()?.metrics_info(&name, &query).await?;
        if cx.json {
            return output::json(&metrics);
        }
        let seconds = (metrics.to - metrics.from).num_seconds().unsigned_abs();
        heading(format!("{name} Metrics of {}", span(seconds)));
        show(&metrics);
        Ok(())
    }
}

fn show(metrics: &Metrics) {
    if metrics.points.is_empty() {
        out!("No metrics in this range.");
        return;
    }
    let sum = |of: fn(&MetricPoint) -> u64| metrics.points.iter().map(of).sum::<u64>();
    let classes = [
        ("2xx", sum(|p| p.requests_2xx)),
        ("3xx", sum(|p| p.requests_3xx)),
        ("4xx", sum(|p| p.requests_4xx)),
        ("5xx", sum(|p| p.requests_5xx)),
    ];
    let requests: u64 = classes.iter().map(|(_, n)| n).sum();
    let by_class = classes.iter().filter(|(_, n)| *n > 0).map(|(class, n)| format!("{class}: {n}"));
    let mut table = Table::new(&[]);
    let mut row =
        |name: String, text: String, line: String| table.row([name.into(), text.into(), Cell::new(line, DIM)]);
    let line = spark(metrics, |p| Some((p.requests_2xx + p.requests_3xx + p.requests_4xx + p.requests_5xx) as f64));
    row("Requests".into(), format!("{requests}  {}", by_class.collect::<Vec<_>>().join(" ")), line);
    let errors = errors(metrics);
    if !errors.is_empty() {
        row("Errors".into(), errors, String::new());
    }
    for (name, of) in
        [("p50", (|p| p.p50_ms) as fn(&MetricPoint) -> Option<f64>), ("p95", |p| p.p95_ms), ("p99", |p| p.p99_ms)]
    {
        let most = metrics.points.iter().filter_map(of).fold(0.0, f64::max);
        row(format!("Response {name}"), format!("max {most:.0} ms"), spark(metrics, of));
    }
    let most = metrics.points.iter().map(|p| p.queue_max).max().unwrap_or(0);
    row("Concurrent".into(), format!("max {most}"), spark(metrics, |p| Some(p.queue_max as f64)));
    for kind in metrics.points.iter().flat_map(|p| p.processes.keys()).collect::<BTreeSet<_>>() {
        let of = |p: &MetricPoint| p.processes.get(kind).copied();
        let last = metrics.points.iter().rev().find_map(of).unwrap_or_default();
        row(format!("{kind} memory"), memory(last), spark(metrics, |p| Some(of(p)?.memory as f64)));
        row(format!("{kind} CPU"), format!("{:.2} cores", last.cpu), spark(metrics, |p| Some(of(p)?.cpu)));
    }
    table.print();
    for event in &metrics.events {
        let at = event.at.with_timezone(&chrono::Local).format("%Y/%m/%d %H:%M:%S");
        out!("{}", output::paint(DIM, format!("{at} {}: {}", event.kind, event.text)));
    }
}

fn memory(point: ProcessPoint) -> String {
    let quota = if point.memory_quota > 0 { format!(" of {}", bytes(point.memory_quota)) } else { String::new() };
    format!("{}{quota}, {} dyno{}", bytes(point.memory), point.dynos, if point.dynos == 1 { "" } else { "s" })
}

fn errors(metrics: &Metrics) -> String {
    let mut codes = std::collections::BTreeMap::<&str, u64>::new();
    for (code, n) in metrics.points.iter().flat_map(|p| &p.errors) {
        *codes.entry(code).or_default() += n;
    }
    codes.iter().map(|(code, n)| format!("{code}: {n}")).collect::<Vec<_>>().join("  ")
}

/// The maximum of each of [`WIDTH`] intervals; gaps stay empty.
fn spark(metrics: &Metrics, of: impl Fn(&MetricPoint) -> Option<f64>) -> String {
    let whole = (metrics.to - metrics.from).max(Duration::milliseconds(1)).num_milliseconds() as f64;
    let mut columns = [None::<f64>; WIDTH];
    for point in &metrics.points {
        let place = (point.at - metrics.from).num_milliseconds() as f64 / whole * WIDTH as f64;
        let column = &mut columns[(place.max(0.0) as usize).min(WIDTH - 1)];
        if let Some(value) = of(point) {
            *column = Some(column.map_or(value, |old| old.max(value)));
        }
    }
    blocks(&columns)
}

fn blocks(columns: &[Option<f64>]) -> String {
    let most = columns.iter().flatten().copied().fold(0.0, f64::max);
    let block = |value: f64| match most {
        0.0 => BLOCKS[0],
        most => BLOCKS[((value / most * 7.0).round() as usize).min(7)],
    };
    columns.iter().map(|c| c.map_or(' ', block)).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparklines_show_gaps_and_the_maximum() {
        assert_eq!(blocks(&[Some(0.0), None, Some(5.0), Some(10.0), None]), "▁ ▅█");
        assert_eq!(blocks(&[Some(0.0), Some(0.0)]), "▁▁");
        assert_eq!(blocks(&[None, None]), "");
    }
}
