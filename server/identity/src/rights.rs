//! Rights, the permissions that include them, and what follows from ownership, roles and grants.
//!
//! Subjects of all kinds have the same rights; a kind for which one makes no sense does not use it.

use api::ids::{AccountId, TeamId};
pub use api::team_members::Role;
use store::accounts;

/// An operation on an app, or on another subject that a person or a team owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Can {
    /// See that it exists, its releases, dynos, measurements and activity.
    View,
    /// Read its log and its build output.
    Logs,
    /// Read the values of its config vars.
    Config,
    /// Read and push code, release, roll back.
    Deploy,
    /// Run one-off dynos, and commands in dynos. They read the config vars and everything else that the app can.
    Run,
    /// Scale, restart and stop dynos.
    Scale,
    /// Maintenance mode, log drains, features.
    Operate,
    /// Grant access to others.
    Access,
    /// Rename, lock, transfer, destroy.
    Manage,
}

impl Can {
    /// All of them, from the least to the most powerful.
    pub const ALL: [Self; 9] = [
        Self::View,
        Self::Logs,
        Self::Config,
        Self::Deploy,
        Self::Run,
        Self::Scale,
        Self::Operate,
        Self::Access,
        Self::Manage,
    ];

    /// `view`, `logs`, …: the name in responses.
    pub fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Logs => "logs",
            Self::Config => "config",
            Self::Deploy => "deploy",
            Self::Run => "run",
            Self::Scale => "scale",
            Self::Operate => "operate",
            Self::Access => "access",
            Self::Manage => "manage",
        }
    }
}

/// The permissions of collaborators: name, description and rights. The first four are Heroku's; the others are parts of
/// them, for finer control.
pub const PERMISSIONS: [(&str, &str, &[Can]); 10] = [
    ("view", "See the app, its releases, dynos and measurements, and read its log.", &[Can::View, Can::Logs]),
    (
        "deploy",
        "Read and push code, release, roll back, read and set config vars, run one-off dynos.",
        &[Can::View, Can::Logs, Can::Config, Can::Deploy, Can::Run],
    ),
    (
        "operate",
        "Scale and restart dynos, maintenance mode, log drains, features.",
        &[Can::View, Can::Logs, Can::Scale, Can::Operate],
    ),
    ("manage", "Full access: rename, lock, transfer and destroy the app, add collaborators.", &Can::ALL),
    ("status", "See the app, without its log.", &[Can::View]),
    ("logs", "Read the log and build output.", &[Can::View, Can::Logs]),
    ("config", "Read the values of config vars.", &[Can::View, Can::Config]),
    ("push", "Read and push code, release, roll back, without reading config vars.", &[Can::View, Can::Deploy]),
    ("scale", "Scale, restart and stop dynos.", &[Can::View, Can::Scale]),
    ("access", "Add collaborators, with at most one's own permissions.", &[Can::View, Can::Access]),
];

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights(u16);

impl Rights {
    /// Every right.
    pub const ALL: Self = Self((1 << Can::ALL.len()) - 1);

    /// Read-only rights, without the code.
    pub const TO_SEE: Self = Self(1 << Can::View as u16 | 1 << Can::Logs as u16 | 1 << Can::Config as u16);

    /// Rights to deploy and to follow that, without config vars.
    pub const TO_DEPLOY: Self = Self(1 << Can::View as u16 | 1 << Can::Logs as u16 | 1 << Can::Deploy as u16);

    fn of(rights: &[Can]) -> Self {
        Self(rights.iter().fold(0, |all, can| all | 1 << *can as u16))
    }

    /// The rights of permissions. An unknown permission has none.
    pub fn of_permissions<S: AsRef<str>>(permissions: &[S]) -> Self {
        let known = permissions.iter().filter_map(|p| PERMISSIONS.iter().find(|(name, ..)| *name == p.as_ref()));
        Self(known.fold(0, |all, (_, _, rights)| all | Self::of(rights).0))
    }

    /// Whether `can` is among them.
    pub fn has(self, can: Can) -> bool {
        self.0 & Self::of(&[can]).0 != 0
    }

    /// Whether all of `others` are among them.
    pub fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// All except this one.
    pub fn without(self, can: Can) -> Self {
        Self(self.0 & !Self::of(&[can]).0)
    }

    /// The intersection.
    pub fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// The union.
    pub fn or(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Their names.
    pub fn names(self) -> Vec<&'static str> {
        Can::ALL.into_iter().filter(|can| self.has(*can)).map(Can::name).collect()
    }
}

/// The rights that a role in a team includes.
pub trait RoleRights {
    /// The rights of the role on the apps of the team.
    fn rights(self, locked: bool) -> Rights;

    /// The same as Heroku's permissions, for an app that is not locked.
    fn permissions(self) -> &'static [&'static str];
}

