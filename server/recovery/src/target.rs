//! Targets: the folder or bucket that backups are stored in, and its objects.
//!
//! An object appears when it is complete, in both. The leftovers of a killed process are removed by [`Target::tidy`].

use std::{fmt, os::unix::fs::MetadataExt as _, path::PathBuf, sync::Arc};

use anyhow::{Context as _, anyhow, bail};
use base::Network;
use futures::TryStreamExt as _;
use object_store::{
    Error, ObjectStore, ObjectStoreExt as _, PutPayload, WriteMultipart, local::LocalFileSystem, path::Path,
    prefix::PrefixStore,
};

use crate::s3::{self, Access};

/// Bytes of one read.
const READ: u64 = 8 << 20;
/// The most bytes of a small object: far more than the manifest of a large platform has. The target may belong to somebody
/// else, who should not decide how much memory reading it takes.
const MOST_READ: u64 = 256 << 20;
/// Bytes of one part of an upload; S3 takes 10,000 parts.
const PART: usize = 16 << 20;

/// Where backups are stored, as typed by somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Folder(PathBuf),
    Bucket { name: String, prefix: String },
}

impl Place {
    /// Parses an absolute path or `s3://bucket/prefix`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let text = text.trim();
        if text.contains("://") && text.contains('@') {
            // Not repeated: errors are logged.
            bail!(
                "A target cannot contain credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or enter them on \
                 the page Platform."
            );
        }
        let Some(rest) = text.strip_prefix("s3://") else {
            let path = PathBuf::from(text);
            let is_plain = path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
            if text.contains("://") || !path.is_absolute() || !is_plain {
                bail!("{text:?} is neither an absolute path, such as /mnt/backups, nor s3://bucket/prefix.");
            }
            return Ok(Self::Folder(path));
        };
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        let is_part = |part: &str| is_name(part) && !["", ".", ".."].contains(&part);
        if !is_part(name) || !prefix.is_empty() && !prefix.split('/').all(is_part) {
            bail!("{text:?} is not s3://bucket/prefix; names contain letters, digits, and the characters - . _ only.");
        }
        Ok(Self::Bucket { name: name.to_owned(), prefix: prefix.to_owned() })
    }

    /// Whether it is a folder in `folder`, or that folder itself, whatever links and mounts lead there.
    pub fn is_inside(&self, folder: &std::path::Path) -> bool {
        let Self::Folder(path) = self else { return false };
        let identity = |path: &std::path::Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
        let is_it = |path: &std::path::Path| identity(path).is_some_and(|found| identity(folder) == Some(found));
        // What does not exist yet is created in the part that does.
        let real = path.ancestors().find_map(|part| part.canonicalize().ok());
        path.starts_with(folder) || real.is_some_and(|real| real.ancestors().any(is_it))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Bucket { name, prefix } if prefix.is_empty() => write!(f, "s3://{name}"),
            Self::Bucket { name, prefix } => write!(f, "s3://{name}/{prefix}"),
        }
    }
}

/// The objects of a place. Cheap to clone.
#[derive(Clone)]
pub struct Target {
    place: Place,
    store: Arc<dyn ObjectStore>,
}

impl Target {
    /// Opens a place. A folder is created if `create` is set.
    ///
    /// # Errors
    /// If the folder cannot be used, or the bucket cannot be reached with these settings.
    pub fn open(place: &Place, access: &Access, client: &outbound::Client, create: bool) -> anyhow::Result<Self> {
        let store: Arc<dyn ObjectStore> = match place {
            Place::Folder(path) => {
                if create {
                    std::fs::create_dir_all(path).with_context(|| format!("create the folder {}", path.display()))?;
                }
                let local = LocalFileSystem::new_with_prefix(path);
                Arc::new(local.with_context(|| format!("open the folder {}", path.display()))?.with_fsync(true))
            }
            Place::Bucket { name, prefix } => {
                Arc::new(PrefixStore::new(s3::bucket(name, access, client)?, prefix.as_str()))
            }
        };
        Ok(Self { place: place.clone(), store })
    }

