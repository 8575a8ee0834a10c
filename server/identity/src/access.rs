//! Access control for apps and teams, in one place.
//!
//! A route gets an app's row only as an [`App`], and an [`App`] only from [`Actor::app`] or [`Actor::apps`], which
//! require the intended operation: a route that does not check access cannot be written. An app that the caller must
//! not know about is 404; one that is visible but not accessible is a 403 that names the missing right.
//! `PERMISSIONS.md` contains the whole table, and a test that calls every route keeps it up to date.

use std::ops::Deref;

use base::{Base, Error, Result};
use sqlx::PgExecutor;
use store::{
    accounts, apps,
    collaborators::Access,
    pages::{Page, Range},
    teams,
};
use uuid::Uuid;

use crate::{
    actor::Actor,
    rights::{Can, Rights, Role, RoleRights as _, seeing},
};

/// The rights of `account` on `app`, given their relations.
///
/// The owner, the team's admins and the platform's administrators have all rights. For everybody else, permissions on
/// this app count, whether they are more or less than those of the role; without any, the role counts, unless the app
/// is locked.
fn of_app(account: &accounts::Row, app: &apps::Row, access: &Access) -> Rights {
    let role = access.team_role.and_then(Role::known);
    if account.admin || app.owner_id == Some(account.id) || role == Some(Role::Admin) {
        return Rights::ALL;
    }
    match (&access.permissions, role) {
        (Some(given), _) => Rights::of_permissions(given),
        (None, Some(role)) => role.rights(app.locked),
        (None, None) => Rights::default(),
    }
}

/// An app, and the caller's rights on it. Routes have no other access to an app's row.
#[derive(Clone)]
pub struct App {
    row: apps::Row,
    rights: Rights,
    /// Whether the caller has more rights, which the scope of the token excludes.
    is_narrowed: bool,
    /// The caller's role in the app's team.
    role: Option<Role>,
}

impl Deref for App {
    type Target = apps::Row;

    fn deref(&self) -> &apps::Row {
        &self.row
    }
}

impl App {
    /// The caller's rights.
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// Fails if `rights` exceed the caller's own: nobody can grant what they do not have.
    pub fn must_have(&self, rights: Rights) -> Result<()> {
        if self.rights.contains(rights) {
            return Ok(());
        }
        let own = self.rights.names().join(", ");
        let by = if self.is_narrowed { " with this token" } else { "" };
        Err(Error::forbidden(format!(
            "On the app {} you have {own}{by}. You cannot grant or revoke more than that.",
            self.row.name
        )))
    }

    /// The caller's role in the team of the app.
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// Whether the caller has the right `can`.
    pub fn may(&self, can: Can) -> bool {
        self.rights.has(can)
    }

    /// Fails, naming the missing right, unless the caller has the right `can`.
    pub fn must(&self, can: Can) -> Result<()> {
        if self.may(can) {
            return Ok(());
        }
        let whom = match &self.row.team {
            Some(team) => format!("an admin of the team {team}"),
            None => "its owner".to_owned(),
        };
        let by = if self.is_narrowed { " with this token" } else { "" };
        Err(Error::forbidden(format!(
            "You do not have the permission \"{}\" on the app {}{by}. You have: {}. Ask {whom} for access.",
            can.name(),
            self.row.name,
            self.rights.names().join(", "),
        )))
    }
}

/// An operation on a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InTeam {
    /// See its members and its apps.
    See,
    /// Create apps in it, and transfer apps to it.
    Create,
    /// Members, roles, invitations, service accounts, its name.
    Administer,
}

/// A team, and the caller's role in it. As with [`App`], routes have no other access.
#[derive(Clone)]
pub struct Team {
    row: teams::Row,
    role: Role,
}

impl Deref for Team {
    type Target = teams::Row;

    fn deref(&self) -> &teams::Row {
        &self.row
    }
}

impl Team {
    /// The caller's role, or its equivalent.
    pub fn role(&self) -> Role {
        self.role
    }

    fn must(&self, can: InTeam) -> Result<()> {
        let (is_allowed, needed) = match can {
            InTeam::See => (true, "viewer"),
            InTeam::Create => (self.role != Role::Viewer, "member"),
            InTeam::Administer => (self.role == Role::Admin, "admin"),
        };
        if is_allowed {
            return Ok(());
        }
        let (own, name) = (self.role, &self.row.name);
        Err(Error::forbidden(format!("You are {own} of the team {name}. This requires the role \"{needed}\".")))
    }
}

