//! Restoring a backup: its files and its dump. Which directory and which database they are for is up to the caller.

use std::{
    fs::{self, File},
    io::{Seek as _, SeekFrom},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};
use base::secrets::Secrets;
use chrono::Utc;
use sqlx::PgPool;

use crate::{
    blobs::Blobs,
    manifest::{self, Entry, Header, Manifest},
    plan::Progress,
    postgres,
    target::Target,
    verifying,
};

/// How the master key of a backup is given.
pub enum Key {
    /// In base64, as in `master.key`.
    Plain(String),
    /// The passphrase that decrypts the one in the target.
    Passphrase(String),
}

/// A backup that can be restored.
pub struct Source {
    name: String,
    secrets: Secrets,
    manifest: Manifest,
    blobs: Blobs,
}

impl Source {
    /// Opens the backup called `name`, or else the newest one, and checks that everything in its manifest is there, in
    /// its full size.
    ///
    /// # Errors
    /// If there is no such backup, the key is another one, or something is missing.
    pub async fn open(target: &Target, key: Key, name: Option<&str>) -> anyhow::Result<Self> {
        let none = || anyhow!("There are no backups in {}.", target.place());
        let header = Header::read(target).await?.ok_or_else(none)?;
        let secrets = secrets(target, &header, key)?;
        let name = match name {
            Some(name) => name.to_owned(),
            None => manifest::names(target).await?.pop().ok_or_else(none)?,
        };
        let manifest = Manifest::read(target, &secrets, &name).await?;
        let blobs = Blobs::open(target, &secrets).await?;
        if let Some(missing) = manifest.blobs().find(|blob| !blobs.has(blob)) {
            let of = manifest.entries.iter().find(|entry| entry.blob == *missing);
            let path = of.map_or("the database", |entry| entry.path.as_str());
            bail!(
                "The backup {name} is damaged: {} in {}, which contains {path}, is missing or truncated.",
                missing.name,
                target.place()
            );
        }
        Ok(Self { name, secrets, manifest, blobs })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it consists of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Writes all files below `folder`, which must be empty, and checks each.
    ///
    /// # Errors
    /// If one is damaged, or cannot be written.
    pub async fn write_files(&self, folder: &Path, progress: &Progress) -> anyhow::Result<()> {
        let all = self.manifest.entries.len().max(1) as f64;
        for (n, entry) in self.manifest.entries.iter().enumerate() {
            progress(n as f64 / all, "restoring files");
            self.write_entry(folder, entry).await.with_context(|| format!("restore {}", entry.path))?;
        }
        Ok(())
    }

    async fn write_entry(&self, folder: &Path, entry: &Entry) -> anyhow::Result<()> {
        let path = below(folder, &entry.path)?;
        if entry.is_archive {
            let archive = tempfile::tempfile_in(folder).context("create a temporary file")?;
            let mut into = tokio::fs::File::from_std(archive.try_clone().context("create a temporary file")?);
            self.blobs.read(&entry.blob, &mut into).await?;
            let is_repository = entry.path.starts_with("git/");
            let unpacked = tokio::task::spawn_blocking(move || unpack(archive, &path, is_repository)).await;
            return unpacked.context("unpack an archive")?.context("unpack an archive");
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).context("create its folder")?;
        }
        let mut file = tokio::fs::File::create(&path).await.context("create it")?;
        self.blobs.read(&entry.blob, &mut file).await?;
        file.sync_all().await.context("write it to disk")
    }

    async fn check(&self, db: &PgPool) -> anyhow::Result<()> {
        verifying::check(db, &self.manifest, &self.secrets).await?;
        let mut db = db.acquire().await.context("connect to the restored database")?;
        store::backups::backup_turn_off(&mut db, Utc::now()).await.context("turn scheduled backups off")
    }

    async fn dump(&self, folder: &Path) -> anyhow::Result<File> {
        let mut dump = tempfile::tempfile_in(folder).context("create a temporary file")?;
        let mut into = tokio::fs::File::from_std(dump.try_clone().context("create a temporary file")?);
        self.blobs.read(&self.manifest.database, &mut into).await.context("read the dump")?;
        dump.seek(SeekFrom::Start(0)).context("read the dump")?;
        Ok(dump)
    }

