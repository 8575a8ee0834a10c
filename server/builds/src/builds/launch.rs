//! The end of a build: waits until its release has stayed up or failed, and says so in the build's output.

use std::time::Duration;

use api::{
    builds::Wait,
    dynos::DynoState,
    ids::{AppId, ReleaseId},
    releases::{ReleaseStatus, Rollout},
};
use background::{Failure, Steps};
use identity::payers;
use platform::log_lines;
use sqlx::PgPool;
use store::{builds::Row, releases};

use super::run::Run;
use crate::Builds;

/// How often to check a release if nothing wakes the job: a server that was killed could not.
const AGAIN: Duration = Duration::from_secs(5);
/// The log lines shown of a release that failed.
const LAST_LINES: usize = 10;
/// How long to wait until the output of the dyno that failed has been read: this often, with this pause.
const LOOKS: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// What became of the release of a build.
pub(super) enum Launched {
    /// The build succeeds. With lines for the end of its output.
    Well(Vec<String>),
    /// The build fails, for this reason.
    Failed(String),
}

/// How long a build waits for its release.
pub(super) fn wait_of(build: &Row) -> Wait {
    build.wait.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
}

impl Run {
    /// Waits for the release of a build, without holding a worker. The queue wakes the job.
    pub(super) async fn launch(
        &self,
        builds: &Builds,
        build: &Row,
        release: ReleaseId,
        steps: &mut Steps,
    ) -> Result<Launched, Failure> {
        // Its releases are not decided any more, and its destruction waits for its builds.
        if !store::apps::app_exists(builds.db(), build.app_id).await? {
            return Ok(Launched::Failed("the app was destroyed".into()));
        }
        let wait = wait_of(build);
        let Some(own) = releases::release_info(builds.db(), release).await? else {
            return Ok(Launched::Failed("the release was removed".into()));
        };
        if wait == Wait::No {
            return Ok(Launched::Well(unknown_yet(builds, build, own.version).await?));
        }
        let Some(row) = deciding(builds.db(), &own).await? else {
            return Ok(Launched::Failed(format!("v{} was replaced by another release before it was up", own.version)));
        };
        match (row.status, row.rollout) {
            (ReleaseStatus::Failed, _) | (_, Rollout::Failed) => {
                for line in failure(builds, build, &row).await? {
                    self.print(builds, build, &line).await?;
                }
                Ok(Launched::Failed(reason(&row)))
            }
            (ReleaseStatus::Pending, _) => Err(Failure::wait(AGAIN, "its release phase")),
            (_, Rollout::Passed) => Ok(Launched::Well(success(builds, build).await?)),
            (_, Rollout::Watching) if wait == Wait::Up => Ok(Launched::Well(success(builds, build).await?)),
            (_, Rollout::Watching) => {
                let say = async {
                    self.print(builds, build, &watching(&row)).await?;
                    Ok::<_, Failure>(())
                };
                steps.once("say that it is up", say).await?;
                Err(Failure::wait(AGAIN, "its release to stay up"))
            }
            _ => Err(Failure::wait(AGAIN, "its release to come up")),
        }
    }
}

/// The release that decides about a build: its own, or a later one with the same code that has replaced it, such as one
/// with other config vars. `None` if it was replaced by other code.
async fn deciding(db: &PgPool, own: &releases::Row) -> sqlx::Result<Option<releases::Row>> {
    if own.rollout != Rollout::Superseded {
        return Ok(Some(own.clone()));
    }
    let Some(slug) = own.slug_id else { return Ok(None) };
    releases::release_successor(db, own.app_id, own.version, slug).await
}

/// Why a release has failed, in one sentence without a full stop.
fn reason(row: &releases::Row) -> String {
    let version = row.version;
    match (&row.failed_dyno, row.error.as_deref()) {
        (Some(dyno), why) => format!("v{version} did not stay up: {dyno}: {}", why.unwrap_or("it crashed")),
        (None, Some(why)) if row.cancelled_at.is_some() => format!("the release command of v{version} was {why}"),
        (None, Some(why)) => format!("the release command of v{version} failed: {why}"),
        (None, None) => format!("the release command of v{version} failed"),
    }
}

/// `v7 is up after 0.4 s; watching it for 10 s.`
fn watching(row: &releases::Row) -> String {
    // With a release phase, most of that time was not the dynos'.
    let took = row.up_at.filter(|_| !row.has_output).map(|at| (at - row.created_at).num_milliseconds());
    let after = took.map_or_else(String::new, |ms| format!(" after {:.1} s", ms.max(0) as f64 / 1000.0));
    format!("       v{} is up{after}; watching it for {} s", row.version, row.watch_seconds)
}

/// The name of the app of a build. An app that is being destroyed has none.
async fn app_name(builds: &Builds, app: AppId) -> sqlx::Result<String> {
    Ok(store::apps::app_info(builds.db(), app).await?.map(|app| app.name).unwrap_or_default())
}

async fn unknown_yet(builds: &Builds, build: &Row, version: i32) -> sqlx::Result<Vec<String>> {
    let app = app_name(builds, build.app_id).await?;
    Ok(vec![format!("       Whether it comes up is not known yet: wharf releases:wait v{version} --app {app}")])
}

