//! Reconciles the running dynos with the desired ones, and updates the router.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use api::{
    dynos::DynoState,
    ids::{AccountId, AppId, DynoId, RunId, SlugId},
};
use async_trait::async_trait;
use background::{Reconciler, Report};
use base::{Kind, dyno_sizes};
use chrono::Utc;
use dyno::Phase;
use futures::{FutureExt as _, StreamExt as _, stream};
use nix::sys::signal::Signal;
use router::Routes;
use spool::Pause;
use store::dynos::Row;

use super::{
    Wanted, observe,
    plan::{self, App, Step, StopReason, Type},
    routing, spec,
};
use crate::{Platform, config_values, ingest};

/// How long to wait before another look while something starts or stops: soon after something was done, since a small
/// program listens within milliseconds.
const LONGEST_PAUSE: Duration = Duration::from_millis(150);
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// Starts and stops in one run: the others wait for the next, so that no run takes long.
const MOST_PER_RUN: usize = 50;
/// Of these, those of one payer.
const MOST_OF_ONE: usize = 10;

/// Dynos of one name whose output is being read; with as many, there is no further one.
const MOST_UNREAD: usize = 2;

/// The supervisor.
pub struct Reconcile {
    platform: Platform,
    /// The table that the router has, as far as we know.
    told: Option<Routes>,
    pause: Pause,
    /// The payer who had their first turn last.
    last: Option<AccountId>,
}

/// Time limit for the end of a killed dyno.
const KILLED: Duration = Duration::from_secs(5);

/// All that one run looks at.
struct World {
    apps: Vec<store::apps::Served>,
    /// Who pays for each app.
    payers: HashMap<AppId, AccountId>,
    wanted: BTreeMap<AppId, App>,
    /// The slug of each app's release.
    slugs: BTreeMap<AppId, SlugId>,
    rows: BTreeMap<AppId, Vec<Row>>,
}

/// The dynos that have ended, and whose output is being read.
struct Ended {
    dynos: HashSet<DynoId>,
    /// How many have the same name, by app.
    names: HashMap<(AppId, String), usize>,
}

impl Ended {
    fn of(platform: &Platform, world: &World) -> Self {
        let ended = world.rows.values().flatten().filter(|row| platform.ingest().has_ended(row.run_id));
        let (mut dynos, mut names) = (HashSet::new(), HashMap::new());
        for row in ended {
            dynos.insert(row.id);
            *names.entry((row.app_id, row.name.clone())).or_default() += 1;
        }
        Self { dynos, names }
    }

    /// Whether a step can be taken beside them. What has ended cannot be killed; and whoever stops dynos faster than
    /// their output is read gets new ones as fast as it is read, or the spools would fill the disk.
    fn allow(&self, app: AppId, step: &Step) -> bool {
        match step {
            Step::Kill { dyno } => !self.dynos.contains(dyno),
            Step::Create { kind, ordinal, .. } => {
                self.names.get(&(app, format!("{kind}.{ordinal}"))).is_none_or(|unread| *unread < MOST_UNREAD)
            }
            Step::Restart { .. } | Step::Stop { .. } => true,
        }
    }
}

impl Reconcile {
    /// A supervisor that knows nothing yet.
    pub(crate) fn new(platform: Platform) -> Self {
        Self { platform, told: None, pause: Pause::between(SHORTEST_PAUSE, LONGEST_PAUSE), last: None }
    }

