//! Making a backup, while the platform runs.
//!
//! First the refs of all repositories are read, then the database is dumped, then the files are copied. Archives of slugs
//! are stored before the rows that name them, and are not removed meanwhile: so whatever the dump names is there. The
//! manifest comes last. However this ends before, there is no backup, and the next one continues with what was copied.

use std::{collections::BTreeMap, fs::File, path::Path};

use anyhow::{Context as _, anyhow, bail};
use api::{backups::BackupState, ids::BackupId};
use base::{Base, Subject, SubjectKind, events::EventActor};
use chrono::Utc;
use sqlx::{Connection as _, PgConnection};
use store::backups::Row;

use crate::{
    blobs::{Blob, Blobs, Damaged},
    files::{self, Content, Refs},
    manifest::{self, Entry, Header, Manifest},
    plan::Plan,
    postgres, retention, verifying,
};

/// Rows about backups that are kept.
const KEPT: i64 = 1000;
/// The file in the data directory with the time of the newest verified backup, which `wharfd doctor` reads.
pub const VERIFIED: &str = "verified-backup";

/// Makes a backup, verifies it, and removes old ones. Waits for another one. Returns its row, which is in the database
/// however this ends.
///
/// # Errors
/// What went wrong, for administrators.
pub async fn back_up(plan: &Plan) -> anyhow::Result<Row> {
    let db = plan.base.db();
    refuse_inside(plan)?;
    let mut lock = db.acquire().await.context("connect to the database")?.detach();
    if let Err(err) = store::backups::backup_hold(&mut lock).await {
        return Err(anyhow::Error::new(err).context("wait for another backup, which is not finished yet"));
    }
    let left = "wharfd ended before the backup was verified.";
    store::backups::backup_interrupt_all(db, left, Utc::now()).await?;
    let (id, now) = (BackupId::now_v7(), Utc::now());
    let mut row = Row {
        id,
        name: manifest::name(now, id.get()),
        target: plan.target.place().to_string(),
        state: BackupState::Running,
        with_logs: plan.with_logs,
        bytes: 0,
        stored_bytes: 0,
        files: 0,
        error: None,
        started_at: now,
        finished_at: None,
        verified_at: None,
        removed_at: None,
    };
    store::backups::backup_create(db, &row).await?;
    let outcome = make_and_verify(plan, &mut lock, &mut row).await;
    if let Err(err) = &outcome {
        (row.state, row.error) = (BackupState::Failed, Some(format!("{err:#}")));
    }
    row.finished_at = Some(Utc::now());
    record(&plan.base, &row).await?;
    // Its lock ends with the connection.
    let _ = lock.close().await;
    outcome.map(|()| row)
}

/// A backup of itself would never end.
fn refuse_inside(plan: &Plan) -> anyhow::Result<()> {
    let place = plan.target.place();
    if place.is_inside(&plan.base.settings().data) {
        bail!(
            "{place} is in the data directory, and would be lost with it. Choose another disk, or s3://bucket/prefix."
        );
    }
    Ok(())
}

async fn make_and_verify(plan: &Plan, lock: &mut PgConnection, row: &mut Row) -> anyhow::Result<()> {
    let (db, secrets) = (plan.base.db(), plan.base.secrets());
    own(plan).await?;
    plan.target.tidy().await?;
    let blobs = Blobs::open(&plan.target, secrets).await?;
    let manifest = make(plan, lock, &blobs, row).await?;
    manifest.write(&plan.target, secrets, &row.name).await?;
    row.state = BackupState::Completed;
    row.bytes = i64::try_from(manifest.bytes())?;
    row.stored_bytes = i64::try_from(blobs.added())?;
    row.files = i64::try_from(manifest.entries.len() + 1)?;
    store::backups::backup_update(db, row, Utc::now()).await?;
    if let Err(err) = verifying::verify(plan, &blobs, &row.name).await {
        if err.downcast_ref::<Damaged>().is_some() {
            manifest::remove(&plan.target, &row.name).await?;
        }
        return Err(err.context("The backup was made, but could not be verified"));
    }
    (row.state, row.verified_at) = (BackupState::Verified, Some(Utc::now()));
    let data = &plan.base.settings().data;
    base::secrets::write_private(&data.join(VERIFIED), &row.started_at.to_rfc3339())?;
    (plan.progress)(0.98, "removing old backups");
    let removed = retention::prune(&plan.target, secrets, &blobs, plan.keep as usize).await?;
    store::backups::backup_remove_all(db, &row.target, &removed, Utc::now()).await?;
    store::backups::backup_sweep(db, KEPT).await?;
    Ok(())
}

