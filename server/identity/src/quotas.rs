//! Quotas of accounts and teams, checked in the transaction that uses them, one at a time.
//!
//! The owner of an app is charged, not the caller. Teams count for their creator, and service accounts for their team,
//! so that the number of owners that one person can create is bounded, too. The platform's administrators have no
//! quotas on their own resources: they could raise them anyway. The operator sets the limits, for one account or team,
//! or for all.

use api::ids::{AccountId, AppId, QuotaId, TeamId};
use axum::{
    Json,
    extract::{Path, State},
};
use base::{Base, Error, Result, Subject, dyno_sizes, web::Input};
use chrono::Utc;
use sqlx::PgConnection;
use store::quotas::{Owner, Row, Usage};

use crate::{access::InTeam, accounts, actor::Actor, subjects};

/// A limited resource.
pub use api::quotas::QuotaKind as Quota;

/// Whether it applies to an owner: teams belong to accounts, service accounts to teams.
fn concerns(quota: Quota, owner: Owner) -> bool {
    match quota {
        Quota::Teams => owner.team.is_none(),
        Quota::ServiceAccounts => owner.account.is_none(),
        _ => true,
    }
}

/// What it counts, and its default.
fn about(quota: Quota) -> (&'static str, i64) {
    match quota {
        Quota::Apps => ("apps", 100),
        Quota::Dynos => ("dynos in all formations", 200),
        Quota::Memory => ("MB of memory of all dynos", 100 << 10),
        Quota::PendingBuilds => ("queued and running builds", 20),
        Quota::Uploads => ("bytes of uploads not used by a release", 10 << 30),
        Quota::Repositories => ("bytes of all repositories", 20 << 30),
        Quota::Disk => ("bytes of uploads, slugs and config vars of all releases, and repositories", 100 << 30),
        Quota::Teams => ("created teams", 5),
        Quota::ServiceAccounts => ("service accounts", 10),
        Quota::Unknown => ("unknown", 0),
    }
}

/// The effect of `more` on the disk, which also has a quota. The size of a build's slug is not known in advance.
fn on_disk(quota: Quota, more: i64) -> Option<(Quota, i64)> {
    match quota {
        Quota::Uploads | Quota::Repositories => Some((Quota::Disk, more)),
        Quota::PendingBuilds => Some((Quota::Disk, more.min(1))),
        _ => None,
    }
}

fn used(quota: Quota, usage: &Usage) -> i64 {
    match quota {
        Quota::Apps => usage.apps,
        Quota::Dynos => usage.dynos,
        Quota::Memory => usage.memory_mb,
        Quota::PendingBuilds => usage.pending_builds,
        Quota::Uploads => usage.upload_bytes,
        Quota::Repositories => usage.repository_bytes,
        Quota::Disk => usage.disk_bytes,
        Quota::Teams => usage.teams,
        Quota::ServiceAccounts => usage.service_accounts,
        Quota::Unknown => 0,
    }
}

/// The limit, and whether it is the owner's own; `None` without one.
fn most(quota: Quota, set: &[Row], is_exempt: bool) -> (Option<i64>, bool) {
    let (_, usual) = about(quota);
    let find = |is_own: bool| set.iter().find(|row| row.kind == quota && row.is_own == is_own).map(|row| row.most);
    match find(true) {
        Some(own) => (Some(own), true),
        None if is_exempt => (None, false),
        None => (Some(find(false).unwrap_or(usual)), false),
    }
}

/// The owner: a person or a team.
pub fn owner(account: Option<AccountId>, team: Option<TeamId>) -> Owner {
    Owner { account, team }
}

/// Fails if `more` exceeds the quota of `owner`. Concurrent calls wait for the first one to commit. With 0, it checks
/// the usage that the transaction has already written.
pub async fn admit(tx: &mut PgConnection, owner: Owner, quota: Quota, more: i64) -> Result<()> {
    left(tx, owner, quota, more).await.map(drop)
}

