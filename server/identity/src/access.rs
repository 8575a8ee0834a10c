//! Access control for apps and teams, in one place. For subjects of any kind, see `owned`.
//!
//! A route gets an app's row only as an [`App`], and an [`App`] only from [`Actor::app`] or [`Actor::apps`], which
//! require the intended operation: a route that does not check access cannot be written.
//! `PERMISSIONS.md` contains the whole table, and a test that calls every route keeps it up to date.

use std::ops::Deref;

use api::ids::{AccountId, AppId};
use base::{Base, Error, Result};
use chrono::{Duration, Utc};
use sqlx::{PgConnection, PgExecutor};
use store::{
    accounts, apps,
    pages::{Page, Range},
    teams,
};

use crate::{
    actor::Actor,
    admissions::Admission,
    owned::{Checked, Owned, rights_on},
    rights::{Can, Owner, Role, rights, seeing},
};

/// An app, and the caller's rights on it. Routes have no other access to an app's row.
pub type App = Checked<apps::Row>;

impl Owned for apps::Row {
    const NOUN: &'static str = "app";

    fn name(&self) -> &str {
        &self.name
    }

    fn app(&self) -> Option<AppId> {
        Some(self.id)
    }

    fn owner(&self) -> Owner {
        match (self.team_id, self.owner_id) {
            (Some(team), _) => Owner::Team(team),
            // A constraint: exactly one of the two is set.
            (None, account) => Owner::Account(account.unwrap_or_default()),
        }
    }

    fn team(&self) -> Option<&str> {
        self.team.as_deref()
    }

    fn is_locked(&self) -> bool {
        self.locked
    }

    fn missing() -> Error {
        Error::no_app()
    }
}

/// An operation on a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InTeam {
    /// View its members and its apps.
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

/// How long an app is found by a name that it had before, and the names of a destroyed app are reserved for its owner.
pub(crate) const FORMER: Duration = Duration::days(30);

async fn by_name(base: &Base, name: &str) -> Result<Option<apps::Row>> {
    if let Some(row) = store::apps::app_by_name(base.db(), name).await? {
        return Ok(Some(row));
    }
    Ok(store::apps::app_by_former_name(base.db(), name, Utc::now() - FORMER).await?)
}

impl Actor {
    /// The app with this name or id, if the caller has the right `can` on it. For a while, an app is also found by a
    /// name that it had before.
    ///
    /// Fails with 404 for an app that does not exist or is not visible, and with 403 for one that is visible.
    pub async fn app(&self, name: &str, can: Can) -> Result<App> {
        let db = self.base.db();
        let row = match name.parse::<AppId>() {
            Ok(id) => store::apps::app_info(db, id).await?,
            Err(_) => by_name(&self.base, name).await?,
        };
        let row = row.ok_or_else(Error::no_app)?;
        let access = store::collaborators::access_info(db, self.account.id, row.id).await?;
        let app = self.admit(row, &access, can)?;
        self.remember(Admission::App(app.id, app.rights()));
        Ok(app)
    }

    /// Takes a name for an app, in the transaction in which the app has got it. Returns `false` if another app has given
    /// it up lately, and the caller cannot manage that one: its clients still use the name, and would send code and
    /// secrets to whoever has it. If that app was destroyed, its owner and the admins of its team can take the name.
    pub async fn take_app_name(&self, db: &mut PgConnection, name: &str) -> Result<bool> {
        let since = Utc::now() - FORMER;
        if let Some(row) = apps::app_by_former_name(&mut *db, name, since).await? {
            let access = store::collaborators::access_info(&mut *db, self.account.id, row.id).await?;
            if !self.checked(row, &access).may(Can::Manage) {
                return Ok(false);
            }
        }
        let reserved = apps::app_name_reservation(&mut *db, name, self.account.id, since).await?;
        if reserved.is_some_and(|reserved| !self.could_manage(&reserved)) {
            return Ok(false);
        }
        apps::app_name_claim(db, name).await?;
        Ok(true)
    }

    /// Whether the caller could manage the destroyed app that had a name. What was granted on it is gone, and whether it
    /// was locked is unknown.
    fn could_manage(&self, reserved: &apps::Reservation) -> bool {
        let owner = match (reserved.team_id, reserved.owner_id) {
            (Some(team), _) => Owner::Team(team),
            (None, account) => Owner::Account(account.unwrap_or_default()),
        };
        let role = reserved.team_role.and_then(Role::known);
        rights(&self.account, owner, None, role, true).has(Can::Manage)
    }

    /// Remembers what a change has to check again that had to wait.
    fn remember(&self, admission: Admission) {
        if let Some(admissions) = &self.admissions {
            admissions.add(admission);
        }
    }

    /// Those of the requested apps that are visible to the caller. The query applies the same rules, so that it reads
    /// no others.
    pub async fn apps(&self, filter: &apps::Filter<'_>, range: &Range) -> Result<Page<App>> {
        let permissions = seeing();
        let page = apps::app_list(self.base.db(), &self.viewer(&permissions), filter, range).await?;
        let page = page.map(|seen| self.checked(seen.row, &seen.access));
        debug_assert!(page.rows.iter().all(|app| app.may(Can::View)), "the database shows an app that the rules hide");
        Ok(page)
    }

    /// The caller, as queries need it.
    pub fn viewer<'a>(&self, permissions: &'a [&'a str]) -> apps::Viewer<'a> {
        apps::Viewer { account: self.account.id, admin: self.account.admin, permissions }
    }

    /// The team with this name or id, if the caller can do `can` in it.
    ///
    /// Fails with 404 for a team that does not exist or that the caller is not a member of.
    pub async fn team(&self, name: &str, can: InTeam) -> Result<Team> {
        self.team_in(self.base.db(), name, can).await
    }

    /// Like [`Self::team`], in a transaction.
    pub async fn team_in(&self, db: impl PgExecutor<'_>, name: &str, can: InTeam) -> Result<Team> {
        let found = store::teams::team_info(db, name, self.account.id).await?;
        let team = found.and_then(|found| self.in_team(found)).ok_or_else(Error::no_team)?;
        team.must(can)?;
        self.remember(Admission::Team(team.id, team.role));
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

    /// Like [`Self::must_be_a_person`], in a transaction.
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
pub async fn still_may(base: &Base, account: AccountId, app: AppId, can: Can) -> Result<bool> {
    Ok(app_for(base, account, app, can).await?.is_some())
}

/// Like [`still_may`]: the app, if `account` has the right `can` on it.
pub async fn app_for(base: &Base, account: AccountId, app: AppId, can: Can) -> Result<Option<apps::Row>> {
    let db = base.db();
    let (Some(account), Some(app)) = (accounts::account_info(db, account).await?, apps::app_info(db, app).await?)
    else {
        return Ok(None);
    };
    let access = store::collaborators::access_info(db, account.id, app.id).await?;
    Ok(rights_on(&account, &app, &access).has(can).then_some(app))
}