    /// Opens what an operator has given on the command line, with credentials from the environment. `networks` are the
    /// private networks that may be reached.
    ///
    /// # Errors
    /// If the text is not a place, and as [`Target::open`].
    pub fn of_operator(text: &str, networks: Vec<Network>, create: bool) -> anyhow::Result<Self> {
        let rules = outbound::Rules { networks, allowed_ports: Vec::new() };
        let client = outbound::Client::new(rules).context("set up outbound requests")?;
        Self::open(&Place::parse(text)?, &Access::from_environment(), &client, create)
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The names and sizes of all objects below `folder`.
    pub async fn list(&self, folder: &str) -> anyhow::Result<Vec<(String, u64)>> {
        let found: Vec<_> =
            self.store.list(Some(&Path::from(folder))).try_collect().await.map_err(|e| self.explain(e))?;
        Ok(found.into_iter().map(|object| (object.location.to_string(), object.size)).collect())
    }

    /// The size of an object; nothing if there is none.
    pub async fn size(&self, name: &str) -> anyhow::Result<Option<u64>> {
        match self.store.head(&Path::from(name)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(err) => Err(self.explain(err)),
        }
    }

    /// A small object; nothing if there is none.
    ///
    /// # Errors
    /// Also if it is larger than anything that was written as such.
    pub async fn read(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(size) = self.size(name).await? else { return Ok(None) };
        if size > MOST_READ {
            bail!("{name} in {} has {size} bytes, so Wharf has not written it.", self.place);
        }
        let mut content = Vec::new();
        let mut at = 0;
        while at < size {
            let part = self.read_range(name, at, READ.min(size - at)).await?;
            at += part.len() as u64;
            content.extend_from_slice(&part);
        }
        Ok(Some(content))
    }

    /// `length` bytes of an object from `at`.
    pub async fn read_range(&self, name: &str, at: u64, length: u64) -> anyhow::Result<bytes::Bytes> {
        let read = self.store.get_range(&Path::from(name), at..at + length).await.map_err(|err| self.explain(err))?;
        match read.len() as u64 == length {
            true => Ok(read),
            false => Err(anyhow!("{name} in {} is shorter than it was.", self.place)),
        }
    }

    /// Writes a small object, or replaces it.
    pub async fn write(&self, name: &str, content: Vec<u8>) -> anyhow::Result<()> {
        let put = self.store.put(&Path::from(name), PutPayload::from(content)).await;
        put.map(drop).map_err(|err| self.explain(err))
    }

    /// Begins a large object, which appears with [`Upload::finish`].
    pub async fn upload(&self, name: &str) -> anyhow::Result<Upload<'_>> {
        let begun = self.store.put_multipart(&Path::from(name)).await.map_err(|err| self.explain(err))?;
        Ok(Upload { target: self, writer: WriteMultipart::new_with_chunk_size(begun, PART) })
    }

