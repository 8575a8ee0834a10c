//! Reconciles the running dynos with the desired ones, and updates the router.

use std::{
    collections::HashSet,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use api::{
    dynos::DynoState,
    ids::{AccountId, AppId, DynoId, ReleaseId, RunId},
};
use async_trait::async_trait;
use background::{Reconciler, Report};
use base::{Kind, dyno_sizes};
use chrono::{DateTime, Utc};
use dyno::Phase;
use futures::{FutureExt as _, StreamExt as _, stream};
use spool::Pause;
use store::dynos::Row;

use super::{
    Wanted,
    plan::{self, Step},
    rollout, routing,
    routing::RouterTable,
    spec, stop,
    watch::Watch,
    world::{Ended, World},
};
use crate::{Platform, dyno_metadata, ingest};

/// How long to wait before the next run after one that did something: short at first, since that has changed the state.
const LONGEST_PAUSE: Duration = Duration::from_millis(150);
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// The pause after a run in which nothing could be done, such as without the database.
const FAILED_PAUSE: Duration = Duration::from_secs(1);
/// How long until what has failed is tried again, at the latest.
const RETRY: Duration = Duration::from_secs(2);
/// Starts and stops in one run: the others wait for the next, so that no run takes long.
const MOST_PER_RUN: usize = 50;
/// The maximum of these per payer.
const MOST_OF_ONE: usize = 10;

/// The supervisor.
pub struct Reconcile {
    platform: Platform,
    begun: DateTime<Utc>,
    watch: Watch,
    router: RouterTable,
    pause: Pause,
    /// The payer who had the first turn last in the previous run.
    last: Option<AccountId>,
}

impl Reconcile {
    /// A supervisor without any state.
    pub(crate) fn new(platform: Platform) -> Self {
        Self {
            platform,
            begun: Utc::now(),
            watch: Watch::default(),
            router: RouterTable::default(),
            pause: Pause::between(SHORTEST_PAUSE, LONGEST_PAUSE),
            last: None,
        }
    }

    /// The steps that can be taken now, with payer and app. Those that have to wait are filtered out before the steps
    /// of a run are counted, so that they do not delay others. `busy` is as for [`plan::may_terminate`].
    async fn possible(
        &self,
        world: &World,
        busy: Option<&[SocketAddr]>,
        report: &mut Report,
    ) -> Vec<(AccountId, AppId, Step)> {
        let steps = world.plan();
        let ready = self.ready(world, &steps, report).await;
        let read = self.read(world, &steps, report).await;
        let (ended, now) = (Ended::of(&self.platform, world), Utc::now());
        let can = |app: &AppId, step: &Step| match step {
            // The stops have begun before the router got its table.
            Step::Stop { .. } => false,
            Step::Restart { dyno } if !read.contains(dyno) => false,
            Step::Terminate { dyno } => {
                let removed_after = self.router.removed_after(*dyno);
                let may = |row: &Row| plan::may_terminate(row, busy, removed_after, now);
                ended.allow(*app, step) && world.row(*dyno).is_some_and(may)
            }
            step => ended.allow(*app, step) && starts(world, step).is_none_or(|release| ready.contains(&release)),
        };
        let steps = steps.into_iter().filter(|(app, step)| can(app, step));
        steps.map(|(app, step)| (world.payer(app), app, step)).collect()
    }

    /// Takes these steps, some of them concurrently.
    async fn act_on(&self, world: &World, steps: &[Step], report: &mut Report) {
        let work: Vec<_> = steps.iter().map(|step| self.act(world, step).boxed()).collect();
        let outcomes: Vec<_> = stream::iter(work).buffered(8).collect().await;
        for outcome in outcomes {
            match outcome {
                Ok(done) => report.done.push(done),
                Err(err) => report.failed.push(format!("{err:#}")),
            }
        }
    }

    /// Whether dynos of a release can be started. While the slug is being unpacked they cannot, and nobody
    /// waits for it; what is wrong with a slug is left to the start to tell.
    async fn is_ready(&self, world: &World, app: AppId, release: ReleaseId) -> anyhow::Result<bool> {
        let slug = *world.slugs.get(&release).context("the release is not to run")?;
        if self.platform.slug_files().unpacked(app, slug).await?.is_some() {
            return Ok(true);
        }
        self.platform.wake_slugs();
        let row = store::slugs::slug_info(self.platform.db(), slug).await?.context("read the slug")?;
        Ok(row.fault.is_some())
    }

    /// The releases of which dynos can be started now, of those that have any to start.
    async fn ready(&self, world: &World, steps: &[(AppId, Step)], report: &mut Report) -> HashSet<ReleaseId> {
        let starting = steps.iter().filter_map(|(app, step)| Some((*app, starts(world, step)?)));
        let releases: HashSet<(AppId, ReleaseId)> = starting.collect();
        let mut ready = HashSet::new();
        for (app, release) in releases {
            match self.is_ready(world, app, release).await {
                Ok(true) => drop(ready.insert(release)),
                Ok(false) => {}
                Err(err) => report.failed.push(format!("{err:#}")),
            }
        }
        ready
    }

    /// The crashed dynos to restart whose output has been read completely. The others wait until that is done.
    async fn read(&self, world: &World, steps: &[(AppId, Step)], report: &mut Report) -> HashSet<DynoId> {
        let crashed = steps.iter().filter_map(|(_, step)| match step {
            Step::Restart { dyno } => world.row(*dyno),
            _ => None,
        });
        let mut read = HashSet::new();
        for row in crashed {
            match self.is_read(row).await {
                Ok(true) => drop(read.insert(row.id)),
                Ok(false) => {}
                Err(err) => report.failed.push(format!("check the output of {}: {err:#}", row.name)),
            }
        }
        read
    }

    /// Whether a crashed dyno has no unread output. After a restart of the server it may have some: then it is followed
    /// from now on, and observed until all of it is read.
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
            // It cannot be followed; the error was reported.
            self.platform.driver().remove(row.run_id).await?;
        }
        Ok(read)
    }

    async fn act(&self, world: &World, step: &Step) -> anyhow::Result<String> {
        let row = |dyno: &DynoId| world.row(*dyno).context("the dyno is gone");
        match step {
            Step::Create { release, kind, ordinal } => self.create(world, *release, kind, *ordinal).await,
            Step::Restart { dyno } => {
                let row = row(dyno)?.clone();
                let said = "State changed from crashed to starting";
                self.platform.supervisor_said(row.app_id, &row.name, said);
                self.start(world, row).await
            }
            Step::Terminate { dyno } => stop::terminate(&self.platform, &self.watch, row(dyno)?).await,
            Step::Kill { dyno } => stop::kill(&self.platform, &self.watch, row(dyno)?.clone()).await,
            Step::Stop { .. } => Err(anyhow!("it begins before the router gets its table")),
        }
    }

    async fn create(&self, world: &World, release: ReleaseId, kind: &str, ordinal: i32) -> anyhow::Result<String> {
        let wanted = world.wanted.values().find_map(|app| app.with_release(release)).context("the release is gone")?;
        let t = wanted.types.iter().find(|t| t.kind == kind).context("the process type is gone")?;
        let now = Utc::now();
        let row = Row {
            id: DynoId::now_v7(),
            app_id: wanted.id,
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

    /// Writes the row before the process exists, so that a crash in between never leaves a process without a row.
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
                tracing::debug!(app.id = %row.app_id, dyno.run = %row.run_id, "started {}", row.name);
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
        let (release, slug) = super::code(platform, row.release_id).await?;
        let Some(root) = platform.slug_files().unpacked(app.id, slug.id).await? else {
            let why = slug.fault.unwrap_or_else(|| "it will be unpacked soon".to_owned());
            return Err(anyhow!("the slug is not unpacked: {why}"));
        };
        let (app_name, dyno) = (app.name.as_str(), row.id.get());
        let of = dyno_metadata::Process { app: app.id, app_name, dyno, release: &release, slug: &slug };
        let vars = of.vars(platform).await?;
        let size = dyno_sizes::size(&row.size).with_context(|| format!("{} is not a size", row.size))?;
        let web = row.kind == "web";
        let disk = platform.config().dyno_disk;
        let (command, uid) = (&row.command, app.uid);
        let name = &row.name;
        let wanted = Wanted { run: row.run_id, name, uid, command, root, vars, size, disk, web, time: None };
        let command = if web { row.command.replace("$PORT", "5000") } else { row.command.clone() };
        platform.supervisor_said(app.id, &row.name, &format!("Starting process with command `{command}`"));
        let handle = platform.driver().start(&spec(wanted)).await?;
        ingest::follow(platform, row.app_id, row.run_id, &row.name);
        self.watch.begin(platform, row.run_id);
        if web {
            self.watch.probe(platform, row.run_id, handle.addr);
        }
        Ok(())
    }
}

