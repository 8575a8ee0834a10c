//! Changes by the caller of a request. The caller's rights are checked before the change begins. It may have to wait for a
//! slot, or for the lock of an app or a team, while others revoke them: then they are checked again.

use api::ids::{AppId, TeamId};
use base::{Change, Error, Result, Subject, credential::Credential};
use chrono::Utc;
use sqlx::PgConnection;
use store::{accounts, authorizations, collaborators, sessions};

use crate::{
    access::InTeam,
    actor::Actor,
    admissions::Admission,
    rights::{Can, Rights, Role},
};

impl Actor {
    /// Begins a change of `subject` by this actor, once its payer has a slot for it. Fails if the credential, the
    /// account or a right that admitted the request has ended meanwhile. Changes must not be nested.
    pub async fn change(&self, subject: Subject) -> Result<Change> {
        let mut change = self.base.change_for(self.payer, self.originator(), subject).await?;
        if change.has_waited() {
            self.admit_again(&mut change).await?;
        }
        Ok(change)
    }

    /// Locks an app until the end of a change of this actor, before its first write. Returns `false` if the app is gone, or
    /// is being destroyed. If others had locked it, fails as [`Actor::change`] does.
    pub async fn lock_app(&self, change: &mut PgConnection, app: AppId) -> Result<bool> {
        if store::apps::app_try_lock(&mut *change, app).await? {
            return Ok(true);
        }
        let is_there = store::apps::app_lock(&mut *change, app).await?;
        if is_there {
            self.admit_again(change).await?;
        }
        Ok(is_there)
    }

    /// Like [`Actor::lock_app`], for a team.
    pub(crate) async fn lock_team(&self, change: &mut PgConnection, team: TeamId) -> Result<()> {
        if !store::teams::team_lock_at_once(&mut *change, team).await? {
            store::teams::team_lock(&mut *change, team).await?;
            self.admit_again(change).await?;
        }
        Ok(())
    }

    async fn admit_again(&self, db: &mut PgConnection) -> Result<()> {
        // A user who has just signed in has no credential or right that could have ended.
        let Some(admissions) = &self.admissions else { return Ok(()) };
        let exists = match self.credential {
            Credential::Token(id) => authorizations::authorization_exists(&mut *db, id, Utc::now()).await?,
            Credential::Session(id) => sessions::session_exists(&mut *db, id, Utc::now()).await?,
        };
        let account = accounts::account_info(&mut *db, self.account.id).await?.filter(|_| exists);
        let now = Self { account: account.ok_or_else(Error::unauthorized)?, ..self.clone() };
        if self.account.admin {
            now.must_administer()?;
        }
        for admission in admissions.all() {
            match admission {
                Admission::App(app, rights) => now.must_still_have(db, app, rights).await?,
                Admission::Team(team, role) => now.must_still_be(db, team, role).await?,
            }
        }
        Ok(())
    }

    /// Fails unless the caller has all of these rights on an app.
    async fn must_still_have(&self, db: &mut PgConnection, app: AppId, rights: Rights) -> Result<()> {
        let row = store::apps::app_info(&mut *db, app).await?.ok_or_else(Error::no_app)?;
        let access = collaborators::access_info(&mut *db, self.account.id, app).await?;
        let app = self.admit(row, &access, Can::View)?;
        Can::ALL.into_iter().filter(|can| rights.has(*can)).try_for_each(|can| app.must(can))
    }

    /// Fails unless what the caller can do in a team includes what `role` can.
    async fn must_still_be(&self, db: &mut PgConnection, team: TeamId, role: Role) -> Result<()> {
        let can = match role {
            Role::Admin => InTeam::Administer,
            Role::Member => InTeam::Create,
            Role::Viewer | Role::Unknown => InTeam::See,
        };
        self.team_in(db, &team.to_string(), can).await?;
        Ok(())
    }
}
