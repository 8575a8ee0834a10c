//! The files of a spool.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file of segment `number`.
pub fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.spool"))
}

/// Opens segment `number` for reading. The writer may have fewer privileges than the reader: if it has replaced
/// a file with a link or a pipe, the reader neither follows it nor blocks.
pub fn open(dir: &Path, number: u64) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path(dir, number))?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("a segment of the spool is not a regular file")),
    }
}

/// All segment numbers, ascending. Empty if the directory does not exist (yet).
pub fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let files = match std::fs::read_dir(dir) {
        Ok(files) => files,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut numbers = Vec::new();
    for file in files {
        let name = file?.file_name();
        let number = name.to_str().and_then(|n| n.strip_suffix(".spool"));
        if let Some(number) = number.and_then(|n| n.parse().ok()) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}