/// As [`admit`]; returns how much is left. `None` without a limit.
async fn left(tx: &mut PgConnection, owner: Owner, quota: Quota, more: i64) -> Result<Option<i64>> {
    store::quotas::quota_lock(&mut *tx, owner).await?;
    let (set, is_exempt) = (store::quotas::quota_list(&mut *tx, owner).await?, is_exempt(&mut *tx, owner).await?);
    let usage = store::quotas::quota_usage(&mut *tx, owner, &dyno_sizes::memory()).await?;
    let mut left = None;
    for (quota, more) in [Some((quota, more)), on_disk(quota, more)].into_iter().flatten() {
        let (Some(most), _) = most(quota, &set, is_exempt) else { continue };
        let used = used(quota, &usage);
        if used.saturating_add(more) > most {
            return Err(reached(owner, quota, most, used.saturating_add(more)));
        }
        left = Some(left.map_or(most - used, |left: i64| left.min(most - used)));
    }
    Ok(left)
}

fn reached(owner: Owner, quota: Quota, most: i64, all: i64) -> Error {
    let (counted, _) = about(quota);
    let whose = match (quota, owner.team) {
        (Quota::Teams, _) => "You",
        (_, Some(_)) => "The owning team",
        (_, None) => "The owner's account",
    };
    let free = match quota {
        Quota::Disk => "Destroy apps that are no longer needed",
        Quota::Memory => "Web dynos that a rollout is replacing count until it is over: wait for it, remove some",
        _ => "Remove some",
    };
    Error::quota(format!(
        "{whose} may have at most {most} {counted} (quota \"{quota}\"); this would make {all}. {free}, or ask a platform \
         administrator to raise the quota."
    ))
}

/// The owner of an app, and how much of `quota` is left for it; `None` without a limit. Like [`admit`], it waits for
/// concurrent calls, and fails if nothing is left.
pub async fn left_for_app(tx: &mut PgConnection, app: AppId, quota: Quota) -> Result<(Owner, Option<i64>)> {
    let Some(owner) = store::quotas::quota_owner(&mut *tx, app).await? else { return Ok((Owner::default(), None)) };
    Ok((owner, left(tx, owner, quota, 1).await?))
}

/// Fails if `owner` exceeds any quota after an app was transferred to it.
pub async fn admit_all(tx: &mut PgConnection, owner: Owner) -> Result<()> {
    let of_apps = [Quota::Apps, Quota::Dynos, Quota::Memory, Quota::PendingBuilds, Quota::Uploads, Quota::Repositories];
    for quota in of_apps {
        admit(tx, owner, quota, 0).await?;
    }
    Ok(())
}

/// As [`admit`], for the owner of an app.
pub async fn admit_for_app(tx: &mut PgConnection, app: AppId, quota: Quota, more: i64) -> Result<()> {
    match store::quotas::quota_owner(&mut *tx, app).await? {
        Some(owner) => admit(tx, owner, quota, more).await,
        None => Ok(()),
    }
}

async fn is_exempt(tx: &mut PgConnection, owner: Owner) -> Result<bool> {
    let Some(account) = owner.account else { return Ok(false) };
    Ok(store::accounts::account_info_any(tx, account).await?.is_some_and(|account| account.admin))
}

async fn shown(base: &Base, owner: Owner) -> Result<Json<Vec<api::quotas::Quota>>> {
    let mut db = base.db().acquire().await?;
    let set = store::quotas::quota_list(&mut *db, owner).await?;
    let is_exempt = is_exempt(&mut db, owner).await?;
    let usage = match owner == Owner::default() {
        true => Usage::default(),
        false => store::quotas::quota_usage(&mut *db, owner, &dyno_sizes::memory()).await?,
    };
    let all = Quota::ALL.iter().filter(|quota| concerns(**quota, owner)).map(|quota| {
        let (description, _) = about(*quota);
        let (most, is_own) = most(*quota, &set, is_exempt);
        let used = used(*quota, &usage);
        api::quotas::Quota { name: quota.to_string(), description: description.into(), most, used, is_own }
    });
    Ok(Json(all.collect()))
}

/// `GET /quotas`: the platform's defaults.
pub async fn quota_list(State(base): State<Base>, actor: Actor) -> Result<Json<Vec<api::quotas::Quota>>> {
    actor.must_administer()?;
    shown(&base, Owner::default()).await
}