    async fn look(&self, report: &mut Report) -> anyhow::Result<World> {
        let db = self.platform.db();
        let apps = store::apps::app_all(db).await.context("read the apps")?;
        let payers = store::payers::payers_of_apps(db).await.context("read who pays for the apps")?;
        let mut types: BTreeMap<AppId, Vec<Type>> = BTreeMap::new();
        for row in store::formation::formation_all(db).await.context("read the formation")? {
            // The release phase is no process of the formation.
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
        let (rows, failed) = observe::observe(&self.platform, rows).await;
        report.failed.extend(failed);
        let mut by_app: BTreeMap<AppId, Vec<Row>> = BTreeMap::new();
        for row in rows {
            by_app.entry(row.app_id).or_default().push(row);
        }
        Ok(World { apps, payers, wanted, slugs, rows: by_app })
    }

    /// Everything that must be done, with the app.
    fn plan(world: &World) -> Vec<(AppId, Step)> {
        let now = Utc::now();
        let ids = world.rows.keys().chain(world.wanted.keys()).collect::<std::collections::BTreeSet<_>>();
        let none = Vec::new();
        let is_there = |id: &AppId| world.apps.iter().any(|a| a.id == *id);
        ids.into_iter()
            .flat_map(|id| {
                let wanted = world.wanted.get(id).filter(|_| is_there(id));
                let steps = plan::plan(wanted, world.rows.get(id).unwrap_or(&none), now);
                steps.into_iter().map(|step| (*id, step))
            })
            .collect()
    }

    /// Gives the router its table, if it may have another one. An error leaves the old dynos alone.
    async fn tell_router(&mut self, world: &World) -> anyhow::Result<()> {
        let none = Vec::new();
        let entries: Vec<_> = world
            .apps
            .iter()
            .map(|app| routing::Entry {
                app,
                wanted: world.wanted.get(&app.id),
                rows: world.rows.get(&app.id).unwrap_or(&none),
            })
            .collect();
        let version = self.told.as_ref().map_or(0, |t| t.version);
        let mut table = routing::table(self.platform.config(), version, &entries);
        // Asked each time: a router that was started again has an old copy.
        let has = self.platform.router().version().await.context("get the version of the routing table")?;
        if self.told.as_ref() == Some(&table) && has == version {
            return Ok(());
        }
        table.version = u64::try_from(Utc::now().timestamp_micros()).unwrap_or_default();
        self.platform.router().put(&table).await.context("give the router its table")?;
        self.told = Some(table);
        Ok(())
    }

    /// Whether dynos of an app can be started. While the slug is being unpacked they cannot, and nobody
    /// waits for it; what is wrong with a slug is left to the start to tell.
    async fn is_ready(&self, world: &World, app: AppId) -> anyhow::Result<bool> {
        let slug = *world.slugs.get(&app).context("the app has no release")?;
        if self.platform.slug_files().unpacked(app, slug).await?.is_some() {
            return Ok(true);
        }
        self.platform.wake_slugs();
        let row = store::slugs::slug_info(self.platform.db(), slug).await?.context("read the slug")?;
        Ok(row.fault.is_some())
    }

    /// The apps of which dynos can be started now, of those that have any to start. Who has to wait is left out
    /// before the steps of a run are counted, so that nobody waits behind them.
    async fn ready(&self, world: &World, steps: &[(AppId, Step)], report: &mut Report) -> HashSet<AppId> {
        let starting = steps.iter().filter(|(_, step)| starts(step));
        let apps: HashSet<AppId> = starting.map(|(app, _)| *app).collect();
        let mut ready = HashSet::new();
        for app in apps {
            match self.is_ready(world, app).await {
                Ok(true) => drop(ready.insert(app)),
                Ok(false) => {}
                Err(err) => report.failed.push(format!("{err:#}")),
            }
        }
        ready
    }

    /// The crashed dynos to start again of which nothing is left to be read. The others wait until that is done.
    async fn read(&self, world: &World, steps: &[(AppId, Step)], report: &mut Report) -> HashSet<DynoId> {
        let crashed = steps.iter().filter_map(|(_, step)| match step {
            Step::Restart { dyno } => world.rows.values().flatten().find(|row| row.id == *dyno),
            _ => None,
        });
        let mut read = HashSet::new();
        for row in crashed {
            match self.is_read(row).await {
                Ok(true) => drop(read.insert(row.id)),
                Ok(false) => {}
                Err(err) => report.failed.push(format!("look at the output of {}: {err:#}", row.name)),
            }
        }
        read
    }

    /// Whether a crashed dyno has left nothing. After a restart of the server it may have: then it is followed from
    /// now on, and observed until it is read.
    async fn is_read(&self, row: &Row) -> anyhow::Result<bool> {
        if self.platform.ingest().has(row.run_id) {
            return Ok(false);
        }
        let status = self.platform.driver().status(row.run_id).await?;
        if !status.is_some_and(|status| matches!(status.phase, Phase::Exited(_))) {
            return Ok(true);
        }
        let read = ingest::read_out(&self.platform, row.app_id, row.run_id).await?;
        if read {
            // It cannot be followed, which was reported.
            self.platform.driver().remove(row.run_id).await?;
        }
        Ok(read)
    }

    async fn act(&self, world: &World, step: &Step) -> anyhow::Result<String> {
        let row = |id: &DynoId| world.rows.values().flatten().find(|r| r.id == *id).cloned();
        let gone = || anyhow!("the dyno is gone");
        match step {
            Step::Create { app, kind, ordinal } => self.create(world, *app, kind, *ordinal).await,
            Step::Restart { dyno } => {
                let row = row(dyno).ok_or_else(gone)?;
                let said = "State changed from crashed to starting";
                self.platform.supervisor_said(row.app_id, &row.name, said);
                self.start(world, row).await
            }
            Step::Stop { dyno, reason } => self.stop(row(dyno).ok_or_else(gone)?, *reason).await,
            Step::Kill { dyno } => self.kill(row(dyno).ok_or_else(gone)?).await,
        }
    }

    async fn create(&self, world: &World, app: AppId, kind: &str, ordinal: i32) -> anyhow::Result<String> {
        let wanted = world.wanted.get(&app).context("the app has no release")?;
        let t = wanted.types.iter().find(|t| t.kind == kind).context("the process type is gone")?;
        let now = Utc::now();
        let row = Row {
            id: DynoId::now_v7(),
            app_id: app,
            name: format!("{kind}.{ordinal}"),
            kind: kind.into(),
            ordinal,
            size: t.size.clone(),
            command: t.command.clone(),
            release_id: wanted.release,
            version: wanted.version,
            state: DynoState::Starting,
            run_id: RunId::now_v7(),
            addr: None,
            started_at: None,
            retiring_at: None,
            stopping_at: None,
            killed_at: None,
            starts: 0,
            crashes: 0,
            next_start_at: None,
            last_exit: None,
            created_at: now,
            updated_at: now,
        };
        self.start(world, row).await
    }

    /// Writes the row before the process exists, so that a crash in between leaves no process
    /// that nobody knows of.
    async fn start(&self, world: &World, mut row: Row) -> anyhow::Result<String> {
        let app = world.apps.iter().find(|a| a.id == row.app_id).context("the app is gone")?;
        let now = Utc::now();
        row.run_id = RunId::now_v7();
        row.state = DynoState::Starting;
        row.started_at = Some(now);
        row.updated_at = now;
        row.killed_at = None;
        row.next_start_at = None;
        row.starts += 1;
        store::dynos::dyno_save(self.platform.db(), &row).await?;
        match self.run(app, &row).await {
            Ok(()) => {
                self.platform.publish(Kind::DynoState, row.app_id);
                Ok(format!("started {} of {}", row.name, app.name))
            }
            Err(err) => {
                let said = format!("Could not start: {err:#}");
                self.platform.supervisor_said(row.app_id, &row.name, &said);
                row.crashes += 1;
                row.state = DynoState::Crashed;
                row.next_start_at = Some(now + plan::pause(row.crashes));
                row.last_exit = Some(said);
                store::dynos::dyno_save(self.platform.db(), &row).await?;
                self.platform.publish(Kind::DynoState, row.app_id);
                Err(err)
            }
        }
    }

    async fn run(&self, app: &store::apps::Served, row: &Row) -> anyhow::Result<()> {
        let platform = &self.platform;
        let release =
            store::releases::release_info(platform.db(), row.release_id).await?.context("read the release")?;
        let slug_id = release.slug_id.context("the release has no slug")?;
        let slug = store::slugs::slug_info(platform.db(), slug_id).await?.context("read the slug")?;
        let Some(root) = platform.slug_files().unpacked(app.id, slug.id).await? else {
            let why = slug.fault.unwrap_or_else(|| "it is about to be".to_owned());
            return Err(anyhow!("the slug is not unpacked: {why}"));
        };
        let vars = config_values::of_release(platform.secrets(), platform.db(), app.id, release.id)
            .await
            .map_err(|err| anyhow!("{err}"))?;
        let size = dyno_sizes::size(&row.size).with_context(|| format!("{} is not a size", row.size))?;
        let web = row.kind == "web";
        let disk = platform.config().dyno_disk;
        let (command, uid) = (&row.command, app.uid);
        let name = &row.name;
        let wanted = Wanted { run: row.run_id, name, uid, command, root, vars, size, disk, web, time: None };
        let command = if web { row.command.replace("$PORT", "5000") } else { row.command.clone() };
        platform.supervisor_said(app.id, &row.name, &format!("Starting process with command `{command}`"));
        platform.driver().start(&spec(wanted)).await?;
        ingest::follow(platform, row.app_id, row.run_id, &row.name);
        self.watch(row.run_id);
        Ok(())
    }

    /// Has the end of a process noticed at once.
    fn watch(&self, run: RunId) {
        let platform = self.platform.clone();
        tokio::spawn(async move {
            if platform.driver().wait(run).await.is_ok() {
                platform.wake_dynos();
            }
        });
    }

    async fn stop(&self, mut row: Row, reason: StopReason) -> anyhow::Result<String> {
        let platform = &self.platform;
        row.stopping_at = row.stopping_at.or_else(|| Some(Utc::now()));
        if row.state == DynoState::Crashed {
            // There is no process: the next look removes the row.
            store::dynos::dyno_save(platform.db(), &row).await?;
        } else {
            platform.supervisor_said(row.app_id, &row.name, &format!("State changed from {} to down", row.state));
            platform.supervisor_said(row.app_id, &row.name, "Stopping all processes with SIGTERM");
            platform.driver().signal(row.run_id, Signal::SIGTERM as i32).await?;
            // Last, so that a signal that could not be sent is sent again. Twice does no harm.
            row.state = DynoState::Down;
            row.updated_at = Utc::now();
            store::dynos::dyno_save(platform.db(), &row).await?;
        }
        platform.publish(Kind::DynoState, row.app_id);
        Ok(format!("stopping {} ({reason})", row.name))
    }

    async fn kill(&self, mut row: Row) -> anyhow::Result<String> {
        let error = "Error R12 (Exit timeout) -> Process failed to exit within 30 seconds of SIGTERM";
        self.platform.supervisor_said(row.app_id, &row.name, error);
        self.platform.supervisor_said(row.app_id, &row.name, "Stopping remaining processes with SIGKILL");
        row.killed_at = Some(Utc::now());
        store::dynos::dyno_save(self.platform.db(), &row).await?;
        self.platform.driver().signal(row.run_id, Signal::SIGKILL as i32).await?;
        Ok(format!("killed {}", row.name))
    }
}

#[async_trait]
impl Reconciler for Reconcile {
    const NAME: &'static str = "dynos";

