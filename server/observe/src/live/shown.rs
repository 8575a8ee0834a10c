//! What a feed shows, as it was read last, and what of it has to be read again.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use api::{ids::AppId, statuses::AppSummary};
use base::{Kind, Result, bus::Changed};
use chrono::Utc;
use identity::{Actor, Can};
use platform::{Platform, platform_info};
use serde_json::Value;
use store::pages::Range;

use super::feed_list::FeedSubject;
use crate::{
    metrics,
    statuses::{self, Part, Parts},
};

/// How often to look for what changes without a notification: traffic, usage of dynos, places in the queue of builds.
pub(super) const AGAIN: Duration = Duration::from_secs(5);
/// How often to read everything again, since not all that is shown has its own notification: an account's new name.
const WHOLE: Duration = Duration::from_secs(30);
/// A list with more apps than this is not updated live.
const MOST_APPS: usize = 2000;
/// If more of them have changed, the list is read again as a whole.
const MOST_CHANGED: usize = 100;

/// What a feed shows.
pub(super) struct Shown {
    subject: FeedSubject,
    /// If it is one app: its parts.
    parts: Parts,
    /// If it is the list: its apps.
    apps: Vec<AppSummary>,
    stale: Stale,
    /// When it last looked for what changes without a notification, and when everything was read.
    timed_at: Instant,
    whole_at: Instant,
}

/// What has to be read again.
#[derive(Debug, Default, PartialEq)]
struct Stale {
    everything: bool,
    /// Of one app.
    parts: BTreeSet<Part>,
    /// Of the list.
    apps: BTreeSet<AppId>,
    /// The traffic of the apps of the list may have changed, which the database does not know.
    traffic: bool,
}

impl Shown {
    /// Nothing has been read yet.
    pub fn new(subject: FeedSubject) -> Self {
        let (parts, apps, stale, now) = (Parts::default(), Vec::new(), Stale::default(), Instant::now());
        let mut new = Self { subject, parts, apps, stale, timed_at: now, whole_at: now };
        new.note_anything();
        new
    }

    pub fn subject(&self) -> FeedSubject {
        self.subject
    }

    /// Notes what a change concerns. `false` if that is nothing of what is shown.
    pub fn note(&mut self, changed: Changed) -> bool {
        match self.subject {
            FeedSubject::App(app) => {
                let parts: &[Part] = if changed.concerns(app) { Part::of(changed.kind) } else { &[] };
                self.stale.parts.extend(parts);
                !parts.is_empty()
            }
            FeedSubject::Apps => self.note_in_list(changed),
            FeedSubject::Platform => false,
        }
    }

    fn note_in_list(&mut self, changed: Changed) -> bool {
        use Kind::{Build, Dyno, DynoState, Formation, Release, Session, Slug};
        match (changed.kind, changed.app) {
            (Session, _) => false,
            (Build | Dyno | DynoState | Formation | Release | Slug, Some(app)) => {
                // One that becomes visible is a change of the app or of permissions.
                let is_shown = self.apps.iter().any(|shown| shown.id == app);
                if is_shown {
                    self.stale.apps.insert(app);
                }
                is_shown
            }
            _ => {
                self.stale.everything = true;
                true
            }
        }
    }

    /// Notes that anything may have changed.
    pub fn note_anything(&mut self) {
        self.stale.everything = true;
        self.stale.parts.extend(Part::ALL);
    }

    /// Notes what may have changed by now without a notification.
    pub fn note_time(&mut self) {
        if self.timed_at.elapsed() < AGAIN {
            return;
        }
        self.timed_at = Instant::now();
        self.stale.traffic = true;
        if self.parts.has_pending_build() {
            self.stale.parts.insert(Part::Builds);
        }
        if self.whole_at.elapsed() >= WHOLE {
            self.note_anything();
        }
    }

    /// The value now. Reads what was noted, and checks the access of `actor`. `None` if it is too large to be sent
    /// repeatedly.
    ///
    /// # Errors
    /// If the caller has no access, or something cannot be read. What was noted is then forgotten: do not read again.
    pub async fn read(&mut self, platform: &Platform, actor: &Actor) -> Result<Option<Value>> {
        let stale = std::mem::take(&mut self.stale);
        if stale.everything {
            self.whole_at = Instant::now();
        }
        let value = match self.subject {
            FeedSubject::Apps => {
                if !self.read_list(platform, actor, stale).await? {
                    return Ok(None);
                }
                serde_json::to_value(&self.apps)
            }
            FeedSubject::App(id) => {
                let app = actor.app(&id.to_string(), Can::View).await?;
                self.parts.read(platform, app.id, &stale.parts).await?;
                serde_json::to_value(self.parts.shown(platform, actor, &app).await)
            }
            FeedSubject::Platform => serde_json::to_value(platform_info::info(platform).await?),
        };
        Ok(Some(value.map_err(anyhow::Error::new)?))
    }

    /// `false` if there are too many apps.
    async fn read_list(&mut self, platform: &Platform, actor: &Actor, mut stale: Stale) -> Result<bool> {
        if stale.traffic && !stale.everything {
            stale.apps.extend(self.with_other_traffic(platform).await?);
        }
        if stale.everything || stale.apps.len() > MOST_CHANGED {
            let Some(all) = all(platform, actor).await? else { return Ok(false) };
            self.apps = all;
        } else if !stale.apps.is_empty() {
            let ids: Vec<AppId> = stale.apps.iter().copied().collect();
            let range = Range::longest(&store::apps::LIST);
            let found = statuses::summaries(platform, actor, Some(&ids), &range).await?.rows;
            self.replace(&stale.apps, found);
        }
        Ok(true)
    }

