//! What the status of an app is made of. A page that stays open reads only those parts again that a change concerns.

use std::collections::BTreeSet;

use ::builds as build_rules;
use api::{
    ids::{AppId, ReleaseId},
    statuses::AppStatus,
};
use base::{Kind, Result};
use identity::{Actor, App, Can};
use platform::{
    Platform, apps as app_rules, dynos as dyno_rules, formation as formation_rules, releases as release_rules,
};
use store::{builds, dynos, formation, one_offs, releases};

use super::{Known, Newest, held, say_last};

/// The number of releases that are shown.
const RELEASES: i64 = 10;
/// The number of builds that are shown.
const BUILDS: i64 = 5;

/// A part of the status that is read by itself. The app is not among them: it is read whenever access to it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Formation,
    Releases,
    Builds,
    Dynos,
}

impl Part {
    pub const ALL: [Self; 4] = [Self::Formation, Self::Releases, Self::Builds, Self::Dynos];

    /// The parts that a change of this kind may concern.
    pub fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Session => &[],
            Kind::Formation => &[Self::Formation],
            Kind::Build => &[Self::Builds],
            Kind::Dyno | Kind::Slug => &[Self::Dynos],
            // Releases show for how long they have been up.
            Kind::DynoState => &[Self::Releases, Self::Dynos],
            // A release has its own process types, and the build that made it ends with it.
            Kind::Release => &[Self::Formation, Self::Releases, Self::Builds],
            // What has no kind of its own is a change of the app.
            Kind::App | Kind::Account | Kind::Rights | Kind::Anything => &Self::ALL,
        }
    }
}

/// The parts of a status, as they were read last.
#[derive(Default)]
pub(crate) struct Parts {
    formation: Vec<formation::Row>,
    releases: Vec<releases::Row>,
    current: Option<ReleaseId>,
    builds: Vec<builds::Row>,
    pending: Vec<builds::Pending>,
    dynos: Vec<dynos::Row>,
    one_offs: Vec<one_offs::Row>,
}

impl Parts {
    /// Reads these parts.
    pub async fn read(&mut self, platform: &Platform, app: AppId, parts: &BTreeSet<Part>) -> Result<()> {
        let db = platform.db();
        if parts.contains(&Part::Formation) {
            self.formation = formation::formation_list(db, app).await?;
        }
        if parts.contains(&Part::Releases) {
            self.releases = releases::release_newest(db, app, RELEASES).await?;
            self.current = releases::release_current(db, app).await?.map(|release| release.id);
        }
        if parts.contains(&Part::Builds) {
            self.builds = builds::build_newest(db, app, BUILDS).await?;
            self.pending = builds::build_pending(db, &[app]).await?;
        }
        if parts.contains(&Part::Dynos) {
            self.dynos = dynos::dyno_list(db, app).await?;
            self.one_offs = one_offs::one_off_list(db, app).await?;
        }
        Ok(())
    }

    /// Whether a build has not ended: its place in the queue depends on builds of other apps.
    pub fn has_pending_build(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The status as it appears in responses.
    pub async fn shown(&self, platform: &Platform, actor: &Actor, app: &App) -> AppStatus {
        let known = Known {
            app,
            formation: &self.formation,
            held: self.releases.first().and_then(|newest| held(&self.dynos, &Newest::of(newest))),
            dynos: dyno_rules::visible(self.dynos.clone()),
            newest: self.releases.first().map(|release| (release.version, release.status)),
            build: self.pending.first(),
        };
        let mut dynos: Vec<_> = known.dynos.iter().map(|row| dyno_rules::shown(platform, row, app)).collect();
        if app.may(Can::Logs) {
            say_last(platform, actor.payer, app.id, &mut dynos).await;
        }
        let (links, current) = (actor.links(), self.current);
        AppStatus {
            app: app_rules::shown(app, &links),
            condition: known.condition(),
            detail: known.detail(),
            formation: self.formation.iter().map(|row| formation_rules::shown(row, app)).collect(),
            dynos,
            one_offs: self.one_offs.iter().map(|row| dyno_rules::shown_one_off(platform, row, app)).collect(),
            held: known.held.clone(),
            releases: self.releases.iter().map(|row| release_rules::shown(row, current, app, &links)).collect(),
            builds: self.builds.iter().map(|row| build_rules::shown_to(actor, row, app)).collect(),
            permissions: app.rights().names().into_iter().map(String::from).collect(),
        }
    }
}

/// Everything that the overview of an app shows.
pub(crate) async fn status(platform: &Platform, actor: &Actor, app: &App) -> Result<AppStatus> {
    let mut parts = Parts::default();
    parts.read(platform, app.id, &Part::ALL.into()).await?;
    Ok(parts.shown(platform, actor, app).await)
}
