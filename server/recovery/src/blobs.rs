//! Blobs: the content of backups, encrypted, each stored once per target.
//!
//! The name of a blob is a keyed hash of its content, so what has not changed is not stored again, and the target
//! reveals neither content nor which known content it has. A blob is a sequence of chunks of [`CHUNK`] bytes, each
//! encrypted with ChaCha20-Poly1305, with a key that belongs to this blob alone, and a nonce of its number and whether it
//! is the last: chunks can be neither exchanged nor cut off. All keys are derived from the master key.

use std::{
    collections::HashMap,
    fs::File,
    io::{Seek as _, SeekFrom},
    sync::Mutex,
};

use anyhow::{Context as _, anyhow, bail};
use base::secrets::Secrets;
use chacha20poly1305::{
    ChaCha20Poly1305, Key, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::target::{Target, Upload};

/// Plain bytes of a chunk.
const CHUNK: u64 = 1 << 20;
/// Bytes by which a chunk grows.
const TAG: u64 = 16;
/// Attempts at a file that changes while it is read.
const ATTEMPTS: usize = 3;

/// What is in a target is not what was stored: no attempt to read it again will help.
#[derive(Debug)]
pub struct Damaged(pub String);

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Damaged {}

/// The content of a file in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// In the target.
    pub name: String,
    /// Bytes of the content.
    pub size: u64,
    /// Of the content, hexadecimal.
    pub sha256: String,
}

impl Blob {
    fn new(secrets: &Secrets, size: u64, sha256: &str) -> Self {
        let name = hex::encode(secrets.mac("name of a blob", sha256.as_bytes()));
        Self { name: format!("blobs/{}/{name}", &name[..2]), size, sha256: sha256.to_owned() }
    }

    fn chunks(&self) -> u64 {
        self.size.div_ceil(CHUNK).max(1)
    }

    /// Bytes in the target.
    pub fn stored(&self) -> u64 {
        self.size + self.chunks() * TAG
    }
}

/// The blobs of a target.
pub struct Blobs {
    target: Target,
    secrets: Secrets,
    known: Mutex<HashMap<String, u64>>,
    added: Mutex<u64>,
}

