//! The input of one run of the supervisor: the desired dynos of every app, and the actual ones. What is known of an app is
//! kept from run to run, and read and observed again when [something is new](super::looks).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::Context as _;
use api::{
    ids::{AccountId, AppId, DynoId, ReleaseId, SlugId},
    releases::Rollout,
};
use background::Report;
use chrono::{DateTime, Duration, Utc};
use sqlx::PgConnection;
use store::{dynos::Row, releases::Current};

use super::{
    looks::Apps,
    observe,
    plan::{self, App, Step, Trial, Type, Verdict},
    routing::Entry,
    watch::Watch,
};
use crate::Platform;

/// The maximum number of dynos of one name whose output is being read; at this limit, no further one is started.
const MOST_UNREAD: usize = 2;

/// The input of one run.
#[derive(Default)]
pub(super) struct World {
    apps: BTreeMap<AppId, Known>,
    /// The releases that were up when this was last recorded.
    pub noted_up: BTreeSet<ReleaseId>,
}

/// What is known of an app.
#[derive(Default)]
struct Known {
    /// `None` while the app is being destroyed.
    app: Option<store::apps::Served>,
    payer: AccountId,
    wanted: Option<App>,
    /// The slug of each release that is to run.
    slugs: BTreeMap<ReleaseId, SlugId>,
    rows: Vec<Row>,
}

impl World {
    /// Reads the desired dynos of these apps, and observes the actual ones; all others are as in `before`, which the last
    /// run has left. `begun` is when this supervisor began to do so. Also returns the apps of which something could not
    /// be observed.
    pub async fn look(
        platform: &Platform,
        watch: &Watch,
        begun: DateTime<Utc>,
        before: Option<Self>,
        apps: &Apps,
        report: &mut Report,
    ) -> anyhow::Result<(Self, BTreeSet<AppId>)> {
        let (mut world, only) = match (before, apps) {
            (Some(before), Apps::Only(only)) if only.is_empty() => return Ok((before, BTreeSet::new())),
            (Some(before), Apps::Only(only)) => (before, Some(only.iter().copied().collect::<Vec<AppId>>())),
            _ => (Self::default(), None),
        };
        let read = read(platform, begun, only.as_deref()).await?;
        match &only {
            Some(only) => only.iter().for_each(|app| drop(world.apps.remove(app))),
            None => world.noted_up = noted_up(platform).await?,
        }
        world.apps.extend(read.apps);
        let (rows, failed) = observe::observe(platform, watch, read.rows).await;
        for row in rows {
            world.apps.entry(row.app_id).or_default().rows.push(row);
        }
        watch.keep(&world.rows().map(|row| row.run_id).collect());
        let (unseen, failed): (BTreeSet<AppId>, Vec<String>) = failed.into_iter().unzip();
        report.failed.extend(failed);
        Ok((world, unseen))
    }

    /// What is new about the rollouts of releases, by app.
    pub fn verdicts(&self) -> Vec<(AppId, Verdict)> {
        let now = Utc::now();
        let of =
            |(app, known): (&AppId, &Known)| Some((*app, plan::verdict(known.wanted.as_ref()?, &known.rows, now)?));
        self.apps.iter().filter_map(of).collect()
    }

    /// When to look at which app if nothing happens.
    pub fn due(&self, now: DateTime<Utc>) -> BTreeMap<AppId, DateTime<Utc>> {
        let of = |known: &Known| {
            let ends = known.wanted.as_ref().and_then(|app| plan::watch_ends(app, &known.rows));
            [ends.filter(|at| *at > now), plan::due(known.rows.iter(), now)].into_iter().flatten().min()
        };
        self.apps.iter().filter_map(|(app, known)| Some((*app, of(known)?))).collect()
    }

    /// All necessary steps, with their apps.
    pub fn plan(&self) -> Vec<(AppId, Step)> {
        let now = Utc::now();
        let steps_of = |known: &Known| {
            let wanted = known.wanted.as_ref().filter(|_| known.app.is_some());
            plan::plan(wanted, &known.rows, now)
        };
        self.apps.iter().flat_map(|(app, known)| steps_of(known).into_iter().map(move |step| (*app, step))).collect()
    }

    /// Every app, as needed by the routing table.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        self.apps
            .values()
            .filter_map(|known| {
                Some(Entry { app: known.app.as_ref()?, wanted: known.wanted.as_ref(), rows: &known.rows })
            })
            .collect()
    }

    /// An app that is not being destroyed.
    pub fn app(&self, app: AppId) -> Option<&store::apps::Served> {
        self.apps.get(&app)?.app.as_ref()
    }

    /// The payer of an app.
    pub fn payer(&self, app: AppId) -> AccountId {
        self.apps.get(&app).map_or_else(AccountId::default, |known| known.payer)
    }

    /// The desired dynos of an app, to be updated along with its release.
    pub fn wanted_mut(&mut self, app: AppId) -> Option<&mut App> {
        self.apps.get_mut(&app)?.wanted.as_mut()
    }

    /// The app that runs a release, with it.
    pub fn with_release(&self, release: ReleaseId) -> Option<&App> {
        self.apps.values().find_map(|known| known.wanted.as_ref()?.with_release(release))
    }

    /// The slug of a release that is to run.
    pub fn slug(&self, app: AppId, release: ReleaseId) -> Option<SlugId> {
        self.apps.get(&app)?.slugs.get(&release).copied()
    }

    /// All dynos.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.apps.values().flat_map(|known| &known.rows)
    }

    /// All dynos, to be updated along with their rows.
    pub fn rows_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.apps.values_mut().flat_map(|known| &mut known.rows)
    }

    /// A dyno by its id.
    pub fn row(&self, dyno: DynoId) -> Option<&Row> {
        self.rows().find(|row| row.id == dyno)
    }
}