/// `PATCH /quotas`
pub async fn quota_update(
    State(base): State<Base>,
    actor: Actor,
    Input(update): Input<Asked>,
) -> Result<Json<Vec<api::quotas::Quota>>> {
    actor.must_administer()?;
    save(&base, &actor, Owner::default(), ("the platform", subjects::setting("quotas")), update).await
}

/// `GET /users/{user}/quotas`: the caller's own, or by an administrator.
pub async fn quota_list_of_user(
    State(base): State<Base>,
    actor: Actor,
    Path(user): Path<String>,
) -> Result<Json<Vec<api::quotas::Quota>>> {
    if accounts::is_self(&actor, &user).is_ok() {
        return shown(&base, owner(Some(actor.account.id), None)).await;
    }
    actor.must_administer()?;
    let account = accounts::find(&base, &user).await?;
    shown(&base, owner(Some(account.id), None)).await
}

/// `PATCH /users/{user}/quotas`
pub async fn quota_update_of_user(
    State(base): State<Base>,
    actor: Actor,
    Path(user): Path<String>,
    Input(update): Input<Asked>,
) -> Result<Json<Vec<api::quotas::Quota>>> {
    actor.must_administer()?;
    let account = accounts::find(&base, &user).await?;
    save(&base, &actor, owner(Some(account.id), None), (&account.email, subjects::account(&account)), update).await
}

/// `GET /teams/{team}/quotas`: for its members.
pub async fn quota_list_of_team(
    State(base): State<Base>,
    actor: Actor,
    Path(team): Path<String>,
) -> Result<Json<Vec<api::quotas::Quota>>> {
    let team = actor.team(&team, InTeam::See).await?;
    shown(&base, owner(None, Some(team.id))).await
}

/// `PATCH /teams/{team}/quotas`
pub async fn quota_update_of_team(
    State(base): State<Base>,
    actor: Actor,
    Path(team): Path<String>,
    Input(update): Input<Asked>,
) -> Result<Json<Vec<api::quotas::Quota>>> {
    let team = actor.team(&team, InTeam::See).await?;
    actor.must_administer()?;
    let (whose, subject) = (format!("the team {}", team.name), subjects::team(team.id, &team.name));
    save(&base, &actor, owner(None, Some(team.id)), (&whose, subject), update).await
}

/// An `api::quotas::QuotaUpdate` that is parsed after the caller is authenticated.
type Asked = std::collections::BTreeMap<String, serde_json::Value>;

async fn save(
    base: &Base,
    actor: &Actor,
    owner: Owner,
    (whose, subject): (&str, Subject),
    update: Asked,
) -> Result<Json<Vec<api::quotas::Quota>>> {
    let number = |(name, most): (String, serde_json::Value)| {
        let read = serde_json::from_value::<Option<i64>>(most);
        read.map(|most| (name.clone(), most))
            .map_err(|_| Error::invalid(format!("{name:.100} must be a number, or null.")))
    };
    let update = update.into_iter().map(number).collect::<Result<api::quotas::QuotaUpdate>>()?;
    let mut tx = actor.change(subject).await?;
    for (name, most) in &update {
        let Some(quota) = Quota::named(name).filter(|quota| concerns(*quota, owner)) else {
            let known = Quota::ALL.iter().filter(|quota| concerns(**quota, owner)).map(|quota| quota.as_str());
            let known = known.collect::<Vec<_>>().join(", ");
            return Err(Error::invalid(format!("There is no quota {name:?} for {whose}. Valid quotas: {known}.")));
        };
        if most.is_some_and(|most| most < 0) {
            return Err(Error::invalid(format!("{name} must be 0 or more, or null.")));
        }
        store::quotas::quota_save(&mut tx, QuotaId::now_v7(), owner, quota, *most, Utc::now()).await?;
    }
    let described = |(name, most): (&String, &Option<i64>)| match most {
        Some(most) => format!("{name} {most}"),
        None => format!("{name} to the default"),
    };
    let list = update.iter().map(described).collect::<Vec<_>>().join(", ");
    tx.record("quota.update", format!("Set quotas of {whose}: {list}."), serde_json::json!({ "quotas": update }));
    tx.commit().await?;
    shown(base, owner).await
}
