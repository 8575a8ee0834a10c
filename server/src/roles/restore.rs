//! `wharfd restore`: restores a backup into an empty data directory.
//!
//! Everything is restored below a folder in it, and moved into place at the end. While that folder exists, `up` does not
//! start, so an interrupted restore is never mistaken for a platform.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use recovery::{Key, Source, Target};

use crate::{
    config::Settings,
    data, lock, machine,
    postgres::Postgres,
    roles::backup::{passphrase, progress},
};

/// What to restore.
#[derive(Args, Clone, Debug)]
pub struct RestoreSettings {
    #[command(flatten)]
    pub common: Settings,

    /// The target of the backups: a folder or s3://bucket/prefix, with credentials in AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL
    #[arg(value_name = "DIR|s3://BUCKET/PREFIX")]
    source: String,

    /// Name of the backup [default: the newest]
    #[arg(long, value_name = "NAME")]
    backup: Option<String>,

    /// File with the passphrase that decrypts the master key in the backups
    #[arg(long, value_name = "FILE", conflicts_with = "master_key_file")]
    passphrase_file: Option<PathBuf>,

    /// Copy of master.key, if there is no passphrase
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<PathBuf>,
}

/// Restores the backup and prints how to start it.
pub async fn run(settings: RestoreSettings) -> Result<()> {
    machine::must_be_root()?;
    let mut common = settings.common.clone();
    data::make(&common.data, 0o711)?;
    common.resolve()?;
    let (data, run) = (common.data.clone(), common.run());
    data::make(run.parent().unwrap_or(Path::new("/run")), 0o711)?;
    data::make(&run, 0o711)?;
    let _lock = match lock::take(&run.join("up.lock"), "restoring a backup")? {
        Ok(lock) => lock,
        Err(holder) => bail!("{} is used by process {}.", data.display(), holder.pid),
    };
    if let Some(why) = data::unusable(&data, true) {
        bail!(why);
    }
    must_be_empty(&data)?;
    let source = open(&settings, &common).await?;
    let staging = data.join(data::RESTORING);
    Postgres::stop_leftover(&staging, &run).await.context("stop the database of an interrupted restore")?;
    trees::remove(&staging).or_else(missing).context("remove what an interrupted restore has left")?;
    data::make(&staging, 0o711)?;
    if let Err(err) = restore(&source, &common, &staging).await {
        trees::remove(&staging).or_else(missing).context("remove what was restored")?;
        return Err(err.context("The backup was not restored"));
    }
    put_in_place(&source, &common, &staging)?;
    explain(&source, &data);
    Ok(())
}

/// Moves what was restored into the data directory, and writes the master key. The folder that it was in is removed when
/// everything else is on the disk.
fn put_in_place(source: &Source, common: &Settings, staging: &Path) -> Result<()> {
    let data = &common.data;
    let sync = || fs::File::open(data).and_then(|dir| dir.sync_all()).context("sync the data directory");
    for entry in fs::read_dir(staging).context("list what was restored")? {
        let entry = entry.context("list what was restored")?;
        fs::rename(entry.path(), data.join(entry.file_name())).context("move what was restored into place")?;
    }
    if common.master_key.is_none() {
        source.write_key(&data.join("master.key"))?;
    }
    sync()?;
    fs::remove_dir(staging).context("remove the empty folder of the restore")?;
    sync()
}

fn missing(err: std::io::Error) -> std::io::Result<()> {
    match err.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(err),
    }
}

fn must_be_empty(data: &Path) -> Result<()> {
    for entry in fs::read_dir(data).with_context(|| format!("list {}", data.display()))? {
        let name = entry?.file_name();
        if name != data::RESTORING && name != "lost+found" {
            bail!(
                "{} is not empty: it contains {}. Restore into an empty or new directory, with --data.",
                data.display(),
                name.to_string_lossy()
            );
        }
    }
    Ok(())
}

/// Opens the backup, and checks that it is complete.
async fn open(settings: &RestoreSettings, common: &Settings) -> Result<Source> {
    let text = match settings.source.contains("://") {
        true => settings.source.clone(),
        false => std::path::absolute(&settings.source).context("resolve the path")?.display().to_string(),
    };
    let target = Target::of_operator(&text, common.outbound_networks.clone(), false)?;
    let key = match (&settings.passphrase_file, &settings.master_key_file, &common.master_key) {
        (Some(file), _, _) => Key::Passphrase(passphrase(file)?),
        (_, Some(file), _) => Key::Plain(fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?),
        (_, _, Some(key)) => Key::Plain(key.clone()),
        _ => bail!(
            "The backup is encrypted. Give its passphrase with --passphrase-file, or a copy of master.key with --master-key-file."
        ),
    };
    Source::open(&target, key, settings.backup.as_deref()).await
}

async fn restore(source: &Source, common: &Settings, staging: &Path) -> Result<()> {
    source.write_files(staging, &progress()).await?;
    eprintln!("restoring the database");
    if let Some(url) = &common.database_url {
        return source.write_database(url, staging).await;
    }
    let postgres = Postgres::prepare(staging, &common.run())?;
    let mut process = postgres.run().await?;
    let outcome = source.write_database(&postgres.url(), staging).await;
    Postgres::stop(&mut process, false).await?;
    outcome
}

fn explain(source: &Source, data: &Path) {
    let manifest = source.manifest();
    let options = manifest.options.iter().filter(|(_, value)| *value != "false");
    let options: Vec<String> =
        options.map(|(name, value)| if value == "true" { name.clone() } else { format!("{name} {value}") }).collect();
    println!("Restored the backup {} into {}.", source.name(), data.display());
    println!(
        "Scheduled backups are off in it, since the original may still use the target: turn them on on the page Platform."
    );
    println!("Start it: wharfd up --data {} {}", data.display(), options.join(" "));
}
