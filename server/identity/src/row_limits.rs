//! Row limits: the maximum number of resources of an account, an app or a team that cost little more than their rows.
//!
//! What takes memory, processors or disk has quotas, which the operator sets. These limits keep one account from
//! filling the database. They are the same for everybody, and far above normal use. They are listed here; where the
//! oldest rows are removed automatically, [`MOST_KEPT`] is the limit.

use api::ids::{AccountId, AppId, TeamId};
use base::{Error, Result};
use sqlx::PgConnection;
use store::row_limits::Counted;

/// A limit for subjects with this type of id, and the parts of its error message.
pub struct RowLimit<Id> {
    rows: fn(Id) -> Counted,
    most: i64,
    /// Their owner.
    whose: &'static str,
    /// Their name, in the plural.
    what: &'static str,
    /// How to free some.
    advice: &'static str,
}

/// Third-party programs.
pub const OAUTH_CLIENTS: RowLimit<AccountId> = RowLimit {
    rows: Counted::OauthClients,
    most: 100,
    whose: "Your account",
    what: "OAuth clients",
    advice: "Remove unused ones.",
};

/// A build needs one, and they are removed after a day.
pub const SOURCES: RowLimit<AccountId> = RowLimit {
    rows: Counted::Sources,
    most: 1000,
    whose: "Your account",
    what: "upload URLs for source code",
    advice: "They expire after a day; upload to one that you have.",
};

/// Uploads for a later release, and slugs of builds whose release was rejected or cancelled. All others are released
/// immediately.
pub const UNUSED_SLUGS: RowLimit<AppId> = RowLimit {
    rows: Counted::UnusedSlugs,
    most: 100,
    whose: "This app",
    what: "unreleased slugs",
    advice: "Release them. Others are removed after 30 days, and those without an archive after a day.",
};

/// Enough for a large company.
pub const TEAM_MEMBERS: RowLimit<TeamId> = RowLimit {
    rows: Counted::TeamMembers,
    most: 5000,
    whose: "This team",
    what: "members",
    advice: "Remove some, or create another team.",
};

/// Each can preserve an account that was never used.
pub const TEAM_INVITATIONS: RowLimit<TeamId> = RowLimit {
    rows: Counted::TeamInvitations,
    most: 1000,
    whose: "This team",
    what: "invitations",
    advice: "Cancel some, or wait until they are accepted.",
};

/// Larger groups should be teams.
pub const COLLABORATORS: RowLimit<AppId> = RowLimit {
    rows: Counted::Collaborators,
    most: 1000,
    whose: "This app",
    what: "collaborators",
    advice: "Remove some, or transfer the app to a team.",
};

/// As many as a formation can have of one type.
pub const ONE_OFFS: RowLimit<AppId> = RowLimit {
    rows: Counted::OneOffs,
    most: 100,
    whose: "This app",
    what: "running one-off dynos",
    advice: "Wait until one has ended, or stop one (wharf ps:stop).",
};

/// Sessions and codes of an account, its log sessions for an app, and ended transfers of an app: the newest so many.
pub const MOST_KEPT: i64 = 100;

/// Fails if `of`, an account, app or team, has the maximum number of rows. The caller inserts the next one in the same
/// transaction; concurrent calls wait for that.
pub async fn admit<Id>(tx: &mut PgConnection, limit: &RowLimit<Id>, of: Id) -> Result<()> {
    let RowLimit { rows, most, whose, what, advice } = limit;
    let has = store::row_limits::row_count(tx, rows(of)).await?;
    match has < *most {
        true => Ok(()),
        false => Err(Error::quota(format!("{whose} has {has} {what}; the maximum is {most}. {advice}"))),
    }
}
