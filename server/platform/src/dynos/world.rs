//! The input of one run of the supervisor: the desired dynos of every app, and the actual ones.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::Context as _;
use api::ids::{AccountId, AppId, DynoId, SlugId};
use background::Report;
use chrono::Utc;
use store::dynos::Row;

use super::{
    observe,
    plan::{self, App, Step, Type},
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
    /// The slug of each app's release.
    pub slugs: BTreeMap<AppId, SlugId>,
    rows: BTreeMap<AppId, Vec<Row>>,
}

impl World {
    /// Reads the desired dynos, and observes the actual ones.
    pub async fn look(platform: &Platform, watch: &Watch, report: &mut Report) -> anyhow::Result<Self> {
        let db = platform.db();
        let apps = store::apps::app_all(db).await.context("read the apps")?;
        let payers = store::payers::payers_of_apps(db).await.context("read the payers of the apps")?;
        let mut types: BTreeMap<AppId, Vec<Type>> = BTreeMap::new();
        for row in store::formation::formation_all(db).await.context("read the formation")? {
            // The release phase is not a process of the formation.
            if row.kind != "release" {
                let t = Type { kind: row.kind, command: row.command, quantity: row.quantity, size: row.size };
                types.entry(row.app_id).or_default().push(t);
            }
        }
        let releases = store::releases::release_current_all(db).await.context("read the releases")?;
        let slugs = releases.iter().filter_map(|r| r.slug_id.map(|slug| (r.app_id, slug))).collect();
        let wanted = releases.into_iter().filter(|r| r.slug_id.is_some()).map(|r| {
            let types = types.remove(&r.app_id).unwrap_or_default();
            (r.app_id, App { id: r.app_id, release: r.id, version: r.version, types })
        });
        let wanted = wanted.collect();
        let rows = store::dynos::dyno_all(db).await.context("read the dynos")?;
        let (rows, failed) = observe::observe(platform, watch, rows).await;
        report.failed.extend(failed);
        let mut by_app: BTreeMap<AppId, Vec<Row>> = BTreeMap::new();
        for row in rows {
            by_app.entry(row.app_id).or_default().push(row);
        }
        Ok(Self { apps, payers, wanted, slugs, rows: by_app })
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

    /// Whether a step can be taken while they are read. A dyno that has ended cannot be killed; and if dynos are
    /// stopped faster than their output is read, new ones start only as fast as it is read, or the spools would fill
    /// the disk.
    pub fn allow(&self, app: AppId, step: &Step) -> bool {
        match step {
            Step::Kill { dyno } => !self.dynos.contains(dyno),
            Step::Create { kind, ordinal, .. } => {
                self.names.get(&(app, format!("{kind}.{ordinal}"))).is_none_or(|unread| *unread < MOST_UNREAD)
            }
            Step::Restart { .. } | Step::Stop { .. } | Step::Terminate { .. } => true,
        }
    }
}