impl Blobs {
    /// Lists the blobs of a target.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn open(target: &Target, secrets: &Secrets) -> anyhow::Result<Self> {
        let known = target.list("blobs").await.context("list what the target has")?.into_iter().collect();
        Ok(Self { target: target.clone(), secrets: secrets.clone(), known: Mutex::new(known), added: Mutex::new(0) })
    }

    /// Whether the target has this blob, in its full size.
    pub fn has(&self, blob: &Blob) -> bool {
        self.known.lock().is_ok_and(|known| known.get(&blob.name) == Some(&blob.stored()))
    }

    /// The names of all blobs.
    pub fn names(&self) -> Vec<String> {
        self.known.lock().map(|known| known.keys().cloned().collect()).unwrap_or_default()
    }

    /// Bytes that were stored because the target did not have them.
    pub fn added(&self) -> u64 {
        self.added.lock().map(|added| *added).unwrap_or_default()
    }

    /// Stores the first `size` bytes of a file, unless the target has them. A file that only grows may be written to.
    ///
    /// # Errors
    /// If it cannot be read, changes all the time, or cannot be stored.
    pub async fn put(&self, mut file: File, size: u64) -> anyhow::Result<Blob> {
        for _ in 0..ATTEMPTS {
            let sha256 = hash(&mut file, size).await?;
            let blob = Blob::new(&self.secrets, size, &sha256);
            if self.has(&blob) || self.store(&mut file, &blob).await? {
                return Ok(blob);
            }
        }
        bail!("it is being changed while it is read")
    }

    /// Stores a file whose checksum is known, without reading it if the target has it.
    ///
    /// # Errors
    /// If its content is different.
    pub async fn put_known(&self, mut file: File, size: u64, sha256: &str) -> anyhow::Result<Blob> {
        let blob = Blob::new(&self.secrets, size, sha256);
        match self.has(&blob) || self.store(&mut file, &blob).await? {
            true => Ok(blob),
            false => Err(anyhow!("its content does not have the checksum {sha256}: the file is damaged")),
        }
    }

    /// Stores a blob. Returns `false`, and stores nothing, if the file has other content by now.
    async fn store(&self, file: &mut File, blob: &Blob) -> anyhow::Result<bool> {
        let mut upload = self.target.upload(&blob.name).await?;
        match self.fill(&mut upload, file, blob).await {
            Ok(true) => upload.finish().await?,
            other => {
                upload.abort().await;
                return other;
            }
        }
        if let (Ok(mut known), Ok(mut added)) = (self.known.lock(), self.added.lock()) {
            known.insert(blob.name.clone(), blob.stored());
            *added += blob.stored();
        }
        Ok(true)
    }

    async fn fill(&self, upload: &mut Upload<'_>, file: &mut File, blob: &Blob) -> anyhow::Result<bool> {
        let mut input = rewound(file)?;
        let cipher = self.cipher(blob);
        let mut digest = Sha256::new();
        let mut left = blob.size;
        for number in 0..blob.chunks() {
            let mut plain = vec![0; usize::try_from(left.min(CHUNK))?];
            if let Err(err) = input.read_exact(&mut plain).await {
                // It has become shorter.
                return if err.kind() == std::io::ErrorKind::UnexpectedEof { Ok(false) } else { Err(err.into()) };
            }
            left -= plain.len() as u64;
            digest.update(&plain);
            let payload = Payload { msg: &plain, aad: b"" };
            let sealed = cipher.encrypt(&nonce(number, number + 1 == blob.chunks()), payload);
            upload.write(sealed.map_err(|_| anyhow!("encrypt a chunk"))?).await?;
        }
        Ok(hex::encode(digest.finalize()) == blob.sha256)
    }

    /// Writes the content of a blob to `out`, and checks it.
    ///
    /// # Errors
    /// If it is missing or damaged.
    pub async fn read(&self, blob: &Blob, out: &mut (impl AsyncWrite + Unpin)) -> anyhow::Result<()> {
        let cipher = self.cipher(blob);
        let mut digest = Sha256::new();
        let damaged = || Damaged(format!("{} in {} is damaged.", blob.name, self.target.place()));
        let mut left = blob.size;
        for number in 0..blob.chunks() {
            let plain = left.min(CHUNK);
            let sealed = self.target.read_range(&blob.name, number * (CHUNK + TAG), plain + TAG).await?;
            let is_last = number + 1 == blob.chunks();
            let opened = cipher.decrypt(&nonce(number, is_last), Payload { msg: &sealed, aad: b"" });
            let opened = opened.map_err(|_| damaged())?;
            left -= opened.len() as u64;
            digest.update(&opened);
            out.write_all(&opened).await.context("write to disk")?;
        }
        out.flush().await.context("write to disk")?;
        match hex::encode(digest.finalize()) == blob.sha256 {
            true => Ok(()),
            false => Err(damaged().into()),
        }
    }

    /// Deletes a blob.
    ///
    /// # Errors
    /// If the target cannot be written to.
    pub async fn delete(&self, name: &str) -> anyhow::Result<()> {
        self.target.delete(name).await?;
        if let Ok(mut known) = self.known.lock() {
            known.remove(name);
        }
        Ok(())
    }

    fn cipher(&self, blob: &Blob) -> ChaCha20Poly1305 {
        // Keyed hashes are as long as keys.
        ChaCha20Poly1305::new(Key::from_slice(&self.secrets.mac("key of a blob", blob.name.as_bytes())))
    }
}

fn nonce(number: u64, is_last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    nonce[8] = u8::from(is_last);
    nonce.into()
}

fn rewound(file: &mut File) -> anyhow::Result<tokio::fs::File> {
    file.seek(SeekFrom::Start(0)).context("read from the beginning")?;
    Ok(tokio::fs::File::from_std(file.try_clone().context("read a file")?))
}

/// The checksum of the first `size` bytes.
async fn hash(file: &mut File, size: u64) -> anyhow::Result<String> {
    let mut input = rewound(file)?.take(size);
    let mut digest = Sha256::new();
    let mut buffer = vec![0; usize::try_from(CHUNK)?];
    loop {
        match input.read(&mut buffer).await.context("read a file")? {
            0 => return Ok(hex::encode(digest.finalize())),
            n => digest.update(&buffer[..n]),
        }
    }
}