    /// Restores the dump into the database at `url`, which must have no tables, and checks that it has all rows and an
    /// intact audit log. Scheduled backups are off in it, since the original may still use the target. `folder` is for a
    /// temporary file.
    ///
    /// # Errors
    /// If the dump is damaged, or the database cannot be written to.
    pub async fn write_database(&self, url: &str, folder: &Path) -> anyhow::Result<()> {
        postgres::restore(url, self.dump(folder).await?).await?;
        let db = store::open_copy(url).await.context("connect to the restored database")?;
        let outcome = self.check(&db).await;
        db.close().await;
        outcome
    }

    /// Writes the master key to `file`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_key(&self, file: &Path) -> anyhow::Result<()> {
        self.secrets.write(file)
    }
}

/// Whether a target has no backups yet, of any platform.
///
/// # Errors
/// If it cannot be read.
pub async fn is_unused(target: &Target) -> anyhow::Result<bool> {
    Ok(Header::read(target).await?.is_none())
}

fn secrets(target: &Target, header: &Header, key: Key) -> anyhow::Result<Secrets> {
    let secrets = match key {
        Key::Plain(text) => Secrets::from_base64(text.trim()).context("read the master key")?,
        Key::Passphrase(passphrase) => {
            let missing = || {
                anyhow!(
                    "The backups in {} do not contain the master key. Give your copy of it with --master-key-file.",
                    target.place()
                )
            };
            header.wrapped_key.as_ref().ok_or_else(missing)?.unwrap(&passphrase)?
        }
    };
    match header.is_of(&secrets) {
        true => Ok(secrets),
        false => bail!("The backups in {} were made with another master key.", target.place()),
    }
}

/// The path of an entry, which cannot be outside of `folder`.
fn below(folder: &Path, path: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new(path);
    match path.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(folder.join(path)),
        false => bail!("{} is not a path in a data directory", path.display()),
    }
}

fn unpack(mut archive: File, folder: &Path, is_repository: bool) -> std::io::Result<()> {
    archive.seek(SeekFrom::Start(0))?;
    fs::create_dir_all(folder)?;
    let mut archive = tar::Archive::new(archive);
    // Its times say nothing; what is old is found by the time of the restore.
    archive.set_preserve_mtime(false);
    for entry in archive.entries()? {
        let mut entry = entry?;
        // Backups consist of files. A link could lead what is written after it to another place.
        if !entry.header().entry_type().is_file() || !entry.unpack_in(folder)? {
            return Err(std::io::Error::other(format!("{} is not a file of a backup", entry.path()?.display())));
        }
    }
    // Git requires these, and archives have no empty folders.
    for required in ["objects", "refs"].iter().filter(|_| is_repository) {
        fs::create_dir_all(folder.join(required))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_outside() {
        let folder = Path::new("/data");
        assert_eq!(below(folder, "git/a.git").unwrap(), Path::new("/data/git/a.git"));
        for bad in ["/etc/passwd", "../x", "git/../../x"] {
            assert!(below(folder, bad).is_err(), "{bad}");
        }
    }
    #[test]
    fn an_archive_holds_files_and_nothing_else() {
        let archive = |kind: tar::EntryType, name: &str| {
            let mut archive = tar::Builder::new(tempfile::tempfile().unwrap());
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(0o600);
            // As a hostile program writes it: the library refuses such names.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_link_name("/etc").unwrap();
            header.set_size(0);
            header.set_cksum();
            archive.append(&header, std::io::empty()).unwrap();
            archive.into_inner().unwrap()
        };
        let unpacked = |archive: File| {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("inside/git");
            let outcome = unpack(archive, &folder, true);
            let all: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(all, ["inside"]);
            outcome
                .map(|()| folder.join("HEAD").is_file() && folder.join("refs").is_dir())
                .map_err(|err| err.to_string())
        };
        assert_eq!(unpacked(archive(tar::EntryType::Regular, "HEAD")), Ok(true));
        for (kind, name) in
            [(tar::EntryType::Symlink, "objects"), (tar::EntryType::Link, "x"), (tar::EntryType::Regular, "../../x")]
        {
            let refused = unpacked(archive(kind, name)).unwrap_err();
            assert!(refused.contains("is not a file of a backup"), "{refused}");
        }
    }
}
