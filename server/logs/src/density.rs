//! The number of lines over time.

use chrono::{DateTime, Utc};

use crate::filter::Matcher;
use crate::line::Record;
use crate::stream::Stream;
use crate::{Bucket, Budget, Error, Filter, Level, Result, segment};

const MAX_BUCKETS: usize = 10_000;

/// Equal intervals from `from` to `to`.
struct Axis {
    from_us: i64,
    to_us: i64,
    buckets: usize,
}

impl Axis {
    /// The interval of a time within the range.
    fn bucket(&self, at_us: i64) -> usize {
        let into = i128::from(at_us) - i128::from(self.from_us);
        let length = i128::from(self.to_us) - i128::from(self.from_us);
        (into * self.buckets as i128 / length) as usize
    }
}

/// Counts matching lines and errors. Blocks within one interval are counted without reading them.
pub(crate) fn count(
    stream: &Stream,
    filter: &Filter,
    range: (DateTime<Utc>, DateTime<Utc>),
    buckets: usize,
    budget: &Budget,
) -> Result<Vec<Bucket>> {
    let axis = Axis { from_us: range.0.timestamp_micros(), to_us: range.1.timestamp_micros(), buckets };
    if axis.to_us <= axis.from_us {
        let sentence = "The time range is empty: its end must be after its start.";
        return Err(Error::Filter(sentence.to_owned()));
    }
    if !(1..=MAX_BUCKETS).contains(&buckets) {
        let sentence = format!("Request 1 to {MAX_BUCKETS} intervals, not {buckets}.");
        return Err(Error::Filter(sentence));
    }
    let matcher = Matcher::new(&Filter {
        since: filter.since.max(Some(range.0)),
        until: filter.until.map_or(Some(range.1), |until| Some(until.min(range.1))),
        ..filter.clone()
    })?;
    let mut counts = vec![Bucket::default(); buckets];
    let (views, _) = stream.views(&matcher)?;
    for view in views {
        for block in view.blocks(&matcher) {
            budget.check()?;
            if matcher.passes_all(&block) && axis.bucket(block.min_us) == axis.bucket(block.max_us) {
                let count = &mut counts[axis.bucket(block.min_us)];
                count.lines += u64::from(block.lines);
                count.errors += u64::from(block.errors);
                continue;
            }
            budget.spend(block.raw)?;
            let bytes = view.read(&block);
            if matcher.may_pass_bytes(&bytes) {
                add_lines(&mut counts, &axis, &matcher, &bytes, budget)?;
            }
        }
    }
    Ok(counts)
}

fn add_lines(counts: &mut [Bucket], axis: &Axis, matcher: &Matcher, bytes: &[u8], budget: &Budget) -> Result<()> {
    let mut line = 0;
    for (_, record) in segment::lines(bytes) {
        budget.step(&mut line)?;
        let Some(record) = record.filter(|record: &Record<'_>| matcher.passes(record)) else { continue };
        let count = &mut counts[axis.bucket(record.at_us)];
        count.lines += 1;
        count.errors += u64::from(record.level == Level::Error);
    }
    Ok(())
}