impl RoleRights for Role {
    fn rights(self, locked: bool) -> Rights {
        match self {
            Self::Member | Self::Viewer if locked => Rights::default(),
            _ => Rights::of_permissions(self.permissions()),
        }
    }

    fn permissions(self) -> &'static [&'static str] {
        match self {
            Self::Admin => &["view", "deploy", "operate", "manage"],
            Self::Member => &["view", "deploy", "operate"],
            Self::Viewer => &["view"],
            Self::Unknown => &[],
        }
    }
}

/// The owner of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Account(AccountId),
    Team(TeamId),
}

/// The rights of `account` on a subject, given its owner, the permissions granted to the account there, and the
/// account's role in the owning team.
///
/// The owner, the team's admins and the platform's administrators have all rights. For everybody else, permissions on
/// this very subject count, whether they are more or less than those of the role; without any, the role counts, unless
/// the subject is locked.
pub fn rights(
    account: &accounts::Row,
    owner: Owner,
    granted: Option<&[String]>,
    role: Option<Role>,
    is_locked: bool,
) -> Rights {
    if account.admin || owner == Owner::Account(account.id) || role == Some(Role::Admin) {
        return Rights::ALL;
    }
    match (granted, role) {
        (Some(granted), _) => Rights::of_permissions(granted),
        (None, Some(role)) => role.rights(is_locked),
        (None, None) => Rights::default(),
    }
}

/// The permissions that make an app visible.
pub fn seeing() -> Vec<&'static str> {
    PERMISSIONS.iter().filter(|(_, _, rights)| rights.contains(&Can::View)).map(|(name, ..)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_permission_has_its_rights() {
        let check = |permissions: &[&str], expected: &str| {
            assert_eq!(Rights::of_permissions(permissions).names().join(" "), expected, "{permissions:?}");
        };
        check(&[], "");
        check(&["odd"], "");
        check(&["view"], "view logs");
        check(&["deploy"], "view logs config deploy run");
        check(&["operate"], "view logs scale operate");
        check(&["manage"], "view logs config deploy run scale operate access manage");
        check(&["status"], "view");
        // Running needs the permission for both.
        check(&["config", "push"], "view config deploy");
        check(&["scale"], "view scale");
        check(&["access"], "view access");
        assert!(PERMISSIONS.iter().all(|(_, _, rights)| rights.contains(&Can::View)));
        assert_eq!(Rights::of(&Can::ALL), Rights::ALL);
    }

    #[test]
    fn rights_follow_from_owner_grants_and_role() {
        let (me, other) = (AccountId::from_u128(1), AccountId::from_u128(2));
        let (same, team) = (TeamId(me.get()), TeamId::from_u128(2));
        let account = |admin: bool| accounts::Row {
            id: me,
            email: "ada@example.com".into(),
            name: None,
            admin,
            last_login: None,
            created_at: chrono::DateTime::UNIX_EPOCH,
            updated_at: chrono::DateTime::UNIX_EPOCH,
        };
        let check = |owner, granted: Option<&[&str]>, role, is_locked, expected: Rights| {
            let granted = granted.map(|all| all.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
            let found = rights(&account(false), owner, granted.as_deref(), role, is_locked);
            assert_eq!(found, expected, "{owner:?} {granted:?} {role:?} {is_locked}");
            assert_eq!(rights(&account(true), owner, granted.as_deref(), role, is_locked), Rights::ALL);
        };
        let (none, view, all) = (Rights::default(), Rights::of_permissions(&["view"]), Rights::ALL);
        let status = Rights::of_permissions(&["status"]);
        check(Owner::Account(me), None, None, false, all);
        check(Owner::Account(me), Some(&["status"]), None, true, all);
        check(Owner::Account(other), None, None, false, none);
        check(Owner::Account(other), Some(&["status"]), None, false, status);
        // The id of an account does not identify a team.
        check(Owner::Team(same), None, None, false, none);
        check(Owner::Team(team), None, Some(Role::Viewer), false, view);
        check(Owner::Team(team), None, Some(Role::Viewer), true, none);
        check(Owner::Team(team), Some(&["status"]), Some(Role::Member), false, status);
        check(Owner::Team(team), Some(&["status"]), Some(Role::Member), true, status);
        check(Owner::Team(team), Some(&["manage"]), Some(Role::Viewer), true, all);
        check(Owner::Team(team), Some(&[]), Some(Role::Member), false, none);
        check(Owner::Team(team), Some(&["status"]), Some(Role::Admin), true, all);
    }

    #[test]
    fn a_lock_leaves_admins_only() {
        let roles = [(Role::Admin, 9, 9), (Role::Member, 7, 0), (Role::Viewer, 2, 0), (Role::Unknown, 0, 0)];
        for (role, open, locked) in roles {
            let count = |locked| role.rights(locked).names().len();
            assert_eq!((count(false), count(true)), (open, locked), "{role:?}");
        }
    }
}
