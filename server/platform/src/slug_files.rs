//! The archives of slugs: content-addressed, in an object store, and unpacked once per app.

use std::fs;
use std::future::ready;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use api::ids::{AppId, SlugId};
use chrono::Utc;
use futures::TryStreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart, local::LocalFileSystem, path::Path as Key};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uuid::Uuid;

/// Stores archives by their checksum.
#[derive(Clone)]
pub struct SlugFiles {
    store: Arc<dyn ObjectStore>,
    root: PathBuf,
    unpacked: PathBuf,
    temporary: PathBuf,
}

impl SlugFiles {
    /// The store in the data directory.
    pub(crate) fn open(data: &Path) -> anyhow::Result<Self> {
        let root = data.join("slugs");
        std::fs::create_dir_all(&root).with_context(|| format!("make {}", root.display()))?;
        let store = LocalFileSystem::new_with_prefix(&root).context("open the slug store")?.with_fsync(true);
        Ok(Self { store: Arc::new(store), root, unpacked: data.join("unpacked"), temporary: data.join("tmp") })
    }

    fn key(checksum: &str) -> anyhow::Result<Key> {
        let hex = checksum.strip_prefix("SHA256:").unwrap_or(checksum);
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(anyhow!("{checksum} is not a SHA-256 checksum"));
        }
        Ok(Key::from(format!("{}/{hex}.slug", &hex[..2])))
    }

    /// Stores the archive in `file`, whose checksum is known, and which nobody changes any more. An existing one is kept.
    pub async fn put(&self, checksum: &str, file: &Path) -> anyhow::Result<()> {
        let key = Self::key(checksum)?;
        if self.store.head(&key).await.is_ok() {
            return Ok(());
        }
        let (from, to) = (file.to_owned(), self.root.join(key.as_ref()));
        let linked = tokio::task::spawn_blocking(move || link(&from, &to)).await.context("store the slug")?;
        if linked.context("store the slug")? {
            return Ok(());
        }
        let mut input = tokio::fs::File::open(file).await.context("open the new slug")?;
        let upload = self.store.put_multipart(&key).await.context("create the slug's file")?;
        let mut writer = WriteMultipart::new(upload);
        let mut buffer = vec![0; 1 << 20];
        loop {
            let n = input.read(&mut buffer).await.context("read the new slug")?;
            if n == 0 {
                break;
            }
            writer.wait_for_capacity(4).await.context("store the slug")?;
            writer.write(&buffer[..n]);
        }
        writer.finish().await.context("store the slug")?;
        Ok(())
    }

    /// The archive as a stream of bytes, and its size.
    pub async fn read(
        &self,
        checksum: &str,
    ) -> anyhow::Result<(u64, futures::stream::BoxStream<'static, object_store::Result<bytes::Bytes>>)> {
        let found = self.store.get(&Self::key(checksum)?).await.context("read the slug")?;
        Ok((found.meta.size, found.into_stream()))
    }

    /// The checksums of archives older than `age`.
    pub async fn older_than(&self, age: Duration) -> anyhow::Result<Vec<String>> {
        let before = Utc::now() - age;
        let all = self.store.list(None).try_filter(|found| ready(found.last_modified < before));
        let checksum = |key: &Key| Some(format!("SHA256:{}", key.filename()?.strip_suffix(".slug")?));
        let all = all.try_filter_map(|found| ready(Ok(checksum(&found.location))));
        all.try_collect().await.context("list the slugs")
    }

    /// Removes incomplete archives that have not been written to for `age`.
    pub async fn remove_parts(&self, age: Duration) -> anyhow::Result<Vec<PathBuf>> {
        let root = self.root.clone();
        let removed = tokio::task::spawn_blocking(move || remove_parts(&root, age)).await;
        removed.context("remove parts of slugs")?.context("remove parts of slugs")
    }

    /// Removes an archive. Does nothing if it does not exist.
    pub async fn delete(&self, checksum: &str) -> anyhow::Result<()> {
        match self.store.delete(&Self::key(checksum)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(err) => Err(err).context("remove a slug"),
        }
    }

    /// The folder for the content of a slug of an app, whether it is unpacked or not.
    pub fn folder(&self, app: AppId, slug: SlugId) -> PathBuf {
        self.unpacked.join(app.to_string()).join(slug.to_string())
    }

    /// The folders of all apps.
    pub fn folders(&self) -> &Path {
        &self.unpacked
    }

    /// The folder with the content of a slug, if it is unpacked.
    pub async fn unpacked(&self, app: AppId, slug: SlugId) -> anyhow::Result<Option<PathBuf>> {
        let folder = self.folder(app, slug);
        let is_there = tokio::fs::try_exists(&folder).await.context("look for an unpacked slug")?;
        Ok(is_there.then_some(folder))
    }

    /// Unpacks a slug for an app, owned by the app's user, unless it is already unpacked.
    pub async fn unpack(
        &self,
        workers: &worker::Workers,
        app: &store::apps::Row,
        slug: &store::slugs::Row,
    ) -> Result<(), builder::Error> {
        let folder = self.folder(app.id, slug.id);
        if self.unpacked(app.id, slug.id).await?.is_some() {
            return Ok(());
        }
        let checksum = slug.checksum.as_deref().ok_or_else(|| anyhow!("the slug has not been uploaded"))?;
        let size = slug.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
        dyno::disks::must_have_space(&self.temporary, size).context("unpack a slug")?;
        let archive = self.temporary.join(format!("unpack-{}", Uuid::now_v7()));
        let outcome = match self.fetch(checksum, &archive).await {
            Ok(()) => builder::unpack(workers, &archive, &folder, app.uid as u32).await,
            Err(err) => Err(err.into()),
        };
        let _ = tokio::fs::remove_file(&archive).await;
        outcome
    }

    async fn fetch(&self, checksum: &str, archive: &Path) -> anyhow::Result<()> {
        tokio::fs::create_dir_all(&self.temporary).await?;
        let (_, mut content) = self.read(checksum).await?;
        let mut out = tokio::fs::File::create(archive).await?;
        while let Some(chunk) = content.try_next().await.context("read the slug")? {
            out.write_all(&chunk).await.context("write the slug to disk")?;
        }
        out.flush().await?;
        Ok(())
    }
}