/// Fails if the target has the backups of another platform; otherwise, it is this one's.
async fn own(plan: &Plan) -> anyhow::Result<()> {
    let secrets = plan.base.secrets();
    let found = Header::read(&plan.target).await?;
    if found.as_ref().is_some_and(|header| !header.is_of(secrets)) {
        bail!(
            "{} has the backups of another platform, or of this one with another master key. Choose another folder or prefix.",
            plan.target.place()
        );
    }
    let known = found.as_ref().and_then(|header| header.wrapped_key.clone());
    if found.is_none() || plan.wrapped_key.is_some() && plan.wrapped_key != known {
        Header::new(secrets, plan.wrapped_key.clone().or(known)).write(&plan.target).await?;
    }
    Ok(())
}

async fn make(plan: &Plan, lock: &mut PgConnection, blobs: &Blobs, row: &Row) -> anyhow::Result<Manifest> {
    let settings = plan.base.settings();
    let data = settings.data.clone();
    (plan.progress)(0.01, "reading the refs of repositories");
    let refs = in_thread(move || files::refs(&data)).await?;
    (plan.progress)(0.05, "dumping the database");
    let (database, rows, slugs) = database(plan, lock, blobs).await?;
    let mut copy = Copier { plan, blobs, entries: Vec::new() };
    copy.files(refs, &slugs).await?;
    let option = |name: &str, value: String| (name.to_owned(), value);
    let options = [
        option("--domain", settings.domain.clone()),
        option("--apps-domain", settings.apps_domain.clone()),
        option("--listen", settings.listen.to_string()),
        option("--tls", settings.tls.to_string()),
    ];
    Ok(Manifest {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: row.started_at,
        options: options.into_iter().collect(),
        with_logs: plan.with_logs,
        database,
        rows,
        entries: copy.entries,
    })
}

/// Dumps the database. Returns the dump, the number of rows in it by table, and the checksums of slugs that it names.
async fn database(
    plan: &Plan,
    lock: &mut PgConnection,
    blobs: &Blobs,
) -> anyhow::Result<(Blob, BTreeMap<String, i64>, Vec<String>)> {
    let url = &plan.base.settings().database_url;
    let file = tempfile::tempfile_in(plan.temporary()).context("create a temporary file")?;
    let into = file.try_clone().context("create a temporary file")?;
    let mut tx = lock.begin().await.context("fix a state of the database")?;
    let snapshot = store::backups::backup_snapshot(&mut tx).await.context("fix a state of the database")?;
    postgres::dump(url, &snapshot, into).await?;
    let rows = store::backups::backup_row_counts(&mut tx).await.context("count the rows")?.into_iter().collect();
    let slugs = store::backups::backup_slug_checksums(&mut *tx).await.context("list the slugs")?;
    tx.commit().await.context("release the state of the database")?;
    let size = file.metadata().context("measure the dump")?.len();
    Ok((blobs.put(file, size).await.context("store the dump")?, rows, slugs))
}

/// Copies files into a backup.
struct Copier<'a> {
    plan: &'a Plan,
    blobs: &'a Blobs,
    entries: Vec<Entry>,
}