/// The lines after a release that is up, or has nothing to start.
async fn success(builds: &Builds, build: &Row) -> sqlx::Result<Vec<String>> {
    let app = app_name(builds, build.app_id).await?;
    let mut lines = vec![format!("       {} deployed to Wharf", builds.config().app_url(&app))];
    let formation = store::formation::formation_list(builds.db(), build.app_id).await?;
    if !formation.iter().any(|f| f.kind == "web" && f.quantity > 0) {
        lines.extend(no_web(&formation, &app));
    }
    Ok(lines)
}

/// The lines about a release that has failed.
async fn failure(builds: &Builds, build: &Row, row: &releases::Row) -> anyhow::Result<Vec<String>> {
    let (app, version) = (app_name(builds, build.app_id).await?, row.version);
    let current = releases::release_current(builds.db(), build.app_id).await?;
    let serving = current.filter(|current| current.version != version && current.slug_id.is_some());
    let mut lines = vec![String::new()];
    let sentence = reason(row);
    let (first, rest) = sentence.split_at(1);
    // Sentences begin with an upper-case letter, versions do not.
    let sentence = if row.failed_dyno.is_some() { sentence.clone() } else { first.to_uppercase() + rest };
    lines.push(format!(" !     {sentence}"));
    if row.failed_dyno.is_none() {
        lines.push(" !     The previous release keeps running.".to_owned());
        lines.push(format!(" !     Its output: wharf releases:output v{version} --app {app}"));
    } else {
        lines.push(match &serving {
            Some(old) => format!(" !     v{} keeps serving traffic. Last log lines of v{version}:", old.version),
            None => {
                " !     No other release is serving traffic, so visitors get an error page until it comes up. Last log \
                     lines:"
                    .to_owned()
            }
        });
        lines.extend(last_lines(builds, row).await?.into_iter().map(|line| format!(" !       {line}")));
        lines.push(format!(" !     More: wharf logs --app {app}"));
    }
    if let (Some(branch), Some(commit)) = (&build.git_ref, &build.git_new) {
        let (branch, commit) = (branch.trim_start_matches("refs/heads/"), repositories::short(commit));
        lines.push(format!(" !     {branch} stays where it was, so {commit} can be pushed again."));
    }
    Ok(lines)
}

/// The last lines of the dyno that failed, once its output has been read.
async fn last_lines(builds: &Builds, row: &releases::Row) -> anyhow::Result<Vec<String>> {
    for _ in 0..LOOKS {
        let dynos = store::dynos::dyno_list(builds.db(), row.app_id).await?;
        let is_unread = |dyno: &store::dynos::Row| dyno.release_id == row.id && dyno.state == DynoState::Crashed;
        // What has crashed of a release that is given up is stopped a moment after the release has failed.
        let is_given_up = row.status == ReleaseStatus::Failed;
        if !dynos.iter().any(|dyno| is_unread(dyno) && (is_given_up || dyno.stopping_at.is_some())) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let dyno = row.failed_dyno.clone().unwrap_or_else(|| "web".to_owned());
    let payer = payers::of_app(builds, row.app_id).await.map_err(|err| anyhow::anyhow!("{err}"))?;
    let of = (row.id, dyno.as_str());
    let found = log_lines::last_of_ended(builds, payer, row.app_id, of, row.created_at, LAST_LINES).await;
    let found = found.map_err(|err| anyhow::anyhow!("{err}"))?;
    Ok(found.iter().map(ToString::to_string).collect())
}

/// Explains why no requests are served although everything succeeded, and what to do about it.
fn no_web(formation: &[store::formation::Row], app: &str) -> Vec<String> {
    if formation.iter().any(|f| f.kind == "web") {
        return vec![format!(" !     Web dynos are scaled to 0. Scale up with: wharf ps:scale web=1 --app {app}")];
    }
    let others = formation.iter().filter(|f| f.kind != "release").map(|f| match f.quantity {
        0 => format!("{0} (wharf ps:scale {0}=1 --app {app})", f.kind),
        _ => f.kind.clone(),
    });
    let others = others.collect::<Vec<_>>().join(", ");
    let mut lines = vec![
        " !     There is no web process type, so the app does not serve requests.".to_owned(),
        " !     Add a line \"web: COMMAND\" to the Procfile and push.".to_owned(),
    ];
    if !others.is_empty() {
        lines.push(format!(" !     Process types: {others}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use api::ids::FormationId;
    use chrono::Utc;

    use super::*;

    fn formation(types: &[(&str, i32)]) -> Vec<store::formation::Row> {
        let row = |(kind, quantity): &(&str, i32)| store::formation::Row {
            id: FormationId::nil(),
            app_id: AppId::nil(),
            kind: (*kind).into(),
            command: "run".into(),
            quantity: *quantity,
            size: "Basic".into(),
            created_at: Utc::now(),
            updated_at: Utc::now(),
        };
        types.iter().map(row).collect()
    }

    #[test]
    fn an_app_without_web_is_not_told_to_scale_it() {
        let said = |types: &[(&str, i32)]| no_web(&formation(types), "dusk").join("\n");
        assert_eq!(
            said(&[("web", 0)]),
            " !     Web dynos are scaled to 0. Scale up with: wharf ps:scale web=1 --app dusk"
        );
        let both = said(&[("clock", 2), ("release", 0), ("worker", 0)]);
        assert!(both.contains("Add a line \"web: COMMAND\" to the Procfile") && !both.contains("web=1"), "{both}");
        assert!(both.ends_with("Process types: clock, worker (wharf ps:scale worker=1 --app dusk)"), "{both}");
        let none = said(&[]);
        assert!(none.contains("There is no web process type") && !none.contains("Process types:"), "{none}");
    }
}
