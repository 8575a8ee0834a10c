//! The invitation policy: who can add new people to the platform, and when their accounts are removed again.
//!
//! Adding a member, a collaborator or an invitation with an email address without an account creates one. It cannot be
//! used until somebody proves ownership of the address; until then it exists only because of the invitations, and is
//! removed with the last of them.

use axum::{Json, extract::State};
use base::{Base, Change, Error, Result, events::EventActor, recorded::Concerned, web::Input};
use chrono::Utc;
use store::accounts::Row;

use crate::{
    access::InTeam,
    accounts,
    actor::Actor,
    identity_providers::{self, rules::is_of},
    subjects,
};
use api::{
    ids::{AccountId, TeamId},
    invitation_policy::{InvitationPolicy, InvitationPolicyUpdate, Inviters},
};

fn shown(row: store::invitation_policy::Row) -> InvitationPolicy {
    InvitationPolicy { who: row.who, domains: row.domains }
}

/// `GET /invitation-policy`: for all users, since it determines whom they can add.
pub async fn invitation_policy_info(State(base): State<Base>, _: Actor) -> Result<Json<InvitationPolicy>> {
    Ok(Json(shown(store::invitation_policy::invitation_policy_info(base.db()).await?)))
}

/// `PATCH /invitation-policy`: does not affect existing accounts.
pub async fn invitation_policy_update(
    actor: Actor,
    Input(update): Input<InvitationPolicyUpdate>,
) -> Result<Json<InvitationPolicy>> {
    actor.must_administer()?;
    let mut tx = actor.change(subjects::setting("invitations")).await?;
    let mut row = store::invitation_policy::invitation_policy_info(&mut *tx).await?;
    if let Some(who) = update.who {
        let unknown = || Error::invalid("who must be administrators, teams or domains.");
        row.who = Inviters::named(&who).ok_or_else(unknown)?;
    }
    if let Some(domains) = update.domains {
        row.domains = identity_providers::domains(domains)?;
    }
    if row.domains.iter().any(|domain| domain == "*") || row.who == Inviters::Domains && row.domains.is_empty() {
        return Err(Error::invalid("domains is required for invitations by everybody: [\"example.com\"]."));
    }
    store::invitation_policy::invitation_policy_update(&mut *tx, &row, Utc::now()).await?;
    let summary = match row.who {
        Inviters::Teams => "Allowed admins of permitted teams to invite new users.",
        Inviters::Domains => "Allowed everybody to invite new users with certain domains.",
        _ => "Restricted invitations of new users to administrators.",
    };
    let data = serde_json::json!({ "who": row.who, "domains": row.domains });
    tx.record("invitation_policy.update", summary, data);
    tx.commit().await?;
    Ok(Json(shown(row)))
}

/// The account with this email address or id, for granting it access, to `team` if given. An address without an account
/// gets one, if the policy allows that. An account that only exists because of somebody else's invitation counts as a
/// new one, since it would stay because of this one.
pub async fn find_or_invite(tx: &mut Change, actor: &Actor, team: Option<TeamId>, user: &str) -> Result<Row> {
    let user = user.trim();
    let found = match user.parse::<AccountId>() {
        Ok(id) => store::accounts::account_info(&mut **tx, id).await?,
        Err(_) => store::accounts::account_by_email(&mut **tx, user).await?,
    };
    if let Some(found) = found {
        match store::accounts::account_is_invited(&mut **tx, found.id).await? {
            Some(false) => return Ok(found),
            Some(true) => {
                may_invite(tx, actor, team, &found.email).await?;
                return Ok(found);
            }
            // Removed concurrently.
            None => {}
        }
    }
    if user.parse::<AccountId>().is_ok() {
        return Err(Error::not_found("user", "Couldn't find that user."));
    }
    accounts::check_address(user)?;
    may_invite(tx, actor, team, user).await?;
    make(tx, user).await
}

async fn make(tx: &mut Change, email: &str) -> Result<Row> {
    let now = Utc::now();
    let row = Row {
        id: AccountId::now_v7(),
        email: email.into(),
        name: None,
        admin: false,
        last_login: None,
        created_at: now,
        updated_at: now,
    };
    // Concurrent invitations of the same person find the same account.
    if store::accounts::account_invite(&mut **tx, &row).await? {
        let summary = format!("Created the account {email} for an invitation.");
        let data = serde_json::json!({ "account": row.id });
        tx.record_of(subjects::account(&row), "account.create", summary, data);
    }
    let changed = || Error::conflict(format!("The account {email} has changed in the meantime. Try again."));
    let found = store::accounts::account_by_email(&mut **tx, email).await?.ok_or_else(changed)?;
    // Locked if somebody else invited them, since that invitation may be revoked concurrently.
    store::accounts::account_is_invited(&mut **tx, found.id).await?.ok_or_else(changed)?;
    Ok(found)
}

