//! `members`: the members of a team and their roles.

use anyhow::Result;
use api::{
    team_invitations::TeamInvitation,
    team_members::{TeamMember, TeamMemberSave},
};
use clap::Args;

use crate::{
    context::Context,
    next_steps,
    output::{self, Action, Cell, DIM, Table},
    teams::TeamFlag,
};

/// Lists the members of a team
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    team: TeamFlag,
    /// Only members with this role: admin, member, viewer
    #[arg(short, long)]
    role: Option<String>,
}

impl List {
    /// `members`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let mut members: Vec<TeamMember> = cx.client()?.team_member_list(&self.team.team).await?;
        members.retain(|m| self.role.as_ref().is_none_or(|role| m.role.as_str() == role));
        if cx.json {
            return output::json(&members);
        }
        let mut table = Table::new(&["Who", "Role", ""]);
        for member in &members {
            let kind = if member.service { "service account" } else { "" };
            table.row([(&member.email).into(), member.role.as_str().into(), Cell::new(kind, DIM)]);
        }
        table.print();
        Ok(())
    }
}

/// Adds a member to a team
#[derive(Args)]
pub struct Add {
    /// Email address
    email: String,
    /// admin, member or viewer
    #[arg(short, long)]
    role: String,
    #[command(flatten)]
    team: TeamFlag,
}

impl Add {
    /// `members:add`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let team = self.team.team;
        let action = Action::start(format!("Adding {} to {team} as {}", self.email, self.role));
        let save = TeamMemberSave { email: self.email, role: self.role };
        let client = cx.client()?;
        let member = client.team_member_save(&team, &save).await?;
        action.finish(cx.json, &member)?;
        if !member.service {
            next_steps::print(client.team_member_next_step(&team, &member.id.to_string())).await;
        }
        Ok(())
    }
}

/// Invites somebody to a team, who has to accept
#[derive(Args)]
pub struct Invite {
    /// Email address
    email: String,
    /// admin, member or viewer
    #[arg(short, long, default_value = "member")]
    role: String,
    #[command(flatten)]
    team: TeamFlag,
}

impl Invite {
    /// `members:invite`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let team = self.team.team;
        let action = Action::start(format!("Inviting {} to {team} as {}", self.email, self.role));
        let save = TeamMemberSave { email: self.email, role: self.role };
        let client = cx.client()?;
        let invitation = client.team_invitation_save(&team, &save).await?;
        action.finish(cx.json, &invitation)?;
        next_steps::print(client.team_invitation_next_step(&team, &invitation.id.to_string())).await;
        Ok(())
    }
}

/// Lists the pending invitations of a team
#[derive(Args)]
pub struct Invitations {
    #[command(flatten)]
    team: TeamFlag,
}

impl Invitations {
    /// `members:invitations`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let all: Vec<TeamInvitation> = cx.client()?.team_invitation_list(&self.team.team).await?;
        if cx.json {
            return output::json(&all);
        }
        let mut table = Table::new(&["Who", "Role", "Valid until", "E-mail"]);
        for invitation in &all {
            let mail = match &invitation.mail {
                Some(mail) => format!("{} {}", mail.state, mail.error.as_deref().unwrap_or_default()),
                None => "none".to_owned(),
            };
            table.row([
                (&invitation.user.email).into(),
                invitation.role.as_str().into(),
                output::moment(invitation.expires_at).into(),
                Cell::new(mail.trim(), DIM),
            ]);
        }
        table.print();
        Ok(())
    }
}

/// Changes a member's role
#[derive(Args)]
pub struct Set {
    /// Email address
    email: String,
    /// admin, member or viewer
    #[arg(short, long)]
    role: String,
    #[command(flatten)]
    team: TeamFlag,
}

impl Set {
    /// `members:set`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let team = self.team.team;
        let action = Action::start(format!("Making {} {} of {team}", self.email, self.role));
        let save = TeamMemberSave { email: self.email, role: self.role };
        let member = cx.client()?.team_member_update(&team, &save).await?;
        action.finish(cx.json, &member)
    }
}

/// Removes a member from a team
#[derive(Args)]
pub struct Remove {
    /// Email address
    email: String,
    #[command(flatten)]
    team: TeamFlag,
}

impl Remove {
    /// `members:remove`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let team = self.team.team;
        let action = Action::start(format!("Removing {} from {team}", self.email));
        let member = cx.client()?.team_member_delete(&team, &self.email).await?;
        action.finish(cx.json, &member)
    }
}