impl Actor {
    /// The app with this name or id, if the caller has the right `can` on it.
    ///
    /// Fails with 404 for an app that does not exist or is not visible, and with 403 for one that is visible.
    pub async fn app(&self, name: &str, can: Can) -> Result<App> {
        let db = self.base.db();
        let row = match name.parse::<Uuid>() {
            Ok(id) => store::apps::app_info(db, id).await?,
            Err(_) => store::apps::app_by_name(db, name).await?,
        };
        let row = row.ok_or_else(Error::no_app)?;
        let access = store::collaborators::access_info(db, self.account.id, row.id).await?;
        let app = self.checked(row, &access);
        if !app.may(Can::View) {
            return Err(Error::no_app());
        }
        app.must(can)?;
        Ok(app)
    }

    /// Those of the requested apps that are visible to the caller. The query applies the same rule, so that no row is
    /// read in vain.
    pub async fn apps(&self, filter: &apps::Filter<'_>, range: &Range) -> Result<Page<App>> {
        let permissions = seeing();
        let page = apps::app_list(self.base.db(), &self.viewer(&permissions), filter, range).await?;
        let page = page.map(|seen| self.checked(seen.row, &seen.access));
        debug_assert!(page.rows.iter().all(|app| app.may(Can::View)), "the database shows an app that the rules hide");
        Ok(page)
    }

    /// The caller, for queries.
    pub fn viewer<'a>(&self, permissions: &'a [&'a str]) -> apps::Viewer<'a> {
        apps::Viewer { account: self.account.id, admin: self.account.admin, permissions }
    }

    fn checked(&self, row: apps::Row, access: &Access) -> App {
        // A token has no right that its scope leaves out, whoever has it; so it gives none on, either.
        let all = of_app(&self.account, &row, access);
        let rights = all.and(self.reach.rights());
        App { row, rights, is_narrowed: rights != all, role: access.team_role.and_then(Role::known) }
    }

    /// The team with this name or id, if the caller can do `can` in it.
    ///
    /// Fails with 404 for a team that does not exist or that the caller is not a member of.
    pub async fn team(&self, name: &str, can: InTeam) -> Result<Team> {
        self.team_in(self.base.db(), name, can).await
    }

    /// As [`Self::team`], in a transaction.
    pub async fn team_in(&self, db: impl PgExecutor<'_>, name: &str, can: InTeam) -> Result<Team> {
        let found = store::teams::team_info(db, name, self.account.id).await?;
        let team = found.and_then(|found| self.in_team(found)).ok_or_else(Error::no_team)?;
        team.must(can)?;
        Ok(team)
    }

    /// The teams that the caller is a member of; for administrators of the platform, all.
    pub async fn teams(&self, range: &Range) -> Result<Page<Team>> {
        let (account, all) = (self.account.id, self.account.admin);
        let mut page = teams::team_list(self.base.db(), account, all, range).await?.map(|found| self.in_team(found));
        let rows = std::mem::take(&mut page.rows).into_iter().flatten().collect();
        Ok(Page { rows, ends: page.ends, has_more: page.has_more })
    }

    fn in_team(&self, found: teams::OfAccount) -> Option<Team> {
        let role = found.role.and_then(Role::known).or(self.account.admin.then_some(Role::Admin))?;
        let role = if self.account.admin { Role::Admin } else { role };
        Some(Team { row: found.team, role })
    }

    /// Fails unless the caller is an administrator of the platform.
    pub fn must_administer(&self) -> Result<()> {
        if self.account.admin { Ok(()) } else { Err(Error::forbidden("Only a platform administrator can do this.")) }
    }

    /// Fails for a service account: only people create sign-in methods or teams.
    pub async fn must_be_a_person(&self) -> Result<()> {
        self.must_be_a_person_in(self.base.db()).await
    }

    /// As [`Self::must_be_a_person`], in a transaction.
    pub async fn must_be_a_person_in(&self, db: impl PgExecutor<'_>) -> Result<()> {
        if store::service_accounts::service_account_exists(db, self.account.id).await? {
            return Err(Error::forbidden(
                "A service account cannot do this. Its tokens are created by an admin of its team.",
            ));
        }
        Ok(())
    }
}

/// Whether `account` now has the right `can` on the app with this id: for URLs that need no credentials, and for open
/// streams.
pub async fn still_may(base: &Base, account: Uuid, app: Uuid, can: Can) -> Result<bool> {
    Ok(app_for(base, account, app, can).await?.is_some())
}

/// As [`still_may`]: the app, if `account` has the right `can` on it.
pub async fn app_for(base: &Base, account: Uuid, app: Uuid, can: Can) -> Result<Option<apps::Row>> {
    let db = base.db();
    let (Some(account), Some(app)) = (accounts::account_info(db, account).await?, apps::app_info(db, app).await?)
    else {
        return Ok(None);
    };
    let access = store::collaborators::access_info(db, account.id, app.id).await?;
    Ok(of_app(&account, &app, &access).has(can).then_some(app))
}