    async fn run(&mut self) -> anyhow::Result<Report> {
        let mut report = Report::default();
        let world = self.look(&mut report).await?;
        let told = self.tell_router(&world).await;
        let steps = Self::plan(&world);
        // Without the router, a dyno that it may still send requests to must not go.
        let may = |step: &Step| told.is_ok() || !matches!(step, Step::Stop { reason, .. } if reason.may_serve());
        let (this, world) = (&*self, &world);
        let ready = self.ready(world, &steps, &mut report).await;
        let read = self.read(world, &steps, &mut report).await;
        let ended = Ended::of(&this.platform, world);
        let can = |(app, step): &(AppId, Step)| {
            let is_read = !matches!(step, Step::Restart { dyno } if !read.contains(dyno));
            is_read && ended.allow(*app, step) && (!starts(step) || ready.contains(app))
        };
        let payer = |app: &AppId| world.payers.get(app).copied().unwrap_or_default();
        let possible = steps.iter().filter(|(_, step)| may(step)).filter(|step| can(step));
        let possible = possible.map(|(app, step)| (payer(app), *app, step)).collect();
        let (now, last) = plan::turns(possible, self.last, MOST_PER_RUN, MOST_OF_ONE);
        let work: Vec<_> = now.into_iter().map(|step| this.act(world, step).boxed()).collect();
        let outcomes: Vec<_> = stream::iter(work).buffered(8).collect().await;
        for outcome in outcomes {
            match outcome {
                Ok(done) => report.done.push(done),
                Err(err) => report.failed.push(format!("{err:#}")),
            }
        }
        if let Err(err) = told {
            report.failed.push(format!("{err:#}"));
        }
        let now = Utc::now();
        let due = plan::due(world.rows.values().flatten(), now);
        // A dyno whose slug has to be unpacked first waits until that is published.
        let due = if steps.iter().any(can) { Some(now) } else { due };
        self.last = last;
        if !report.done.is_empty() {
            self.pause.reset();
        }
        let pause = self.pause.take();
        report.again_in = due.map(|at| (at - now).to_std().unwrap_or_default().max(pause));
        Ok(report)
    }
}

/// Whether this step starts a dyno.
fn starts(step: &Step) -> bool {
    matches!(step, Step::Create { .. } | Step::Restart { .. })
}

/// Stops every dyno, build and release phase: SIGTERM, 30 seconds, SIGKILL. The formation stays as it is, and builds
/// begin anew. What a release phase leaves stays, so that the next start sees how it ended, and runs it no second time.
pub(crate) async fn stop_all(platform: &Platform) -> anyhow::Result<()> {
    end_all(platform).await?;
    for row in store::dynos::dyno_all(platform.db()).await? {
        ingest::finish(platform, row.app_id, row.run_id).await?;
        platform.driver().remove(row.run_id).await?;
        store::dynos::dyno_delete(platform.db(), row.id).await?;
    }
    for files in platform.background().files() {
        for dyno in files.left().await? {
            files.abandon(dyno).await?;
        }
    }
    Ok(())
}

/// Ends whatever the driver knows of, also what comes late because it was being started.
async fn end_all(platform: &Platform) -> anyhow::Result<()> {
    let begun = Instant::now();
    let grace = plan::GRACE.to_std().unwrap_or(Duration::from_secs(30));
    let mut told = HashSet::new();
    loop {
        let mut dynos = platform.driver().list().await?;
        dynos.retain(|dyno| !matches!(dyno.phase, Phase::Exited(_)));
        let is_late = begun.elapsed() >= grace;
        if dynos.is_empty() || begun.elapsed() >= grace + KILLED {
            return Ok(());
        }
        for dyno in dynos {
            // One that is being started does not hear yet.
            if !is_late && (dyno.phase == Phase::Starting || !told.insert(dyno.handle.id)) {
                continue;
            }
            let signal = if is_late { Signal::SIGKILL } else { Signal::SIGTERM };
            if let Err(err) = platform.driver().signal(dyno.handle.id, signal as i32).await {
                tracing::warn!(dyno.name = %dyno.handle.name, "could not stop: {err}");
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