    /// Replaces those apps with what was found of them.
    fn replace(&mut self, those: &BTreeSet<AppId>, found: Vec<AppSummary>) {
        let mut found: HashMap<AppId, AppSummary> = found.into_iter().map(|app| (app.id, app)).collect();
        self.apps.retain_mut(|app| match found.remove(&app.id) {
            Some(new) => {
                *app = new;
                true
            }
            None => !those.contains(&app.id),
        });
    }

    /// The apps whose traffic is not the one that is shown.
    async fn with_other_traffic(&self, platform: &Platform) -> Result<Vec<AppId>> {
        let ids = self.apps.iter().map(|app| app.id).collect();
        let traffic = metrics::traffic(platform, ids, Utc::now()).await?;
        let differs = |app: &&AppSummary| match traffic.get(&app.id) {
            Some(now) => now.requests != app.traffic || now.failed != app.failed || now.p95_ms != app.p95_ms,
            None => !app.traffic.is_empty(),
        };
        Ok(self.apps.iter().filter(differs).map(|app| app.id).collect())
    }
}

/// All apps that are visible to the caller, page by page; `None` if there are too many.
async fn all(platform: &Platform, actor: &Actor) -> Result<Option<Vec<AppSummary>>> {
    let mut all = Vec::new();
    let mut next = Some(Range::longest(&store::apps::LIST));
    while let Some(range) = next {
        let page = statuses::summaries(platform, actor, None, &range).await?;
        next = page.next(&range);
        all.extend(page.rows);
        if all.len() > MOST_APPS {
            return Ok(None);
        }
    }
    Ok(Some(all))
}

#[cfg(test)]
mod tests {
    use api::{ids::AccountId, statuses::Condition};

    use super::*;

    const DUSK: AppId = AppId::from_u128(1);
    const DAWN: AppId = AppId::from_u128(2);

    /// As if everything had been read.
    fn shown(subject: FeedSubject) -> Shown {
        Shown { stale: Stale::default(), ..Shown::new(subject) }
    }

    fn parts(all: &[Part]) -> BTreeSet<Part> {
        all.iter().copied().collect()
    }

    fn summary(id: AppId, up: i32) -> AppSummary {
        AppSummary {
            id,
            name: id.to_string(),
            condition: Condition::Up,
            detail: String::new(),
            web_url: String::new(),
            dynos_up: up,
            dynos_wanted: up,
            release: None,
            build: None,
            traffic: Vec::new(),
            failed: 0,
            p95_ms: None,
            owner: String::new(),
            created_at: chrono::DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_change_of_an_app_concerns_some_parts_of_it() {
        use Part::{Builds, Dynos, Formation, Releases};
        let cases: [(Kind, &[Part]); 11] = [
            (Kind::DynoState, &[Releases, Dynos]),
            (Kind::Dyno, &[Dynos]),
            (Kind::Slug, &[Dynos]),
            (Kind::Build, &[Builds]),
            (Kind::Formation, &[Formation]),
            (Kind::Release, &[Formation, Releases, Builds]),
            (Kind::App, &Part::ALL),
            (Kind::Rights, &Part::ALL),
            (Kind::Account, &Part::ALL),
            (Kind::Anything, &Part::ALL),
            (Kind::Session, &[]),
        ];
        for (kind, concerned) in cases {
            let mut shown = shown(FeedSubject::App(DUSK));
            assert!(!shown.note(Changed::new(kind, Some(DAWN))), "{kind:?} of another app");
            assert_eq!(shown.stale, Stale::default(), "{kind:?} of another app");
            assert_eq!(shown.note(Changed::new(kind, Some(DUSK))), !concerned.is_empty(), "{kind:?}");
            assert_eq!(shown.stale.parts, parts(concerned), "{kind:?}");
        }
        let mut shown = shown(FeedSubject::App(DUSK));
        shown.note(Changed::new(Kind::Build, Some(DUSK)));
        shown.note(Changed::new(Kind::Dyno, Some(DUSK)));
        assert_eq!(shown.stale.parts, parts(&[Builds, Dynos]), "changes add up");
    }

    #[test]
    fn of_the_list_only_apps_that_are_in_it_are_read_again() {
        let mut shown = shown(FeedSubject::Apps);
        shown.apps = vec![summary(DUSK, 0)];
        assert!(!shown.note(Changed::new(Kind::DynoState, Some(DAWN))));
        assert!(!shown.note(Changed::of_account(Kind::Session, AccountId::from_u128(3))));
        assert_eq!(shown.stale, Stale::default());
        assert!(shown.note(Changed::new(Kind::DynoState, Some(DUSK))));
        assert_eq!(shown.stale, Stale { apps: [DUSK].into(), ..Stale::default() });
        for kind in [Kind::App, Kind::Rights, Kind::Anything] {
            shown.stale = Stale::default();
            assert!(shown.note(Changed::new(kind, Some(DAWN))), "{kind:?}: it may have become visible");
            assert!(shown.stale.everything, "{kind:?}");
        }
    }

    #[test]
    fn apps_that_are_no_longer_visible_leave_the_list() {
        let mut shown = shown(FeedSubject::Apps);
        let noon = AppId::from_u128(3);
        shown.apps = vec![summary(DUSK, 0), summary(noon, 0), summary(DAWN, 0)];
        shown.replace(&[DAWN, DUSK].into(), vec![summary(DAWN, 2)]);
        assert_eq!(shown.apps, [summary(noon, 0), summary(DAWN, 2)]);
    }

    #[test]
    fn everything_is_read_first() {
        let shown = Shown::new(FeedSubject::App(DUSK));
        assert!(shown.stale.everything);
        assert_eq!(shown.stale.parts, parts(&Part::ALL));
    }
}
