//! `wharfd backup`: backs the platform up while it runs, and verifies the backup.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use anyhow::{Context, Result, bail};
use base::Base;
use clap::Args;
use recovery::{Plan, Progress, Target, back_up, is_unused, planned};

use crate::{config::Settings, data, lock, machine, postgres, roles::server};

/// What to back up, and where to.
#[derive(Args, Clone, Debug)]
pub struct BackupSettings {
    #[command(flatten)]
    pub common: Settings,

    /// A folder or s3://bucket/prefix, with credentials in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and
    /// AWS_ENDPOINT_URL [default: as set on the page Platform]
    #[arg(value_name = "DIR|s3://BUCKET/PREFIX")]
    target: Option<String>,

    /// File with the passphrase that decrypts the master key in the backup
    #[arg(long, value_name = "FILE", requires = "target", conflicts_with = "key_is_kept_elsewhere")]
    passphrase_file: Option<PathBuf>,

    /// Do not add the master key to the backup: a copy of master.key is kept elsewhere
    #[arg(long, requires = "target")]
    key_is_kept_elsewhere: bool,

    /// Leave out logs, metrics and the output of builds
    #[arg(long, requires = "target")]
    without_logs: bool,

    /// Days whose last backup is kept in the target
    #[arg(long, value_name = "DAYS", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..3650))]
    keep: u32,
}

/// Makes the backup and prints its name.
pub async fn run(settings: BackupSettings) -> Result<()> {
    machine::must_be_root()?;
    let mut common = settings.common.clone();
    common.resolve()?;
    let (data, run) = (&common.data, common.run());
    if let Some(why) = data::trouble(data, common.master_key.is_some()) {
        bail!(why);
    }
    let is_running = lock::holder_of(&run.join("up.lock"))?.is_some();
    let url = match &common.database_url {
        Some(url) => url.clone(),
        None if is_running => postgres::url_of_running(&run),
        None => bail!("No running Wharf uses the data directory {}. Start it with wharfd up.", data.display()),
    };
    let base = Base::open(server::of_areas(&common, url)).await?;
    let plan = match &settings.target {
        Some(target) => given(&settings, &base, &run, target).await?,
        None => planned(&base, &run, progress()).await?.context(
            "No target is set on the page Platform. Give one: wharfd backup /mnt/backups --passphrase-file FILE",
        )?,
    };
    let row = back_up(&plan).await?;
    println!(
        "Backed up to {}: {}, {} MB ({} MB new), verified.",
        row.target,
        row.name,
        row.bytes >> 20,
        row.stored_bytes >> 20
    );
    Ok(())
}

/// The plan for a target on the command line.
async fn given(settings: &BackupSettings, base: &Base, run: &Path, target: &str) -> Result<Plan> {
    let target = match target.contains("://") {
        true => target.to_owned(),
        false => std::path::absolute(target).context("resolve the path of the target")?.display().to_string(),
    };
    let target = Target::of_operator(&target, settings.common.outbound_networks.clone(), true)?;
    let passphrase = settings.passphrase_file.as_deref().map(passphrase).transpose()?;
    if passphrase.is_none() && !settings.key_is_kept_elsewhere && is_unused(&target).await? {
        bail!(
            "Without the master key, a backup cannot be restored. Give a passphrase that decrypts the one in the backup \
             (--passphrase-file FILE), or, if you keep a copy of {} elsewhere, --key-is-kept-elsewhere.",
            settings.common.data.join("master.key").display()
        );
    }
    Ok(Plan {
        base: base.clone(),
        run: run.to_owned(),
        target,
        wrapped_key: passphrase.map(|passphrase| base.secrets().wrap(&passphrase)).transpose()?,
        with_logs: !settings.without_logs,
        keep: settings.keep,
        progress: progress(),
    })
}

/// The passphrase in a file, without the end of its line.
pub fn passphrase(file: &Path) -> Result<String> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Prints what is being done, once each.
pub fn progress() -> Progress {
    let last = Mutex::new(String::new());
    Arc::new(move |_, note| {
        if let Ok(mut last) = last.lock()
            && *last != note
        {
            eprintln!("{note}");
            note.clone_into(&mut last);
        }
    })
}