/// Stores `file` as `to` without copying it. Returns false if that is impossible, because they are on different disks.
fn link(file: &Path, to: &Path) -> io::Result<bool> {
    let folder = to.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    fs::File::open(file)?.sync_all()?;
    use io::ErrorKind::{AlreadyExists, CrossesDevices, PermissionDenied, TooManyLinks};
    match fs::hard_link(file, to).map_err(|e| (e.kind(), e)) {
        Ok(()) | Err((AlreadyExists, _)) => {}
        Err((CrossesDevices | PermissionDenied | TooManyLinks, _)) => return Ok(false),
        Err((_, e)) => return Err(e),
    }
    for folder in folder.ancestors().take(2) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(true)
}

/// Removes incomplete files of the store in `root` that have not changed for `age`.
pub fn remove_parts(root: &Path, age: Duration) -> io::Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    for folder in fs::read_dir(root)? {
        let folder = folder?;
        if !folder.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(folder.path())? {
            let file = file?;
            // The store's name for an incomplete file.
            let is_part = file.file_name().to_str().is_some_and(|name| name.contains(".slug#"));
            // It may just have been renamed.
            let Some(changed) = file.metadata().ok().and_then(|meta| meta.modified().ok()) else { continue };
            if is_part && changed.elapsed().unwrap_or_default() >= age {
                fs::remove_file(file.path())?;
                removed.push(file.path());
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[tokio::test]
    async fn an_archive_is_stored_without_a_copy_and_only_once() {
        let data = tempfile::tempdir().unwrap();
        let files = SlugFiles::open(data.path()).unwrap();
        let checksum = format!("SHA256:{}", "ab".repeat(32));
        let stored = data.path().join(format!("slugs/ab/{}.slug", "ab".repeat(32)));
        let [first, second] = ["first", "second"].map(|name| data.path().join(name));
        for file in [&first, &second] {
            fs::write(file, "archive").unwrap();
            files.put(&checksum, file).await.unwrap();
        }
        assert_eq!(fs::metadata(&stored).unwrap().ino(), fs::metadata(&first).unwrap().ino());
        assert_eq!(fs::metadata(&second).unwrap().nlink(), 1);
        fs::remove_file(first).unwrap();
        let (size, content) = files.read(&checksum).await.unwrap();
        let content: Vec<bytes::Bytes> = content.try_collect().await.unwrap();
        assert_eq!((size, content.concat()), (7, b"archive".to_vec()));
        files.delete(&checksum).await.unwrap();
        assert!(!stored.exists() && second.exists());
    }

    #[test]
    fn a_link_that_exists_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "folder/to"].map(|name| dir.path().join(name));
        fs::write(&from, "new").unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        fs::write(&to, "old").unwrap();
        assert!(link(&from, &to).unwrap());
        assert_eq!(fs::read_to_string(&to).unwrap(), "old");
        assert!(link(&dir.path().join("none"), &to).is_err());
    }
}
