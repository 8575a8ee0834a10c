//! The files of one app: one per day.
//!
//! `2026-11-24.samples` grows by one record per sample. Two hours after the day's end it is packed into
//! `2026-11-24.minutes`: one record per minute, compressed.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use chrono::NaiveDate;

use crate::{Result, Rollup, codec};

const ZSTD_LEVEL: i32 = 3;
/// More than a day of the largest records.
const MAX_UNPACKED_BYTES: usize = 64 << 20;
pub const MINUTE_MS: i64 = 60_000;

/// The day of a timestamp, counted from the epoch.
pub fn day_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(24 * 60 * MINUTE_MS)
}

/// Days that have files, and whether they are packed, in order.
pub fn list(dir: &Path) -> io::Result<Vec<(i64, bool)>> {
    let files = match std::fs::read_dir(dir) {
        Ok(files) => files,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut days = Vec::new();
    for file in files {
        let path = file?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let date = stem.and_then(|stem| stem.parse::<NaiveDate>().ok());
        let is_packed = match path.extension().and_then(|e| e.to_str()) {
            Some("samples") => false,
            Some("minutes") => true,
            _ => continue,
        };
        days.extend(date.map(|date| (day_number(date), is_packed)));
    }
    days.sort_unstable();
    Ok(days)
}

/// The stored records of a day, and whether it is packed.
pub fn read(dir: &Path, day: i64) -> Result<(Vec<(i64, Rollup)>, bool)> {
    // Packed first: after a crash, a packed day may still have its samples.
    if let Some(records) = read_packed(dir, day)? {
        return Ok((records, true));
    }
    if let Some(bytes) = read_file(&samples_path(dir, day))? {
        return Ok((codec::decode(&bytes).0, false));
    }
    // It may have been packed since the first attempt.
    Ok((read_packed(dir, day)?.unwrap_or_default(), true))
}

fn read_packed(dir: &Path, day: i64) -> Result<Option<Vec<(i64, Rollup)>>> {
    let path = minutes_path(dir, day);
    let Some(bytes) = read_file(&path)? else {
        return Ok(None);
    };
    let bytes =
        zstd::bulk::decompress(&bytes, MAX_UNPACKED_BYTES).with_context(|| format!("unpack {}", path.display()))?;
    Ok(Some(codec::decode(&bytes).0))
}

/// The length of a day's complete records; a torn record after them is truncated.
pub fn repair(dir: &Path, day: i64) -> Result<u64> {
    let path = samples_path(dir, day);
    let Some(bytes) = read_file(&path)? else {
        return Ok(0);
    };
    let length = codec::decode(&bytes).1;
    if length < bytes.len() {
        open(&path)
            .and_then(|file| file.set_len(length as u64))
            .with_context(|| format!("repair {}", path.display()))?;
    }
    Ok(length as u64)
}

/// Writes a record after the day's complete records.
pub fn write(dir: &Path, day: i64, length: u64, record: &[u8]) -> Result<()> {
    let path = samples_path(dir, day);
    std::fs::create_dir_all(dir)
        .and_then(|()| open(&path))
        .and_then(|file| file.write_all_at(record, length))
        .with_context(|| format!("write {}", path.display()))
}

/// Packs a day's samples into minutes.
pub fn pack(dir: &Path, day: i64) -> Result<()> {
    let (records, is_packed) = read(dir, day)?;
    if !is_packed {
        let mut bytes = Vec::new();
        for (minute, rollup) in merge(records, MINUTE_MS) {
            codec::encode(minute, &rollup, &mut bytes);
        }
        let packed = zstd::bulk::compress(&bytes, ZSTD_LEVEL).context("pack a day of metrics")?;
        let path = minutes_path(dir, day);
        replace(&path, &packed).with_context(|| format!("write {}", path.display()))?;
    }
    remove(&samples_path(dir, day))
}

/// Deletes a day.
pub fn delete(dir: &Path, day: i64) -> Result<()> {
    remove(&samples_path(dir, day))?;
    remove(&minutes_path(dir, day))
}

/// Merges records into intervals of `step_ms`, in order.
pub fn merge(records: Vec<(i64, Rollup)>, step_ms: i64) -> BTreeMap<i64, Rollup> {
    let mut merged: BTreeMap<i64, Rollup> = BTreeMap::new();
    for (at_ms, rollup) in records {
        let start = at_ms.div_euclid(step_ms) * step_ms;
        merged.entry(start).or_default().merge(&rollup);
    }
    merged
}

fn samples_path(dir: &Path, day: i64) -> PathBuf {
    dir.join(format!("{}.samples", date(day)))
}

fn minutes_path(dir: &Path, day: i64) -> PathBuf {
    dir.join(format!("{}.minutes", date(day)))
}

fn date(day: i64) -> NaiveDate {
    NaiveDate::default() + chrono::Duration::days(day)
}

fn day_number(date: NaiveDate) -> i64 {
    (date - NaiveDate::default()).num_days()
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path)
}

fn read_file(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("read {}", path.display())),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(temporary, path)
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).with_context(|| format!("delete {}", path.display())),
        _ => Ok(()),
    }
}