    /// Deletes an object. Does nothing if there is none.
    pub async fn delete(&self, name: &str) -> anyhow::Result<()> {
        match self.store.delete(&Path::from(name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(err) => Err(self.explain(err)),
        }
    }

    /// Removes what killed processes have left: incomplete files of a folder. Services remove incomplete uploads by a
    /// rule of the bucket. Nobody else may be writing.
    pub async fn tidy(&self) -> anyhow::Result<()> {
        let Place::Folder(path) = self.place.clone() else { return Ok(()) };
        tokio::task::spawn_blocking(move || tidy(&path)).await.context("tidy the target")?.context("tidy the target")
    }

    /// An error that says what to do.
    fn explain(&self, err: Error) -> anyhow::Error {
        let place = self.place.clone();
        let advice = match &err {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => format!(
                "{place} rejects the credentials. Check the access key, and that it can list, read, write and delete there."
            ),
            Error::NotFound { .. } => format!("{place} does not exist, or something was removed from it."),
            // Listing a missing bucket is an error without a kind.
            other if other.to_string().contains("<Code>NoSuchBucket</Code>") => {
                format!("{place} does not exist. Create the bucket, or check its name")
            }
            _ => format!("{place} cannot be used"),
        };
        let err = anyhow::Error::new(err);
        if base::error::is_disk_full(&err) {
            return err.context(format!("The disk of {place} is full. Free some space, or keep backups of fewer days"));
        }
        err.context(advice)
    }
}

/// The name of a file that the store has not completed ends with `#` and a number.
fn tidy(folder: &std::path::Path) -> std::io::Result<()> {
    let mut open = vec![folder.join("blobs"), folder.join("backups")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else if entry.file_name().to_string_lossy().contains('#') {
                std::fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

/// An object that is being written.
pub struct Upload<'a> {
    target: &'a Target,
    writer: WriteMultipart,
}

impl Upload<'_> {
    /// Adds bytes to the object. Few parts are in flight at once.
    pub async fn write(&mut self, part: Vec<u8>) -> anyhow::Result<()> {
        self.writer.wait_for_capacity(2).await.map_err(|err| self.target.explain(err))?;
        self.writer.put(part.into());
        Ok(())
    }

    /// Completes the object.
    pub async fn finish(self) -> anyhow::Result<()> {
        self.writer.finish().await.map(drop).map_err(|err| self.target.explain(err))
    }

    /// Removes what was written of it.
    pub async fn abort(self) {
        if let Err(err) = self.writer.abort().await {
            tracing::debug!("could not abort an upload: {err}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_paths_and_buckets() {
        let bucket = |name: &str, prefix: &str| Place::Bucket { name: name.into(), prefix: prefix.into() };
        assert_eq!(Place::parse(" /mnt/backups ").unwrap(), Place::Folder("/mnt/backups".into()));
        assert_eq!(Place::parse("s3://acme").unwrap(), bucket("acme", ""));
        assert_eq!(Place::parse("s3://acme/wharf/one/").unwrap(), bucket("acme", "wharf/one"));
        assert_eq!(Place::parse("s3://acme/wharf/one/").unwrap().to_string(), "s3://acme/wharf/one");
        for bad in [
            "",
            "backups",
            "/mnt/../etc",
            "s3://",
            "s3:///x",
            "s3://acme/a//b",
            "s3://acme/../b",
            "gs://acme",
            "s3://a b",
        ] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
        let secret = Place::parse("s3://AKIA:swordfish@acme/wharf").unwrap_err().to_string();
        assert!(secret.contains("cannot contain credentials") && !secret.contains("swordfish"), "{secret}");
    }
    #[test]
    fn a_folder_is_inside_through_links_and_before_it_exists() {
        let dir = tempfile::tempdir().unwrap();
        let (data, other) = (dir.path().join("data"), dir.path().join("other"));
        std::fs::create_dir_all(data.join("git")).unwrap();
        std::fs::create_dir(&other).unwrap();
        for (link, to) in [("whole", &data), ("part", &data.join("git"))] {
            std::os::unix::fs::symlink(to, other.join(link)).unwrap();
        }
        let is_inside = |path: PathBuf| Place::Folder(path).is_inside(&data);
        for path in ["data", "data/new/one", "other/whole", "other/whole/new", "other/part", "other/part/new/one"] {
            assert!(is_inside(dir.path().join(path)), "{path}");
        }
        for path in ["", "other", "other/new", "database"] {
            assert!(!is_inside(dir.path().join(path)), "{path}");
        }
        // The data directory may be a link, too.
        assert!(Place::Folder(data.join("x")).is_inside(&other.join("whole")));
        assert!(!Place::parse("s3://acme").unwrap().is_inside(&data));
    }

    #[tokio::test]
    async fn what_is_too_large_is_not_read_into_memory() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target::of_operator(&dir.path().display().to_string(), Vec::new(), false).unwrap();
        let file = std::fs::File::create(dir.path().join("small")).unwrap();
        file.set_len(MOST_READ + 1).unwrap();
        let refused = target.read("small").await.unwrap_err().to_string();
        assert!(refused.contains("268435457 bytes"), "{refused}");
        file.set_len(3).unwrap();
        assert_eq!(target.read("small").await.unwrap(), Some(vec![0; 3]));
    }
}
