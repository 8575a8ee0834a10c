//! The binary encoding of rollups.
//!
//! ```text
//! <length u32> <checksum u32> <payload>       a record; files are records one after the other
//! ```
//!
//! A payload is a version followed by varints, seven bits per byte, least significant first; names are
//! length-prefixed. A record of a quiet app takes about 30 bytes.

use std::collections::BTreeMap;

use crate::{Histogram, ProcessRollup, Rollup};

const VERSION: u64 = 1;
const HEAD_BYTES: usize = 8;

/// Appends the record of a rollup whose interval contains `at_ms`.
pub fn encode(at_ms: i64, rollup: &Rollup, buffer: &mut Vec<u8>) {
    let mut payload = Vec::new();
    put(&mut payload, VERSION);
    put(&mut payload, at_ms.max(0) as u64);
    let numbers =
        [rollup.samples, rollup.covered_ms, rollup.bytes_in, rollup.bytes_out, rollup.queue_sum, rollup.queue_max];
    rollup.statuses.iter().chain(&numbers).for_each(|n| put(&mut payload, *n));
    put(&mut payload, rollup.service.buckets.len() as u64);
    for (bucket, count) in &rollup.service.buckets {
        put(&mut payload, u64::from(*bucket));
        put(&mut payload, *count);
    }
    put(&mut payload, rollup.codes.len() as u64);
    for (code, count) in &rollup.codes {
        put_name(&mut payload, code);
        put(&mut payload, *count);
    }
    put(&mut payload, rollup.processes.len() as u64);
    for (name, process) in &rollup.processes {
        put_name(&mut payload, name);
        let numbers = [
            process.samples,
            process.dynos_sum,
            process.dyno_ms,
            process.memory_sum,
            process.memory_max,
            process.memory_quota,
            process.cpu_ns,
        ];
        numbers.iter().for_each(|n| put(&mut payload, *n));
    }
    buffer.extend((payload.len() as u32).to_le_bytes());
    buffer.extend(checksum(&payload).to_le_bytes());
    buffer.extend(payload);
}

/// The records of a file up to the first torn or corrupt one, and their length in bytes.
pub fn decode(bytes: &[u8]) -> (Vec<(i64, Rollup)>, usize) {
    let mut records = Vec::new();
    let mut position = 0;
    while let Some(payload) = payload_at(&bytes[position..]) {
        position += HEAD_BYTES + payload.len();
        // Records of a newer version are skipped.
        records.extend(take_record(&mut &payload[..]));
    }
    (records, position)
}

fn payload_at(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let payload = rest.get(..u32::from_le_bytes(*length) as usize)?;
    // Zeros, as a power failure may leave, are not a record.
    (!payload.is_empty() && checksum(payload) == u32::from_le_bytes(*sum)).then_some(payload)
}

fn take_record(bytes: &mut &[u8]) -> Option<(i64, Rollup)> {
    if take(bytes)? != VERSION {
        return None;
    }
    let at_ms = take(bytes)? as i64;
    let mut rollup = Rollup::default();
    for status in &mut rollup.statuses {
        *status = take(bytes)?;
    }
    rollup.samples = take(bytes)?;
    rollup.covered_ms = take(bytes)?;
    rollup.bytes_in = take(bytes)?;
    rollup.bytes_out = take(bytes)?;
    rollup.queue_sum = take(bytes)?;
    rollup.queue_max = take(bytes)?;
    let mut buckets = BTreeMap::new();
    for _ in 0..take(bytes)? {
        buckets.insert(take(bytes)?.try_into().ok()?, take(bytes)?);
    }
    rollup.service = Histogram { buckets };
    for _ in 0..take(bytes)? {
        rollup.codes.insert(take_name(bytes)?, take(bytes)?);
    }
    for _ in 0..take(bytes)? {
        let name = take_name(bytes)?;
        let process = ProcessRollup {
            samples: take(bytes)?,
            dynos_sum: take(bytes)?,
            dyno_ms: take(bytes)?,
            memory_sum: take(bytes)?,
            memory_max: take(bytes)?,
            memory_quota: take(bytes)?,
            cpu_ns: take(bytes)?,
        };
        rollup.processes.insert(name, process);
    }
    Some((at_ms, rollup))
}

fn put(buffer: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        buffer.push(number as u8 | 0x80);
        number >>= 7;
    }
    buffer.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn put_name(buffer: &mut Vec<u8>, name: &str) {
    let name = &name[..name.floor_char_boundary(100)];
    put(buffer, name.len() as u64);
    buffer.extend(name.as_bytes());
}

fn take_name(bytes: &mut &[u8]) -> Option<String> {
    let length = take(bytes)?.try_into().ok()?;
    let (name, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// FNV-1a, to detect torn records.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
