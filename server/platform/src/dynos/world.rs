//! The input of one run of the supervisor: the desired dynos of every app, and the actual ones.

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
    observe,
    plan::{self, App, Step, Trial, Type, Verdict},
    routing::Entry,
    watch::Watch,
};
use crate::Platform;

/// The maximum number of dynos of one name whose output is being read; at this limit, no further one is started.
const MOST_UNREAD: usize = 2;

/// The input of one run.
pub(super) struct World {
    pub apps: Vec<store::apps::Served>,
    /// The payer of each app.
    payers: HashMap<AppId, AccountId>,
    pub wanted: BTreeMap<AppId, App>,
    /// The slug of each release that is to run.
    pub slugs: BTreeMap<ReleaseId, SlugId>,
    /// The releases that were up when this was last recorded.
    pub noted_up: BTreeSet<ReleaseId>,
    rows: BTreeMap<AppId, Vec<Row>>,
}

impl World {
    /// Reads the desired dynos, and observes the actual ones. `begun` is when this supervisor began to do so.
    pub async fn look(
        platform: &Platform,
        watch: &Watch,
        begun: DateTime<Utc>,
        report: &mut Report,
    ) -> anyhow::Result<Self> {
        let mut tx = platform.db().begin().await.context("begin to read")?;
        // A new release with the formation of the one before would be started with its commands, or pass without web
        // dynos.
        store::events::event_snapshot(&mut *tx).await.context("take a snapshot")?;
        let apps = store::apps::app_all(&mut *tx).await.context("read the apps")?;
        let payers = store::payers::payers_of_apps(&mut *tx).await.context("read who pays for the apps")?;
        let mut types: BTreeMap<AppId, Vec<Type>> = BTreeMap::new();
        for row in store::formation::formation_all(&mut *tx).await.context("read the formation")? {
            // The release phase is no process of the formation.
            if row.kind != "release" {
                let t = Type { kind: row.kind, command: row.command, quantity: row.quantity, size: row.size };
                types.entry(row.app_id).or_default().push(t);
            }
        }
        let releases = store::releases::release_current_all(&mut *tx).await.context("read the releases")?;
        let noted_up = store::rollouts::rollout_up_all(&mut *tx).await.context("read which releases are up")?;
        let mut base_types = base_types(&mut tx, &releases).await?;
        let rows = store::dynos::dyno_all(&mut *tx).await.context("read the dynos")?;
        tx.commit().await.context("end the snapshot")?;
        let both = releases.iter().flat_map(|r| [(Some(r.id), r.slug_id), (r.base_id, r.base_slug_id)]);
        let slugs = both.filter_map(|(release, slug)| release.zip(slug)).collect();
        let wanted = releases.into_iter().filter(|r| r.slug_id.is_some()).map(|r| {
            let types = types.remove(&r.app_id).unwrap_or_default();
            let trial = trial(&r, begun, &mut base_types);
            (r.app_id, App { id: r.app_id, release: r.id, version: r.version, types, trial })
        });
        let wanted = wanted.collect();
        let (rows, failed) = observe::observe(platform, watch, rows).await;
        report.failed.extend(failed);
        let mut by_app: BTreeMap<AppId, Vec<Row>> = BTreeMap::new();
        for row in rows {
            by_app.entry(row.app_id).or_default().push(row);
        }
        Ok(Self { apps, payers, wanted, slugs, noted_up: noted_up.into_iter().collect(), rows: by_app })
    }

    /// What is new about the rollouts of releases, by app.
    pub fn verdicts(&self) -> Vec<(AppId, Verdict)> {
        let now = Utc::now();
        let of = |app: &App| Some((app.id, plan::verdict(app, self.rows_of(app.id), now)?));
        self.wanted.values().filter_map(of).collect()
    }

    /// When to check next if nothing happens.
    pub fn due(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let ends = self.wanted.values().filter_map(|app| plan::watch_ends(app, self.rows_of(app.id)));
        let ends = ends.filter(|at| *at > now).min();
        [ends, plan::due(self.rows(), now)].into_iter().flatten().min()
    }

    /// All necessary steps, with their apps.
    pub fn plan(&self) -> Vec<(AppId, Step)> {
        let now = Utc::now();
        let existing: HashSet<AppId> = self.apps.iter().map(|app| app.id).collect();
        let ids: BTreeSet<&AppId> = self.rows.keys().chain(self.wanted.keys()).collect();
        let steps_of = |id: &AppId| {
            let wanted = self.wanted.get(id).filter(|_| existing.contains(id));
            plan::plan(wanted, self.rows_of(*id), now)
        };
        ids.into_iter().flat_map(|id| steps_of(id).into_iter().map(|step| (*id, step))).collect()
    }

    /// Every app, as needed by the routing table.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        self.apps
            .iter()
            .map(|app| Entry { app, wanted: self.wanted.get(&app.id), rows: self.rows_of(app.id) })
            .collect()
    }

    /// The payer of an app.
    pub fn payer(&self, app: AppId) -> AccountId {
        self.payers.get(&app).copied().unwrap_or_default()
    }

    /// All dynos.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values().flatten()
    }

    /// All dynos, to be updated along with their rows.
    pub fn rows_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.rows.values_mut().flatten()
    }

    /// A dyno by its id.
    pub fn row(&self, dyno: DynoId) -> Option<&Row> {
        self.rows().find(|row| row.id == dyno)
    }

    fn rows_of(&self, app: AppId) -> &[Row] {
        self.rows.get(&app).map(Vec::as_slice).unwrap_or_default()
    }
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
