//! What can be read of one segment of a log.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::block::Block;
use crate::filter::Matcher;
use crate::segment;

/// A snapshot of a segment when reading began: later additions and deletions are not visible.
pub(crate) struct View {
    source: Source,
}

enum Source {
    Raw { file: File, blocks: Vec<Block> },
    Packed { path: PathBuf, file: OnceLock<File> },
}

impl View {
    pub fn raw(file: File, blocks: Vec<Block>) -> View {
        View { source: Source::Raw { file, blocks } }
    }

    pub fn packed(path: PathBuf) -> View {
        View { source: Source::Packed { path, file: OnceLock::new() } }
    }

    /// The blocks in which a line may match.
    pub fn blocks(&self, matcher: &Matcher) -> Vec<Block> {
        let blocks = match &self.source {
            Source::Raw { blocks, .. } => blocks.clone(),
            Source::Packed { path, .. } => segment::read_index(path).unwrap_or_else(|e| {
                self.complain(&e);
                Vec::new()
            }),
        };
        blocks.into_iter().filter(|b| matcher.may_pass(b)).collect()
    }

    /// The bytes of a block, empty if missing or corrupt: the other lines can still be read.
    pub fn read(&self, block: &Block) -> Vec<u8> {
        self.try_read(block).unwrap_or_else(|e| {
            self.complain(&e);
            Vec::new()
        })
    }

    fn try_read(&self, block: &Block) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; block.stored as usize];
        match &self.source {
            Source::Raw { file, .. } => {
                file.read_exact_at(&mut bytes, block.offset)?;
                Ok(bytes)
            }
            Source::Packed { path, file } => {
                let file = match file.get() {
                    Some(file) => file,
                    None => {
                        let opened = File::open(path)?;
                        file.get_or_init(|| opened)
                    }
                };
                file.read_exact_at(&mut bytes, block.offset)?;
                zstd::bulk::decompress(&bytes, block.raw as usize)
            }
        }
    }

    fn complain(&self, error: &io::Error) {
        if let Source::Packed { path, .. } = &self.source
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), "could not read a part of a log: {error}");
        }
    }
}
