//! Rights on what people and teams own: apps, and subjects of any other kind.
//!
//! A kind of subject is a row that is [`Owned`], with a loader that reads it and the caller's [`Access`] and hands both
//! to [`Actor::admit`]. Routes get the row only with the caller's rights on it, as [`Checked`]. A subject that the
//! caller must not know about is 404; one that is visible but not accessible is a 403 that names the missing right.

use std::ops::Deref;

use api::ids::AppId;
use base::{Error, Result};
use store::{accounts, collaborators::Access};

use crate::{
    actor::Actor,
    rights::{Can, Owner, Rights, Role, rights},
};

/// A row that a person or a team owns, and on which permissions can be granted to others.
pub trait Owned {
    /// Its kind, as used in messages: `app`.
    const NOUN: &'static str;

    /// Its name, for people.
    fn name(&self) -> &str;

    /// The app that it is or is part of, for tokens that are limited to apps.
    fn app(&self) -> Option<AppId>;

    /// The person or team that owns it.
    fn owner(&self) -> Owner;

    /// The name of the team that owns it.
    fn team(&self) -> Option<&str>;

    /// Whether members and viewers of the team have no rights by their role.
    fn is_locked(&self) -> bool;

    /// The 404 for callers that must not learn whether it exists.
    fn missing() -> Error;
}

fn role(access: &Access) -> Option<Role> {
    access.team_role.and_then(Role::known)
}

/// The rights of `account` on `row`, regardless of the scope of its token.
pub(crate) fn rights_on<R: Owned>(account: &accounts::Row, row: &R, access: &Access) -> Rights {
    rights(account, row.owner(), access.permissions.as_deref(), role(access), row.is_locked())
}

/// A row, and the caller's rights on it.
#[derive(Clone)]
pub struct Checked<R> {
    row: R,
    rights: Rights,
    /// Whether the caller has more rights, which the scope of the token excludes.
    is_narrowed: bool,
    /// The caller's role in the owning team.
    role: Option<Role>,
}

impl<R> Deref for Checked<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.row
    }
}

impl<R: Owned> Checked<R> {
    /// The caller's rights.
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// The caller's role in the owning team.
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
        let whom = match self.row.team() {
            Some(team) => format!("an admin of the team {team}"),
            None => "its owner".to_owned(),
        };
        Err(Error::forbidden(format!(
            "You do not have the permission \"{}\" on the {} {}{}. You have: {}. Ask {whom} for access.",
            can.name(),
            R::NOUN,
            self.row.name(),
            self.by(),
            self.rights.names().join(", "),
        )))
    }

    /// Fails if `rights` exceed the caller's own: nobody can grant what they do not have.
    pub fn must_have(&self, rights: Rights) -> Result<()> {
        if self.rights.contains(rights) {
            return Ok(());
        }
        Err(Error::forbidden(format!(
            "On the {} {} you have {}{}. You cannot grant or revoke more than that.",
            R::NOUN,
            self.row.name(),
            self.rights.names().join(", "),
            self.by(),
        )))
    }

    fn by(&self) -> &'static str {
        if self.is_narrowed { " with this token" } else { "" }
    }
}

impl Actor {
    /// The row with the caller's rights on it. Rights outside a token's scope are missing, even for owners, so the
    /// token cannot grant them, either.
    pub fn checked<R: Owned>(&self, row: R, access: &Access) -> Checked<R> {
        let all = rights_on(&self.account, &row, access);
        let rights = all.and(self.scope.rights_on(row.app()));
        Checked { row, rights, is_narrowed: rights != all, role: role(access) }
    }

    /// Like [`Actor::checked`], if the caller has the right `can`: the last step of every loader.
    ///
    /// Fails with 404 if the row is not visible to the caller, and otherwise with 403.
    pub fn admit<R: Owned>(&self, row: R, access: &Access, can: Can) -> Result<Checked<R>> {
        let checked = self.checked(row, access);
        if !checked.may(Can::View) {
            return Err(R::missing());
        }
        checked.must(can)?;
        Ok(checked)
    }
}