#[async_trait]
impl Reconciler for Reconcile {
    const NAME: &'static str = "dynos";

    async fn run(&mut self) -> anyhow::Result<Report> {
        let (mut report, begun) = (Report::default(), Instant::now());
        let mut world = World::look(&self.platform, &self.watch, self.begun, &mut report).await?;
        rollout::settle(&self.platform, &mut world, &mut report).await?;
        stop::begin(&self.platform, &mut world, &mut report).await?;
        let busy = self.router.update(&self.platform, &world.entries()).await;
        self.platform.has_routed(begun);
        self.router.note(world.rows(), busy.is_ok(), Utc::now());
        let possible = self.possible(&world, busy.as_deref().ok(), &mut report).await;
        let has_steps = !possible.is_empty();
        let (steps, last) = plan::turns(possible, self.last, MOST_PER_RUN, MOST_OF_ONE);
        self.act_on(&world, &steps, &mut report).await;
        self.last = last;
        if !report.done.is_empty() {
            self.pause.reset();
        }
        let has_failed = report.done.is_empty() && !report.failed.is_empty();
        let (now, pause) = (Utc::now(), if has_failed { FAILED_PAUSE } else { self.pause.take() });
        let due = if has_steps { Some(now) } else { world.due(now) };
        report.again_in = due.map(|at| (at - now).to_std().unwrap_or_default().max(pause));
        match busy {
            Ok(busy) => {
                let stopping = world.rows().filter(|row| row.stopping_at.is_some()).filter_map(plan::routed_at);
                self.router.wait_for(&self.platform, stopping.filter(|addr| busy.contains(addr)).collect());
            }
            Err(err) => {
                report.failed.push(format!("{err:#}"));
                report.again_in = Some(report.again_in.map_or(routing::AGAIN, |again| again.min(routing::AGAIN)));
            }
        }
        if !report.failed.is_empty() {
            report.again_in = Some(report.again_in.map_or(RETRY, |again| again.min(RETRY)));
        }
        Ok(report)
    }
}

/// The release of which this step starts a dyno, if it does.
fn starts(world: &World, step: &Step) -> Option<ReleaseId> {
    match step {
        Step::Create { release, .. } => Some(*release),
        Step::Restart { dyno } => world.row(*dyno).map(|row| row.release_id),
        Step::Stop { .. } | Step::Terminate { .. } | Step::Kill { .. } => None,
    }
}
