//! What lists and values depend on, as nouns of the audit log's actions: they are refetched when such things change.

/// Any change.
pub const ANYTHING: &[&str] = &["*"];

/// Teams, the user's role in them, and how many people and apps they have.
pub const TEAMS: &[&str] =
    &["team", "team_member", "team_invitation", "service_account", "app", "app_transfer", "account"];

/// The members of a team.
pub const PEOPLE: &[&str] = &["team_member", "service_account", "team_invitation", "identity", "team", "account"];

/// Who can access an app, or the apps of a team.
pub const ACCESS: &[&str] =
    &["collaborator", "app", "app_transfer", "team", "team_member", "service_account", "account"];
