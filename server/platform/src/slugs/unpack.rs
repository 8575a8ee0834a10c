//! Unpacks slugs, so that their dynos can be started.
//!
//! [`Unpacked`] keeps the unpacked slugs equal to those that releases need; the job [`Unpack`] does the work. A slug
//! that cannot be unpacked delays its own app only: few jobs of one payer run at a time, and a defective archive is not
//! retried.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use api::ids::{AccountId, AppId, ReleaseId, SlugId};
use async_trait::async_trait;
use background::{Cancel, Failure, Job, Reconciler, Report, Steps};
use base::Kind;
use chrono::Utc;
use serde::{Deserialize, Serialize};
use store::slugs::Needed;
use uuid::Uuid;

use crate::{Platform, releases};

/// The number of slugs that are unpacked concurrently, in total and per payer.
const MOST: usize = 6;
const MOST_OF_ONE: usize = 2;
/// The number of newest releases of an app whose slugs stay unpacked, for fast rollbacks.
const KEPT: i64 = 3;
/// How often to look for unused folders.
const TIDY: Duration = Duration::from_secs(60);
/// The interval of checks while slugs wait for their turn.
const SOON: Duration = Duration::from_millis(500);
/// The pause before a failed slug is retried.
const PAUSE: chrono::Duration = chrono::Duration::minutes(5);

/// Unpacks the slug of a release.
#[derive(Serialize, Deserialize)]
pub struct Unpack {
    pub release: ReleaseId,
}

#[async_trait]
impl Job for Unpack {
    const KIND: &'static str = "slugs.unpack";
    const ATTEMPTS: i32 = 5;
    const CANCEL: Cancel =
        Cancel::Instead("A release needs this slug, so it would be unpacked again. Roll the app back, or destroy it.");
    type Context = Platform;

    fn subject(&self) -> Uuid {
        self.release.get()
    }

    async fn run(&self, platform: &Platform, steps: &mut Steps) -> Result<(), Failure> {
        let Some((app, slug)) = self.found(platform).await? else { return Ok(()) };
        let refused = steps.once("unpack", self.unpack(platform, &app, &slug)).await?;
        self.note(platform, &app, &slug, refused.as_deref(), refused.is_some()).await?;
        Ok(())
    }

    async fn give_up(&self, platform: &Platform, why: &anyhow::Error) -> anyhow::Result<()> {
        tracing::error!(release.id = %self.release, "could not unpack a slug: {why:#}");
        let Some((app, slug)) = self.found(platform).await? else { return Ok(()) };
        let said = match base::error::is_disk_full(why) {
            true => "the platform's disk is full; its operator has to free space",
            false => "internal error; see the platform's log",
        };
        self.note(platform, &app, &slug, Some(said), false).await
    }
}

impl Unpack {
    async fn found(&self, platform: &Platform) -> anyhow::Result<Option<(store::apps::Row, store::slugs::Row)>> {
        let db = platform.db();
        let Some(release) = store::releases::release_info(db, self.release).await? else { return Ok(None) };
        let Some(slug) = release.slug_id else { return Ok(None) };
        let app = store::apps::app_info(db, release.app_id).await?;
        Ok(app.zip(store::slugs::slug_info(db, slug).await?))
    }

    /// Returns the error of the archive, if any.
    async fn unpack(
        &self,
        platform: &Platform,
        app: &store::apps::Row,
        slug: &store::slugs::Row,
    ) -> Result<Option<String>, Failure> {
        match platform.slug_files().unpack(platform.workers(), app, slug).await {
            Ok(()) => Ok(None),
            Err(builder::Error::Failed { why }) => Ok(Some(why)),
            Err(other) => Err(Failure::Retry(other.into())),
        }
    }