/// Fails unless the caller can add a person with this address, to `team` if given.
async fn may_invite(tx: &mut Change, actor: &Actor, team: Option<TeamId>, email: &str) -> Result<()> {
    if actor.account.admin {
        return Ok(());
    }
    let policy = store::invitation_policy::invitation_policy_info(&mut **tx).await?;
    let is_among = policy.domains.iter().any(|domain| is_of(email, domain));
    let (may, others) = match policy.who {
        Inviters::Teams => {
            let may = (is_among || policy.domains.is_empty()) && invites(tx, actor, team).await;
            (may, " and admins of teams that are allowed to")
        }
        Inviters::Domains => (is_among && actor.must_be_a_person_in(&mut **tx).await.is_ok(), ""),
        _ => (false, ""),
    };
    if may {
        return Ok(());
    }
    let within = match policy.domains.is_empty() || policy.who == Inviters::Administrators {
        true => String::new(),
        false => format!(" Others can invite addresses of {}.", policy.domains.join(", ")),
    };
    Err(Error::forbidden(format!(
        "{email} does not have an account here yet. Only platform administrators{others} can invite new users.{within}"
    )))
}

/// Whether the caller is an admin of `team`, and it can invite.
async fn invites(tx: &mut Change, actor: &Actor, team: Option<TeamId>) -> bool {
    let Some(team) = team else { return false };
    actor.team_in(&mut **tx, &team.to_string(), InTeam::Administer).await.is_ok_and(|team| team.invites)
}

const GONE: &str = "it was created for an invitation that was never accepted";

/// Makes a change concern those who see one of these accounts, before it deletes them: its invitations and transfers go
/// with it, and with them the answer to who has seen it.
async fn concern_observers(tx: &mut Change, accounts: &[AccountId]) -> Result<()> {
    for team in store::team_invitations::team_invitation_teams(&mut **tx, accounts).await? {
        tx.also_concerns(Concerned::Team(team));
    }
    for owner in store::app_transfers::app_transfer_owners(&mut **tx, accounts).await? {
        tx.also_concerns(Concerned::Account(owner));
    }
    Ok(())
}

fn gone(tx: &mut Change, row: &Row) {
    let summary = format!("Removed the account {}: {GONE}.", row.email);
    let data = serde_json::json!({ "account": row.id });
    tx.record_of(subjects::account(row), "account.delete", summary, data);
}

/// Locks an account that the caller may remove or keep: before the team, and before rows of either. Everybody uses this
/// order to avoid deadlocks. `false` if the account has been removed meanwhile.
pub async fn hold(tx: &mut sqlx::PgConnection, account: AccountId) -> Result<bool> {
    Ok(store::accounts::account_is_invited(tx, account).await?.is_some())
}

/// As [`hold`], for the accounts kept by a team. Returns their ids.
pub async fn hold_of_team(tx: &mut sqlx::PgConnection, team: TeamId) -> Result<Vec<AccountId>> {
    Ok(store::accounts::account_hold_invited_by_team(tx, team).await?)
}

/// As [`release`], for accounts that are held.
pub async fn release_all(tx: &mut Change, accounts: &[AccountId]) -> Result<()> {
    concern_observers(tx, accounts).await?;
    for row in store::accounts::account_delete_all_uninvited(&mut **tx, accounts, Utc::now()).await? {
        gone(tx, &row);
    }
    Ok(())
}

/// Removes an account that was never used, if the caller has revoked its last invitation.
pub async fn release(tx: &mut Change, account: AccountId) -> Result<()> {
    if let Some(row) = store::accounts::account_info_any(&mut **tx, account).await? {
        expire(tx, &row).await?;
    }
    Ok(())
}

/// Removes an account that was never used, if it has no invitations left. Returns whether it did.
pub async fn expire(tx: &mut Change, row: &Row) -> Result<bool> {
    if store::accounts::account_is_invited(&mut **tx, row.id).await? != Some(true) {
        return Ok(false);
    }
    concern_observers(tx, &[row.id]).await?;
    let is_gone = store::accounts::account_delete_uninvited(tx, row.id, Utc::now()).await?;
    if is_gone {
        gone(tx, row);
    }
    Ok(is_gone)
}

/// Removes all accounts that were never used and whose invitations have expired.
pub async fn sweep(base: &Base) -> Result<()> {
    for row in store::accounts::account_list_uninvited(base.db(), Utc::now()).await? {
        let mut tx = base.change(EventActor::platform(), subjects::account(&row)).await?;
        expire(&mut tx, &row).await?;
        tx.commit().await?;
    }
    Ok(())
}
