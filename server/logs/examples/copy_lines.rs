//! The CPU that the server needs for a line: from a spool to the history, with compression.
//!
//!     copy_lines DIRECTORY KIND LINES [BATCH]
//!
//! Writes a spool of that many lines of a dyno (`dyno`) or of the router (`router`), or of what comes from stdin (`pipe`)
//! as a dyno's shim does. Copies it into a history in steps of BATCH lines, and compresses what is full. Prints the
//! microseconds of CPU per line for writing the spool, for copying, the bytes of the history, and the number of lines
//! that were found in it.

use std::{error::Error, fmt::Write as _, io::Read as _, path::Path, sync::Arc, time::SystemTime};

use api::ids::{AppId, RunId};
use logs::{Dyno, Follower, History, Limits, Query, Router};
use spool::{Entry, Reader, Writer};

const APP: AppId = AppId::from_u128(0x0192_f3a4_5b6c_7d8e_9fa0_b1c2_d3e4_f506);
/// Microseconds between two lines.
const APART_US: u64 = 217;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, kind, lines, rest @ ..] = &args[..] else {
        return Err("usage: copy_lines DIRECTORY dyno|router|pipe LINES [BATCH]".into());
    };
    let (dir, lines): (&Path, u64) = (Path::new(dir), lines.parse()?);
    let batch = rest.first().map_or(Ok(300), |batch| batch.parse())?;
    let begin = cpu_us()?;
    match kind == "pipe" {
        true => spool_stdin(&dir.join("spool"))?,
        false => write_spool(&dir.join("spool"), kind == "router", lines)?,
    }
    let written = cpu_us()?;
    // Small segments, so that nearly all of them are closed and compressed at the end.
    let limits = Limits { segment_bytes: 2 << 20, ..Limits::default() };
    let history = History::open_with(&dir.join("logs"), limits)?;
    copy(&history, &dir.join("spool"), kind == "router", batch)?;
    let copied = cpu_us()?;
    let found = history.read(APP, &Query::default())?.count();
    let per_line = |us: u64| us as f64 / lines as f64;
    let bytes = history.totals(APP)?.bytes;
    println!("{:.3} {:.3} {bytes} {found}", per_line(written - begin), per_line(copied - written));
    Ok(())
}

fn write_spool(spool: &Path, router: bool, lines: u64) -> Result<(), Box<dyn Error>> {
    let mut writer = Writer::open(spool, 4 << 20)?;
    let now_us = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_micros() as i64;
    let mut text = String::new();
    for n in 0..lines {
        text.clear();
        if router {
            request(&mut text, n)?;
        } else {
            output(&mut text, n)?;
        }
        let kind = if router { b'r' } else { b'o' };
        let at_us = now_us - (APART_US * (lines - n)) as i64;
        writer.append(&Entry { at_us, kind, text: text.as_bytes().to_vec() })?;
    }
    Ok(writer.flush()?)
}

/// Spools the lines of stdin: each with its time, and all of a read with one write.
fn spool_stdin(spool: &Path) -> Result<(), Box<dyn Error>> {
    let mut writer = Writer::open(spool, 4 << 20)?;
    let (mut chunk, mut begun) = (vec![0; 64 << 10], Vec::new());
    loop {
        let read = std::io::stdin().lock().read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        for part in chunk[..read].split_inclusive(|byte| *byte == b'\n') {
            begun.extend_from_slice(part);
            if begun.pop_if(|byte| *byte == b'\n').is_some() {
                let at_us = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_micros() as i64;
                writer.append_parts(at_us, b'o', &begun)?;
                begun.clear();
            }
        }
        writer.flush()?;
    }
}

/// A line as a web framework writes it.
fn output(text: &mut String, n: u64) -> std::fmt::Result {
    let mixed = mix(n);
    let (status, ms) = (if mixed.is_multiple_of(50) { 404 } else { 200 }, mixed >> 8 & 0x1ff);
    write!(
        text,
        "[{n:08}] GET /orders/{}/items?page={} -> {status} in {ms} ms (db 3, views 9) user={:06x}",
        mixed >> 40 & 0xffff,
        mixed & 7,
        mixed >> 20 & 0xff_ffff
    )
}

/// A line as the router writes it.
fn request(text: &mut String, n: u64) -> std::fmt::Result {
    let (mixed, more) = (mix(n), mix(n + 1));
    write!(
        text,
        "{APP} at=info method=GET path=\"/orders/{}\" host=shop.example.com request_id={mixed:08x}-{:04x}-4{:03x}-8{:03x}-{more:012x} fwd=\"203.0.113.{}\" dyno=web.{} connect=0ms service={}ms status=200 bytes={} protocol=http",
        mixed >> 40 & 0xffff,
        mixed >> 16 & 0xffff,
        more & 0xfff,
        more >> 12 & 0xfff,
        mixed & 0xff,
        mixed % 4 + 1,
        more & 0x3f,
        more >> 8 & 0xfff,
    )
}

fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
}

fn copy(history: &Arc<History>, spool: &Path, router: bool, batch: usize) -> Result<(), Box<dyn Error>> {
    if router {
        let mut follower = Router::new(history.clone(), spool)?;
        while follower.step(batch, |_| true)? > 0 {}
        return Ok(());
    }
    let (dyno, spool) = (Dyno { app: APP, id: RunId::from_u128(9), name: "web.1".to_owned() }, spool.to_owned());
    let mut follower = Follower::new(history.clone(), dyno, move |from| Box::new(Reader::new(&spool, from)))?;
    while follower.step(batch)? > 0 {}
    Ok(())
}

/// CPU of all threads so far, to a hundredth of a second.
fn cpu_us() -> Result<u64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(") ").ok_or("the format of /proc/self/stat")?.1.split(' ').collect();
    Ok((fields[11].parse::<u64>()? + fields[12].parse::<u64>()?) * 10_000)
}