    /// Wakes the dyno reconciler, or records the reason for users.
    async fn note(
        &self,
        platform: &Platform,
        app: &store::apps::Row,
        slug: &store::slugs::Row,
        fault: Option<&str>,
        refused: bool,
    ) -> anyhow::Result<()> {
        store::slugs::slug_fault(platform.db(), slug.id, fault, refused).await?;
        if let Some(why) = fault.filter(|why| slug.fault.as_deref() != Some(why)) {
            platform.said(app.id, "api", &format!("The slug cannot be unpacked: {why}"));
        }
        let mut db = platform.db().acquire().await?;
        background::wake::<releases::Run>(&mut db, self.release.get()).await?;
        platform.publish(Kind::Slug, app.id);
        Ok(())
    }
}

/// Keeps the unpacked slugs equal to those that releases need.
pub(crate) struct Unpacked {
    platform: Platform,
    tidied: Option<std::time::Instant>,
    /// Removes unused folders in the background, since they may contain a million files.
    removal: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
}

impl Unpacked {
    pub(crate) fn new(platform: Platform) -> Self {
        Self { platform, tidied: None, removal: None }
    }

    /// The needed slugs that are not unpacked.
    async fn missing(&self, needed: &[Needed]) -> anyhow::Result<Vec<Needed>> {
        let files = self.platform.slug_files().clone();
        let needed: Vec<Needed> = needed.iter().filter(|n| n.now && !n.busy && !n.hopeless).cloned().collect();
        let look = move || needed.into_iter().filter(|n| !files.folder(n.app_id, n.slug_id).exists()).collect();
        tokio::task::spawn_blocking(look).await.context("find unpacked slugs")
    }

    /// Moves unused folders aside and removes them in the background. Runs again only when that is done.
    async fn tidy(&mut self, needed: &[Needed]) -> anyhow::Result<Vec<String>> {
        let kept: HashSet<PathBuf> =
            needed.iter().map(|n| self.platform.slug_files().folder(n.app_id, n.slug_id)).collect();
        let folders = self.platform.slug_files().folders().to_owned();
        let list = move || list(&folders, &kept);
        let (unneeded, mut unused) = tokio::task::spawn_blocking(list).await.context("list unpacked slugs")??;
        let mut done = Vec::new();
        for Folder { path, app, slug } in unneeded {
            let aside = path.with_file_name(format!(".{}.unpacking", Uuid::now_v7()));
            if !is_moved(&path, &aside).await? {
                continue;
            }
            // Whoever starts a dyno records it before looking for the folder, so a folder that was found in time is
            // recorded by now.
            if store::slugs::slug_runs(self.platform.db(), app, slug).await? {
                is_moved(&aside, &path).await?;
                continue;
            }
            unused.push(aside);
            done.push(format!("removing {}", path.display()));
        }
        let remove = move || unused.iter().try_for_each(|aside| trees::remove(aside));
        self.removal = Some(tokio::task::spawn_blocking(remove));
        Ok(done)
    }

    /// Whether the last removal has ended. A failed one is retried later, when its leftovers are old enough.
    async fn has_removed(&mut self, report: &mut Report) -> bool {
        if self.removal.as_ref().is_some_and(|removal| !removal.is_finished()) {
            return false;
        }
        if let Some(removal) = self.removal.take()
            && let Err(err) = removal.await.map_err(std::io::Error::other).flatten()
        {
            report.failed.push(format!("could not remove an unused slug: {err}"));
        }
        true
    }
}

/// The slugs to unpack now: few per payer, and few in total.
fn next<'a>(needed: &[Needed], missing: &'a [Needed]) -> Vec<&'a Needed> {
    let mut total = 0;
    let mut of_payer: HashMap<AccountId, usize> = HashMap::new();
    for busy in needed.iter().filter(|n| n.busy) {
        total += 1;
        *of_payer.entry(busy.payer).or_default() += 1;
    }
    let mut chosen = Vec::new();
    for slug in missing {
        let its = of_payer.entry(slug.payer).or_default();
        if total < MOST && *its < MOST_OF_ONE {
            total += 1;
            *its += 1;
            chosen.push(slug);
        }
    }
    chosen
}

struct Folder {
    path: PathBuf,
    app: AppId,
    slug: SlugId,
}

