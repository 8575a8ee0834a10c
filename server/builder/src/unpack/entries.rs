//! The entries of a tar archive, in bounded memory.
//!
//! The library reads extensions of an entry (long names, attributes) as a whole and in any number. Here, entries are
//! read raw, and extensions of up to [`EXTENSION`] bytes each.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use super::Refused;
use tar::EntryType;

/// Bytes of one extension. A path has at most 4,096; unused attributes may add some.
const EXTENSION: u64 = 64 << 10;

/// The entries of one archive.
pub(super) struct Entries<'a, R: Read> {
    raw: tar::Entries<'a, R>,
}

/// An entry with its extensions.
pub(super) struct Entry<'a, R: Read> {
    pub(super) kind: EntryType,
    pub(super) path: PathBuf,
    /// The target of a link.
    pub(super) target: OsString,
    pub(super) mode: u32,
    pub(super) mtime: u64,
    pub(super) size: u64,
    pub(super) content: tar::Entry<'a, R>,
}

/// The extensions before an entry.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    is_sparse: bool,
}

impl<'a, R: Read> Entries<'a, R> {
    pub(super) fn new(archive: &'a mut tar::Archive<R>) -> Result<Self, Refused> {
        Ok(Entries { raw: archive.entries().map_err(Refused::Unreadable)?.raw(true) })
    }

    /// The next real entry; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Entry<'a, R>>, Refused> {
        let mut extended = Extended::default();
        for entry in self.raw.by_ref() {
            let mut entry = entry.map_err(Refused::Unreadable)?;
            match entry.header().entry_type() {
                EntryType::GNULongName => extended.path = Some(text(body(&mut entry)?)),
                EntryType::GNULongLink => extended.target = Some(text(body(&mut entry)?)),
                EntryType::XHeader => extended.read(&body(&mut entry)?)?,
                EntryType::XGlobalHeader => drop(body(&mut entry)?),
                _ => return extended.apply(entry).map(Some),
            }
        }
        Ok(None)
    }
}

fn body<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Vec<u8>, Refused> {
    if entry.size() > EXTENSION {
        return Err(Refused::Extension);
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(Refused::Unreadable)?;
    Ok(bytes)
}

/// A string that ends with a NUL or at the end.
fn text(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1));
    bytes
}

impl Extended {
    fn read(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let torn = || Refused::Unreadable(io::Error::other("an attribute is truncated"));
        let mut rest = bytes;
        while !rest.is_empty() {
            let (key, value, after) = attribute(rest).ok_or_else(torn)?;
            let name = || Some(value.to_vec()).filter(|name| !name.is_empty());
            match key {
                b"path" => self.path = name(),
                b"linkpath" => self.target = name(),
                b"size" => self.size = Some(number(value).ok_or_else(torn)?),
                key => self.is_sparse |= key.starts_with(b"GNU.sparse."),
            }
            rest = after;
        }
        Ok(())
    }

    fn apply<R: Read>(self, entry: tar::Entry<'_, R>) -> Result<Entry<'_, R>, Refused> {
        let header = entry.header();
        let path = self.path.unwrap_or_else(|| entry.path_bytes().into_owned());
        let target = self.target.or_else(|| entry.link_name_bytes().map(|name| name.into_owned()));
        let target = target.unwrap_or_default();
        let kind = header.entry_type();
        let size = entry.size();
        if self.is_sparse || kind.is_gnu_sparse() {
            return Err(Refused::Sparse(shown(&path)));
        }
        // With two sizes, two readers would see different archives.
        let is_torn = self.size.is_some_and(|announced| announced != size);
        if is_torn || path.contains(&0) || target.contains(&0) {
            return Err(Refused::Unreadable(io::Error::other(format!("`{}` contradicts itself", shown(&path)))));
        }
        let mode = header.mode().map_err(Refused::Unreadable)?;
        let mtime = header.mtime().unwrap_or(0);
        let path = OsString::from_vec(path).into();
        Ok(Entry { kind, path, target: OsString::from_vec(target), mode, mtime, size, content: entry })
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The first attribute, `30 path=…\n` where 30 is its total length: key, value, and the rest. The library ends it at
/// the first line break, which a name may contain.
fn attribute(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|b| *b == b' ')?;
    let length = usize::try_from(number(&bytes[..space])?).ok()?;
    let (attribute, rest) = bytes.split_at_checked(length)?;
    let text = attribute.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = text.iter().position(|b| *b == b'=')?;
    Some((&text[..equals], &text[equals + 1..], rest))
}

/// The path below the root of the archive.
pub(super) fn inside(path: &Path) -> Result<PathBuf, Refused> {
    let outside = || Refused::Outside(shown(path.as_os_str().as_encoded_bytes()));
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            _ => return Err(outside()),
        }
    }
    Ok(clean)
}

/// A name for display: short, and without control characters.
pub(super) fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(400)]).chars().filter(|c| !c.is_control()).take(100).collect()
}
