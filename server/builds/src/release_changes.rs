//! The difference between two releases: commits, config vars, slug, and its impact on users.

use std::collections::BTreeMap;

use api::{
    ids::{AccountId, AppId},
    releases::{Changed, Commit, Impact, ReleaseChanges, ReleaseChangesQuery},
};
use axum::{
    Json,
    extract::{Path, State},
};
use base::{Error, Result, web::Search};
use chrono::{DateTime, Duration, Utc};
use identity::{Actor, Can};
use platform::{Platform, config_values, releases::find};
use store::{apps, releases::Row, slugs};

use crate::{Builds, git};

/// Maximum number of commits in each direction.
const MOST_COMMITS: usize = 100;

/// `GET /apps/{app}/releases/{release}/changes`
pub async fn release_changes(
    State(builds): State<Builds>,
    actor: Actor,
    Path((app, release)): Path<(String, String)>,
    Search(query): Search<ReleaseChangesQuery>,
) -> Result<Json<ReleaseChanges>> {
    let app = actor.app(&app, Can::View).await?;
    let to = find(builds.db(), &app, &release).await?;
    let from = match query.since.filter(|since| !since.is_empty()) {
        Some(since) => Some(find(builds.db(), &app, &since).await?),
        None => store::releases::release_at(builds.db(), app.id, to.version - 1).await?,
    };
    Ok(Json(between(&builds, actor.payer, &app, from.as_ref(), &to).await?))
}

async fn between(
    builds: &Builds,
    payer: AccountId,
    app: &apps::Row,
    from: Option<&Row>,
    to: &Row,
) -> Result<ReleaseChanges> {
    let mut changes = ReleaseChanges {
        from: from.map_or(0, |r| r.version),
        to: to.version,
        from_at: from.map(|r| r.created_at),
        to_at: to.created_at,
        same_slug: from.is_some_and(|r| r.slug_id == to.slug_id),
        impact_after: impact(builds, to).await?,
        ..ReleaseChanges::default()
    };
    if let Some(from) = from {
        changes.impact_before = impact(builds, from).await?;
    }
    let vars_of = |r: &Row| config_values::of_release(builds.secrets(), builds.db(), app.id, r.id);
    let new = vars_of(to).await?;
    let old = match from {
        Some(from) if from.config_id == to.config_id => new.clone(),
        Some(from) => vars_of(from).await?,
        None => BTreeMap::new(),
    };
    config(&mut changes, &old, &new);
    let (old, new) = (slug_of(builds, from).await?, slug_of(builds, Some(to)).await?);
    slug(&mut changes, old.as_ref(), new.as_ref());
    let commits = (from.and_then(|r| r.commit.as_deref()), to.commit.as_deref());
    if let (old, Some(new)) = commits
        && old != Some(new)
    {
        changes.commits = listed(builds, payer, app, (old, new)).await?;
        if let Some(old) = old {
            changes.commits_removed = listed(builds, payer, app, (Some(new), old)).await?;
        }
        for list in [&mut changes.commits, &mut changes.commits_removed] {
            changes.more_commits |= list.len() > MOST_COMMITS;
            list.truncate(MOST_COMMITS);
        }
    }
    Ok(changes)
}

/// The commits from one to another. A commit id supplied by a client may not be in the repository; then there is no
/// list.
async fn listed(
    builds: &Builds,
    payer: AccountId,
    app: &apps::Row,
    between: (Option<&str>, &str),
) -> Result<Vec<Commit>> {
    match git::commits(builds, payer, app.id, between, MOST_COMMITS + 1).await {
        Err(Error::Internal(_)) => Ok(Vec::new()),
        told => told,
    }
}

async fn slug_of(platform: &Platform, release: Option<&Row>) -> Result<Option<slugs::Row>> {
    match release.and_then(|r| r.slug_id) {
        Some(id) => Ok(slugs::slug_info(platform.db(), id).await?),
        None => Ok(None),
    }
}

fn config(changes: &mut ReleaseChanges, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) {
    for (name, value) in new {
        match old.get(name) {
            None => changes.config_added.push(name.clone()),
            Some(before) if before != value => changes.config_changed.push(name.clone()),
            Some(_) => changes.config_same += 1,
        }
    }
    changes.config_removed = old.keys().filter(|name| !new.contains_key(*name)).cloned().collect();
}

fn slug(changes: &mut ReleaseChanges, old: Option<&slugs::Row>, new: Option<&slugs::Row>) {
    changes.slug_size_from = old.and_then(|s| s.size);
    changes.slug_size_to = new.and_then(|s| s.size);
    let types = |slug: Option<&slugs::Row>| slug.map(|s| s.process_types.0.clone()).unwrap_or_default();
    changes.processes = differing(&types(old), &types(new));
    let one = |name: &str, of: fn(&slugs::Row) -> Option<String>| {
        let (from, to) = (old.and_then(of), new.and_then(of));
        (from != to).then(|| Changed { name: name.into(), from, to })
    };
    changes.buildpack = one("buildpack", |s| s.buildpack_description.clone());
    changes.stack = one("stack", |s| Some(s.stack.clone()));
}

fn differing(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Changed> {
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    let each = names.into_iter().map(|name| Changed {
        name: name.clone(),
        from: old.get(name).cloned(),
        to: new.get(name).cloned(),
    });
    each.filter(|c| c.from != c.to).collect()
}

/// The metrics of the first hour of a release, or until the next one.
async fn impact(platform: &Platform, release: &Row) -> Result<Option<Impact>> {
    let next = store::releases::release_at(platform.db(), release.app_id, release.version + 1).await?;
    let until = next.map_or_else(Utc::now, |r| r.created_at).min(release.created_at + Duration::hours(1));
    let (series, app, from) = (platform.series().clone(), release.app_id, release.created_at);
    tokio::task::spawn_blocking(move || measured(&series, app, from, until))
        .await
        .map_err(|err| anyhow::Error::new(err).into())
}

fn measured(series: &monitor::Store, app: AppId, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<Impact> {
    let found = series.query(app, from, to, 10).ok()?;
    // Including the period in which the previous release still ran would distort it.
    let mut sum = monitor::Rollup::default();
    found.points.iter().filter(|p| p.at >= from && p.at < to).for_each(|p| sum.merge(&p.rollup));
    (sum.samples > 0).then(|| Impact {
        seconds: (to - from).num_seconds(),
        requests: sum.requests(),
        failed: sum.statuses[4],
        p95_ms: sum.service.quantile_ms(0.95),
        memory_max: sum.processes.values().map(|p| p.memory_max).max().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn config_is_listed_by_name() {
        let mut changes = ReleaseChanges::default();
        config(
            &mut changes,
            &vars(&[("A", "1"), ("B", "2"), ("C", "3")]),
            &vars(&[("B", "2"), ("C", "4"), ("D", "5")]),
        );
        let got = (changes.config_added, changes.config_changed, changes.config_removed, changes.config_same);
        assert_eq!(got, (vec!["D".into()], vec!["C".into()], vec!["A".into()], 1));
    }

    #[test]
    fn added_removed_and_changed_processes_are_listed() {
        let got = differing(&vars(&[("web", "a"), ("clock", "c")]), &vars(&[("web", "b"), ("worker", "w")]));
        let names: Vec<_> = got.iter().map(|c| (c.name.as_str(), c.from.as_deref(), c.to.as_deref())).collect();
        assert_eq!(names, [("clock", Some("c"), None), ("web", Some("a"), Some("b")), ("worker", None, Some("w"))]);
    }
}