impl Copier<'_> {
    async fn files(&mut self, refs: Vec<Refs>, slugs: &[String]) -> anyhow::Result<()> {
        let data = self.data().to_owned();
        for name in files::SINGLE {
            self.single(name).await?;
        }
        let all = slugs.len().max(1) as f64;
        for (n, checksum) in slugs.iter().enumerate() {
            (self.plan.progress)(0.1 + 0.3 * n as f64 / all, &format!("slug {} of {}", n + 1, slugs.len()));
            self.slug(checksum).await.with_context(|| format!("copy the slug {checksum}"))?;
        }
        let all = refs.len();
        for (n, refs) in refs.into_iter().enumerate() {
            let fraction = n as f64 / all.max(1) as f64;
            (self.plan.progress)(0.4 + 0.2 * fraction, &format!("repository {} of {all}", n + 1));
            let (data, temporary, path) = (data.clone(), self.plan.temporary(), refs.path.clone());
            let content = in_thread(move || refs.with_objects(&data, &temporary)).await;
            self.content(content.with_context(|| format!("copy {path}"))?).await?;
        }
        if self.plan.with_logs {
            (self.plan.progress)(0.6, "logs and metrics");
            let of = data.clone();
            for path in in_thread(move || files::log_folders(&of)).await? {
                let (data, temporary, of) = (data.clone(), self.plan.temporary(), path.clone());
                let content = in_thread(move || files::log_folder(&data, &of, &temporary)).await;
                self.content(content.with_context(|| format!("copy {path}"))?).await?;
            }
        }
        Ok(())
    }

    fn data(&self) -> &Path {
        &self.plan.base.settings().data
    }

    /// A file of the data directory; nothing if it does not exist.
    async fn single(&mut self, name: &str) -> anyhow::Result<()> {
        let Ok(file) = File::open(self.data().join(name)) else { return Ok(()) };
        let size = file.metadata().with_context(|| format!("measure {name}"))?.len();
        self.add(name.to_owned(), file, size).await
    }

    async fn slug(&mut self, checksum: &str) -> anyhow::Result<()> {
        let (path, hex) = files::slug(checksum)?;
        let missing = || format!("{path} is missing, although the database names it");
        let file = File::open(self.data().join(&path)).with_context(missing)?;
        let size = file.metadata()?.len();
        let blob = self.blobs.put_known(file, size, &hex).await?;
        self.entries.push(Entry { path, is_archive: false, blob });
        Ok(())
    }

    /// A directory, unless it was removed meanwhile, with its app.
    async fn content(&mut self, content: Option<Content>) -> anyhow::Result<()> {
        let Some(Content { path, archive, large }) = content else { return Ok(()) };
        let size = archive.metadata().context("measure a temporary file")?.len();
        let blob = self.blobs.put(archive, size).await.with_context(|| format!("copy {path}"))?;
        self.entries.push(Entry { path, is_archive: true, blob });
        for (path, file, size) in large {
            self.add(path, file, size).await?;
        }
        Ok(())
    }

    async fn add(&mut self, path: String, file: File, size: u64) -> anyhow::Result<()> {
        let blob = self.blobs.put(file, size).await.with_context(|| format!("copy {path}"))?;
        self.entries.push(Entry { path, is_archive: false, blob });
        Ok(())
    }
}

async fn in_thread<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|err| anyhow!("read files: {err}"))?
}

/// Records the outcome: in the row of the backup and in the audit log.
async fn record(base: &Base, row: &Row) -> anyhow::Result<()> {
    let failed = |err: base::Error| anyhow!("record the outcome of a backup: {err}");
    let subject = Subject::new(SubjectKind::Backup, row.id, &row.name);
    let mut change = base.change(EventActor::platform(), subject).await.map_err(failed)?;
    store::backups::backup_update(&mut *change, row, Utc::now()).await?;
    let data = serde_json::json!({ "target": row.target, "bytes": row.bytes, "state": row.state });
    match &row.error {
        None => {
            let summary = format!("Backed up the platform to {}, and verified the backup.", row.target);
            change.record("backup.create", summary, data);
        }
        Some(why) => {
            let summary = format!("Could not back up the platform to {}: {why}", row.target);
            change.record("backup.fail", summary, data);
        }
    }
    change.commit().await
}