/// What was read of some apps.
struct Read {
    /// Without their dynos.
    apps: BTreeMap<AppId, Known>,
    rows: Vec<Row>,
}

/// Reads what is known of these apps, or of all.
async fn read(platform: &Platform, begun: DateTime<Utc>, only: Option<&[AppId]>) -> anyhow::Result<Read> {
    let mut tx = platform.db().begin().await.context("begin to read")?;
    // A new release with the formation of the one before would be started with its commands, or pass without web dynos.
    store::events::event_snapshot(&mut *tx).await.context("take a snapshot")?;
    let mut apps: BTreeMap<AppId, Known> = BTreeMap::new();
    for app in store::apps::app_all(&mut *tx, only).await.context("read the apps")? {
        let id = app.id;
        apps.entry(id).or_default().app = Some(app);
    }
    for (app, payer) in store::payers::payers_of_apps(&mut *tx, only).await.context("read who pays for the apps")? {
        apps.entry(app).or_default().payer = payer;
    }
    let mut types: BTreeMap<AppId, Vec<Type>> = BTreeMap::new();
    for row in store::formation::formation_all(&mut *tx, only).await.context("read the formation")? {
        // The release phase is no process of the formation.
        if row.kind != "release" {
            let t = Type { kind: row.kind, command: row.command, quantity: row.quantity, size: row.size };
            types.entry(row.app_id).or_default().push(t);
        }
    }
    let releases = store::releases::release_current_all(&mut *tx, only).await.context("read the releases")?;
    let mut base_types = base_types(&mut tx, &releases).await?;
    let rows = store::dynos::dyno_all(&mut *tx, only).await.context("read the dynos")?;
    tx.commit().await.context("end the snapshot")?;
    for r in releases {
        let known = apps.entry(r.app_id).or_default();
        let both = [(Some(r.id), r.slug_id), (r.base_id, r.base_slug_id)];
        known.slugs = both.into_iter().filter_map(|(release, slug)| release.zip(slug)).collect();
        if r.slug_id.is_some() {
            let types = types.remove(&r.app_id).unwrap_or_default();
            let trial = trial(&r, begun, &mut base_types);
            known.wanted = Some(App { id: r.app_id, release: r.id, version: r.version, types, trial });
        }
    }
    Ok(Read { apps, rows })
}

async fn noted_up(platform: &Platform) -> anyhow::Result<BTreeSet<ReleaseId>> {
    let all = store::rollouts::rollout_up_all(platform.db()).await.context("read which releases are up")?;
    Ok(all.into_iter().collect())
}

/// The process types of the releases that run until the current ones have passed.
async fn base_types(db: &mut PgConnection, releases: &[Current]) -> anyhow::Result<BTreeMap<ReleaseId, Vec<Type>>> {
    let bases: Vec<ReleaseId> = releases.iter().filter_map(|r| r.base_id).collect();
    let mut types: BTreeMap<ReleaseId, Vec<Type>> = BTreeMap::new();
    if bases.is_empty() {
        return Ok(types);
    }
    let rows = store::rollouts::rollout_types(db, &bases).await.context("read the types of releases")?;
    for row in rows {
        let t = Type { kind: row.kind, command: row.command, quantity: row.quantity, size: row.size };
        types.entry(row.release_id).or_default().push(t);
    }
    Ok(types)
}

/// The rollout of a current release, unless it has passed.
fn trial(current: &Current, begun: DateTime<Utc>, types: &mut BTreeMap<ReleaseId, Vec<Type>>) -> Option<Trial> {
    let rollout = current.rollout;
    if !rollout.is_open() && rollout != Rollout::Failed {
        return None;
    }
    let base = current.base_id.zip(current.base_version).map(|(release, version)| {
        let types = types.remove(&release).unwrap_or_default();
        Box::new(App { id: current.app_id, release, version, types, trial: None })
    });
    let watch = Duration::seconds(current.watch_seconds.into());
    Some(Trial { rollout, watch, since: current.updated_at.max(begun), base })
}

/// The dynos that have ended, and whose output is being read.
pub(super) struct Ended {
    dynos: HashSet<DynoId>,
    /// The number of these with the same name, by app.
    names: HashMap<(AppId, String), usize>,
}

impl Ended {
    /// Finds them.
    pub fn of(platform: &Platform, world: &World) -> Self {
        let ended = world.rows().filter(|row| platform.ingest().has_ended(row.run_id));
        let (mut dynos, mut names) = (HashSet::new(), HashMap::new());
        for row in ended {
            dynos.insert(row.id);
            *names.entry((row.app_id, row.name.clone())).or_default() += 1;
        }
        Self { dynos, names }
    }

    /// Whether a step can be taken beside them. What has ended gets no more signals; and whoever stops dynos faster than
    /// their output is read gets new ones as fast as it is read, or the spools would fill the disk.
    pub fn allow(&self, app: AppId, step: &Step) -> bool {
        match step {
            Step::Kill { dyno } | Step::Terminate { dyno } => !self.dynos.contains(dyno),
            Step::Create { kind, ordinal, .. } => {
                self.names.get(&(app, format!("{kind}.{ordinal}"))).is_none_or(|unread| *unread < MOST_UNREAD)
            }
            Step::Restart { .. } | Step::Stop { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_gets_no_more_signals() {
        let [ended, running] = [1, 2].map(DynoId::from_u128);
        let all = Ended { dynos: HashSet::from([ended]), names: HashMap::new() };
        for (dyno, may) in [(ended, false), (running, true)] {
            assert_eq!(all.allow(AppId::nil(), &Step::Terminate { dyno }), may);
            assert_eq!(all.allow(AppId::nil(), &Step::Kill { dyno }), may);
        }
    }
}
