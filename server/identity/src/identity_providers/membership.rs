//! Applies grants of rules, and revokes those that do not apply any more. Decisions by people are not overridden.

use std::collections::BTreeMap;

use api::{
    ids::{AccountId, TeamId, TeamMemberId},
    team_members::{GrantedBy, Role},
};
use base::{Change, Result, credential::Credential};
use chrono::Utc;
use store::{accounts::Row, identity_providers::Rule};

use super::rules::{Grants, is_trusted_for};
use crate::{actor::Actor, subjects};

/// Changes the grants of `who` to those of the rules `now`, on behalf of `actor`, often the same account. Returns the
/// grants to be recorded: what somebody already had was not granted by a rule and is not revoked by one, and what a
/// person has granted or revoked since is no longer subject to the rules.
pub(crate) async fn apply(tx: &mut Change, who: &Row, was: &Grants, now: Grants) -> Result<Grants> {
    let by_person = store::accounts::account_admin_by(&mut **tx, who.id).await? == Some(GrantedBy::Person);
    let (is_admin, keeps) = (who.admin, now.admin || !was.admin);
    let admin = if by_person { is_admin } else { (is_admin && keeps) || now.admin };
    if admin != is_admin {
        store::accounts::account_set_admin(&mut **tx, who.id, admin, GrantedBy::Rule, Utc::now()).await?;
        let word = if admin { "became an administrator" } else { "is no longer an administrator" };
        let summary = format!("{} {word} by a rule of the identity provider.", who.email);
        note(tx, who, "account.update", summary, serde_json::json!({ "admin": admin }));
    }
    let mut teams = BTreeMap::new();
    for (team, role) in &now.teams {
        if join(tx, who, (team, *role), was.teams.contains_key(team)).await? {
            teams.insert(team.clone(), *role);
        }
    }
    for team in was.teams.keys().filter(|team| !now.teams.contains_key(*team)) {
        leave(tx, who, team).await?;
    }
    Ok(Grants { admin: !by_person && now.admin && (was.admin || !is_admin), teams })
}

/// Revokes the grants of a provider's rules to the former owner of this identity.
pub(crate) async fn take_back(tx: &mut Change, identity: &store::identities::Row) -> Result<()> {
    let was = serde_json::from_value::<Grants>(identity.given.clone()).unwrap_or_default();
    if let Some(who) = store::accounts::account_info_any(&mut **tx, identity.account_id).await? {
        apply(tx, &who, &was, Grants::default()).await?;
    }
    Ok(())
}

/// Ends the sessions of an account whose identities have changed, except the caller's own.
pub(crate) async fn sign_out(tx: &mut sqlx::PgConnection, actor: &Actor, account: AccountId) -> Result<()> {
    let keep = match actor.credential {
        Credential::Session(id) if account == actor.account.id => Some(id),
        _ => None,
    };
    store::sessions::session_delete_others(tx, account, keep).await?;
    Ok(())
}

/// Ends the sessions of accounts that their provider, with its current settings, would no longer sign in.
pub(crate) async fn sign_out_untrusted(
    tx: &mut sqlx::PgConnection,
    actor: &Actor,
    provider: &store::identity_providers::Row,
    rules: &[Rule],
) -> Result<()> {
    for identity in store::identities::identity_list_of_provider(&mut *tx, provider.id).await? {
        let Some(account) = store::accounts::account_info_any(&mut *tx, identity.account_id).await? else {
            continue;
        };
        let speaks = |email: &str| is_trusted_for(&provider.domains, rules, email);
        if !(speaks(&account.email) && identity.email.as_deref().is_none_or(speaks)) {
            sign_out(&mut *tx, actor, account.id).await?;
        }
    }
    Ok(())
}

/// Whether the team has another admin. Locks it, so that this stays true.
async fn has_other_admin(tx: &mut sqlx::PgConnection, team: TeamId) -> Result<bool> {
    store::teams::team_lock(&mut *tx, team).await?;
    Ok(store::team_members::team_member_count_admins(tx, team).await? > 1)
}

/// Adds an account to a team, unless a person has. Returns whether the rule did it.
async fn join(tx: &mut Change, who: &Row, (team, role): (&str, Role), was_given: bool) -> Result<bool> {
    let Some(found) = store::teams::team_info(&mut **tx, team, who.id).await? else { return Ok(false) };
    let id = found.team.id;
    if store::team_members::team_member_decision(&mut **tx, id, who.id).await?.is_some() {
        return Ok(false);
    }
    match found.role {
        Some(_) if !was_given => return Ok(false),
        Some(now) if now == role => return Ok(true),
        Some(Role::Admin) if !has_other_admin(tx, id).await? => return Ok(true),
        _ => {}
    }
    store::team_members::team_member_grant(&mut **tx, TeamMemberId::now_v7(), id, who.id, role, Utc::now()).await?;
    let summary = format!("{} became {role} of the team {team} by a rule of the identity provider.", who.email);
    let data = serde_json::json!({ "team": id, "account": who.id, "role": role });
    note(tx, who, "team_member.create", summary, data);
    Ok(true)
}

/// Removes an account from a team; its last admin stays.
async fn leave(tx: &mut Change, who: &Row, team: &str) -> Result<()> {
    let Some(found) = store::teams::team_info(&mut **tx, team, who.id).await? else { return Ok(()) };
    let (id, role) = (found.team.id, found.role);
    let by_person = store::team_members::team_member_decision(&mut **tx, id, who.id).await?.is_some();
    if role.is_none() || by_person || (role == Some(Role::Admin) && !has_other_admin(tx, id).await?) {
        return Ok(());
    }
    store::team_members::team_member_delete(tx, id, who.id).await?;
    let summary =
        format!("{} left the team {team}: no rule of the identity provider grants membership any more.", who.email);
    let data = serde_json::json!({ "team": id, "account": who.id });
    note(tx, who, "team_member.delete", summary, data);
    Ok(())
}

fn note(tx: &mut Change, who: &Row, action: &str, summary: String, data: serde_json::Value) {
    tx.record_of(subjects::account(who), action, summary, data);
}