/// Moves a folder; `false` if it has gone, with its app.
async fn is_moved(from: &Path, to: &Path) -> std::io::Result<bool> {
    match tokio::fs::rename(from, to).await {
        Ok(()) => Ok(true),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(err) => Err(err),
    }
}

/// The folders of slugs that are no longer needed, and leftovers of interrupted unpackings and removals.
fn list(folders: &Path, kept: &HashSet<PathBuf>) -> std::io::Result<(Vec<Folder>, Vec<PathBuf>)> {
    let (mut unneeded, mut leftovers) = (Vec::new(), Vec::new());
    for app in std::fs::read_dir(folders)? {
        let app = app?;
        // The folder of an app is removed with the app, also while it is read.
        for slug in std::fs::read_dir(app.path()).into_iter().flatten().flatten() {
            let (path, name) = (slug.path(), slug.file_name().to_string_lossy().into_owned());
            // One that is still being unpacked or removed will be done soon.
            let changed = slug.metadata().and_then(|meta| meta.modified());
            let age = changed.ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
            if builder::is_unfinished(&name) && age > builder::LONGEST * 2 {
                leftovers.push(path.clone());
            }
            if let (Ok(app), Ok(slug)) = (app.file_name().to_string_lossy().parse(), name.parse())
                && !kept.contains(&path)
            {
                unneeded.push(Folder { path, app, slug });
            }
        }
    }
    Ok((unneeded, leftovers))
}

#[async_trait]
impl Reconciler for Unpacked {
    const NAME: &'static str = "slugs";

    async fn run(&mut self) -> anyhow::Result<Report> {
        let mut report = Report::default();
        let db = self.platform.db();
        let needed = store::slugs::slug_needed_all(db, KEPT, Utc::now() - PAUSE).await.context("read the slugs")?;
        let missing = self.missing(&needed).await?;
        let chosen = next(&needed, &missing);
        // The others follow when a job has ended, which is not published.
        report.again_in = (chosen.len() < missing.len()).then_some(SOON);
        for slug in chosen {
            let mut tx = db.begin().await?;
            if background::enqueue(&mut tx, &Unpack { release: slug.release_id }).await? {
                report.done.push(format!("unpacking slug {} for app {}", slug.slug_id, slug.app_id));
            }
            tx.commit().await?;
        }
        if self.tidied.is_none_or(|at| at.elapsed() >= TIDY) && self.has_removed(&mut report).await {
            match self.tidy(&needed).await {
                Ok(done) => report.done.extend(done),
                Err(err) => report.failed.push(format!("{err:#}")),
            }
            self.tidied = Some(std::time::Instant::now());
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(payer: u128, busy: bool) -> Needed {
        let (release_id, app_id, slug_id) = (ReleaseId::now_v7(), AppId::now_v7(), SlugId::now_v7());
        let payer = AccountId::from_u128(payer);
        Needed { release_id, app_id, slug_id, payer, now: true, busy, hopeless: false }
    }

    #[test]
    fn one_payer_does_not_hold_up_another() {
        let mut all = vec![needed(1, true)];
        all.extend((0..100).map(|_| needed(1, false)));
        all.push(needed(2, false));
        let missing: Vec<Needed> = all.iter().filter(|n| !n.busy).cloned().collect();
        let chosen: Vec<u128> = next(&all, &missing).iter().map(|n| n.payer.get().as_u128()).collect();
        assert_eq!(chosen, [1, 2]);
    }

    #[tokio::test]
    async fn a_folder_that_has_gone_is_not_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let [from, to] = ["a", "b"].map(|name| dir.path().join(name));
        std::fs::create_dir(&from).unwrap();
        assert!(is_moved(&from, &to).await.unwrap() && to.exists());
        assert!(!is_moved(&from, &to).await.unwrap());
        std::fs::write(&from, "").unwrap();
        assert!(is_moved(&from, &to).await.is_err(), "a file does not replace a folder");
    }

    #[test]
    fn there_are_few_at_a_time() {
        let missing: Vec<Needed> = (0..50).map(|payer| needed(payer, false)).collect();
        assert_eq!(next(&missing, &missing).len(), MOST);
    }
}
