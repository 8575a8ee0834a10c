//! What somebody does next who was invited, added or offered an app: for those who did it.
//!
//! Whether a person can sign in is only shown to those who may give them access to the same team or app, and to
//! administrators.

use api::{
    ids::AccountId,
    next_steps::{NextStep, SignInWay},
};
use axum::{
    Json,
    extract::{Path, State},
};
use base::{Base, Error, Result};
use store::mails::About;

use crate::{access::InTeam, accounts, actor::Actor, mails, sign_in_ways, team_invitations, team_members};

/// What a person was given.
pub struct Given<'a> {
    /// The page of the console to open.
    pub path: &'a str,
    /// A sentence about what happens after they have signed in.
    pub then: &'a str,
    /// What the message was about, if one may have been sent.
    pub about: Option<About>,
}

/// What `account` does next.
pub async fn next_step(base: &Base, account: AccountId, given: Given<'_>) -> Result<NextStep> {
    let missing = || Error::not_found("user", "Couldn't find that user.");
    let row = store::accounts::account_info_any(base.db(), account).await?.ok_or_else(missing)?;
    let ways = sign_in_ways::of_account(base, account).await?.ok_or_else(missing)?;
    let mail = match given.about {
        Some(about) => store::mails::mail_of(base.db(), about).await?.map(mails::shown),
        None => None,
    };
    let way = ways.way();
    let then = match way {
        SignInWay::None => given.then.replacen("They", "Then they", 1),
        _ => given.then.to_owned(),
    };
    Ok(NextStep {
        email: row.email,
        can_sign_in: way != SignInWay::None,
        way,
        message: format!("{} {then}", ways.for_others()),
        url: sign_in_ways::link(base, given.path),
        mail,
    })
}

/// `GET /teams/{team}/invitations/{invitation}/next-step`: by id or address.
pub async fn team_invitation_next_step(
    State(base): State<Base>,
    actor: Actor,
    Path((team, which)): Path<(String, String)>,
) -> Result<Json<NextStep>> {
    let team = actor.team(&team, InTeam::Administer).await?;
    let row = store::team_invitations::team_invitation_of(base.db(), team.id, &which).await?;
    let row = row.ok_or_else(team_invitations::missing)?;
    let then = "They accept the invitation on the page Teams.";
    let given = Given { path: "/teams", then, about: Some(About::TeamInvitation(row.id)) };
    Ok(Json(next_step(&base, row.account_id, given).await?))
}

/// `GET /teams/{team}/members/{member}/next-step`: by id or address.
pub async fn team_member_next_step(
    State(base): State<Base>,
    actor: Actor,
    Path((team, who)): Path<(String, String)>,
) -> Result<Json<NextStep>> {
    let team = actor.team(&team, InTeam::Administer).await?;
    let row = team_members::find(&base, &team, &who).await?;
    if row.service.is_some() {
        return Err(Error::invalid("A service account does not sign in. Create a token for it."));
    }
    let path = format!("/teams/{}", team.name);
    let given = Given { path: &path, then: "They see the team and its apps after signing in.", about: None };
    Ok(Json(next_step(&base, row.account_id, given).await?))
}

/// `GET /users/{user}/next-step`: for administrators.
pub async fn user_next_step(
    State(base): State<Base>,
    actor: Actor,
    Path(user): Path<String>,
) -> Result<Json<NextStep>> {
    actor.must_administer()?;
    let row = accounts::find(&base, &user).await?;
    let given = Given { path: "/apps", then: "They see their apps and teams after signing in.", about: None };
    Ok(Json(next_step(&base, row.id, given).await?))
}
