//! The files of a history.
//!
//! A segment is named by the number of its first line. The newest is plain text, `<seq>.log`, and
//! grows. When full, it is packed into `<seq>.zst`: each block is a separate zstd frame, so that one
//! can be read without the others, followed by a skippable frame with the blocks' index. `zstdcat`
//! prints the lines.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use spool::Cursor;

use crate::batch::{Header, Note};
use crate::block::{Block, Blocks};
use crate::line::Record;

/// Faster than level 3, and blocks of log lines become no larger.
const ZSTD_LEVEL: i32 = 1;
/// Magic number of a skippable frame; its length follows.
const SKIPPED_FRAME: u32 = 0x184D_2A50;
const INDEX_TAG: &[u8; 8] = b"whrflog1";
/// The number of blocks, and the tag.
const FOOTER_BYTES: u64 = 12;

pub(crate) fn raw_path(dir: &Path, first_seq: u64) -> PathBuf {
    dir.join(format!("{first_seq:020}.log"))
}

pub(crate) fn packed_path(dir: &Path, first_seq: u64) -> PathBuf {
    dir.join(format!("{first_seq:020}.zst"))
}

/// The segments of a directory by first line, and whether a raw and a packed file exist.
pub(crate) fn list(dir: &Path) -> io::Result<BTreeMap<u64, (bool, bool)>> {
    let mut found: BTreeMap<u64, (bool, bool)> = BTreeMap::new();
    let files = match std::fs::read_dir(dir) {
        Ok(files) => files,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(e) => return Err(e),
    };
    for file in files {
        let path = file?.path();
        let stem = path.file_stem().and_then(|s| s.to_str());
        let seq = stem.and_then(|s| s.parse().ok());
        match (seq, path.extension().and_then(|e| e.to_str())) {
            (Some(seq), Some("log")) => found.entry(seq).or_default().0 = true,
            (Some(seq), Some("zst")) => found.entry(seq).or_default().1 = true,
            // Left over from a crash during a write; never valid.
            (_, Some("tmp")) => remove(&path)?,
            _ => {}
        }
    }
    Ok(found)
}

/// Deletes a file that may not exist.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Writes `bytes` to `path` atomically and durably.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(temporary, path)
}

/// The contents of a raw segment.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub blocks: Blocks,
    /// The cursor of each spool.
    pub cursors: BTreeMap<String, Cursor>,
    /// Bytes after the last complete batch.
    pub torn: u64,
}

/// Reads a raw segment batch by batch. An incomplete batch is torn if no complete one follows it,
/// and skipped otherwise.
pub(crate) fn scan(path: &Path) -> io::Result<Scan> {
    let bytes = std::fs::read(path)?;
    let mut scan = Scan::default();
    let mut position = 0;
    let mut bad_from = 0;
    while position < bytes.len() {
        match whole_batch(&bytes[position..]) {
            Some((header, length, notes)) => {
                if bad_from < position {
                    scan.blocks.push_other(position - bad_from);
                }
                scan.blocks.push_other(length - header.bytes);
                notes.iter().for_each(|note| scan.blocks.push_line(note));
                if let Some(mark) = header.mark {
                    match mark.cursor {
                        Some(cursor) => scan.cursors.insert(mark.spool, cursor),
                        None => scan.cursors.remove(&mark.spool),
                    };
                }
                position += length;
                bad_from = position;
            }
            None => {
                let next = bytes[position..].windows(2).position(|two| two == b"\n@");
                position = next.map_or(bytes.len(), |n| position + n + 1);
            }
        }
    }
    scan.torn = (bytes.len() - bad_from) as u64;
    Ok(scan)
}

/// The batch at the start of `bytes`, with its length: header and lines.
fn whole_batch(bytes: &[u8]) -> Option<(Header, usize, Vec<Note>)> {
    let end = bytes.iter().take(1_000).position(|b| *b == b'\n')?;
    let header = Header::decode(&bytes[..end])?;
    let body = bytes[end + 1..].get(..header.bytes)?;
    let notes = lines(body)
        .map(|(bytes, record)| {
            let record = record?;
            Some(Note { bytes, seq: record.seq, at_us: record.at_us, level: record.level })
        })
        .collect::<Option<Vec<Note>>>()?;
    let length = end + 1 + header.bytes;
    (notes.len() == header.lines).then_some((header, length, notes))
}

/// Lines with their length in bytes. `None` for anything but a record (a header, corruption).
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, Option<Record<'_>>)> {
    bytes.split_inclusive(|b| *b == b'\n').map(|line| {
        let text = line.strip_suffix(b"\n");
        (line.len(), text.and_then(Record::decode))
    })
}

/// Packs a raw segment and returns its blocks with their offsets in the new file.
pub(crate) fn pack(raw: &File, blocks: &[Block], path: &Path) -> anyhow::Result<Vec<Block>> {
    let mut bytes = Vec::new();
    let mut packed = Vec::new();
    let mut text = Vec::new();
    // The memory of a compressor is a megabyte, which costs as much to prepare as a block does to compress.
    let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
    for block in blocks {
        text.resize(block.raw as usize, 0);
        raw.read_exact_at(&mut text, block.offset)?;
        let frame = compressor.compress(&text)?;
        packed.push(Block { offset: bytes.len() as u64, stored: frame.len().try_into()?, ..*block });
        bytes.extend(frame);
    }
    let index_bytes = (packed.len() * Block::ENCODED_BYTES) as u64 + FOOTER_BYTES;
    bytes.extend(SKIPPED_FRAME.to_le_bytes());
    bytes.extend(u32::try_from(index_bytes)?.to_le_bytes());
    packed.iter().for_each(|block| block.encode(&mut bytes));
    bytes.extend(u32::try_from(packed.len())?.to_le_bytes());
    bytes.extend(INDEX_TAG);
    replace(path, &bytes)?;
    Ok(packed)
}

/// The blocks of a packed segment.
pub(crate) fn read_index(path: &Path) -> io::Result<Vec<Block>> {
    let file = File::open(path)?;
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the index is damaged");
    let footer_at = file.metadata()?.len().checked_sub(FOOTER_BYTES).ok_or_else(damaged)?;
    let mut footer = [0; FOOTER_BYTES as usize];
    file.read_exact_at(&mut footer, footer_at)?;
    let (count, tag) = footer.split_at(4);
    if tag != INDEX_TAG {
        return Err(damaged());
    }
    let count = u32::from_le_bytes(count.try_into().expect("split at four"));
    let length = u64::from(count) * Block::ENCODED_BYTES as u64;
    let index_at = footer_at.checked_sub(length).ok_or_else(damaged)?;
    let mut index = vec![0; length as usize];
    file.read_exact_at(&mut index, index_at)?;
    let chunks = index.chunks_exact(Block::ENCODED_BYTES);
    Ok(chunks.map(|chunk| Block::decode(chunk.try_into().expect("chunks are exact"))).collect())
}

/// Opens a raw segment to write to it.
pub(crate) fn open_to_write(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(path)
}
