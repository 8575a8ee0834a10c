//! Kinds of changes, and which of them an event of the audit log stands for.

use serde::{Deserialize, Serialize};

/// The kind of a change. Streams and pages read again what they show of it; reconcilers act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An account was suspended, reinstated or made an administrator.
    Account,
    /// An app itself: its name, settings, existence.
    App,
    Build,
    /// A restart or stop of dynos was requested.
    Dyno,
    /// The observed state of a dyno: it has started, stopped or crashed. Wakes no reconciler.
    DynoState,
    Formation,
    Release,
    /// Permissions: those of the account, on what the team owns, or on the app that the change names.
    Rights,
    /// A session or token has ended: one of the account that the change names.
    Session,
    /// A slug was unpacked, or could not be.
    Slug,
    /// Messages may have been lost: anything may have changed.
    Anything,
}

/// The kinds of changes that an event with this action stands for. An action that is not listed is one of its app's, if
/// it has one.
pub(crate) fn of_action(action: &str, has_app: bool) -> &'static [Kind] {
    use Kind::{Account, App, Build, Dyno, Formation, Release, Rights, Session};
    let (noun, verb) = action.split_once('.').unwrap_or((action, ""));
    match (noun, verb) {
        // A rejected or unconfirmed action changes nothing.
        (_, "refuse" | "begin") => &[],
        ("build", _) => &[Build],
        ("release" | "config_vars", _) => &[Release],
        ("formation", _) => &[Formation],
        ("dyno", _) => &[Dyno],
        ("app", "transfer" | "lock") | ("app_transfer", "accept") | ("collaborator", _) => &[App, Rights],
        // Creating something ends no session and no permission.
        ("account" | "team" | "service_account" | "session" | "authorization", "create") => &[],
        ("service_account", "authorize") | ("consent", _) => &[],
        // Nor does renaming, for which everybody's streams would check their access.
        ("account", "rename") | ("team", "update") => &[],
        // A client has no rights of its own. When it is removed, the change publishes whose tokens end.
        ("oauth_client", _) => &[],
        ("account", _) => &[Account, Rights],
        ("team" | "team_member" | "service_account" | "identity" | "identity_provider", _) => &[Rights],
        ("team_invitation", "accept") => &[Rights],
        ("session" | "authorization" | "password", _) => &[Session],
        // Messages and their server change nothing of the app or team that they are about.
        ("mail" | "mail_server", _) => &[],
        _ if has_app => &[App],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stands_for_what_it_changes() {
        for (action, has_app, kinds) in [
            ("config_vars.update", true, &[Kind::Release] as &[_]),
            ("app.transfer", true, &[Kind::App, Kind::Rights]),
            ("app.lock", true, &[Kind::App, Kind::Rights]),
            ("app_transfer.accept", true, &[Kind::App, Kind::Rights]),
            ("collaborator.delete", true, &[Kind::App, Kind::Rights]),
            ("app.create", true, &[Kind::App]),
            ("app.delete", true, &[Kind::App]),
            ("build.push", true, &[Kind::Build]),
            ("build.fail", true, &[Kind::Build]),
            ("release.phase", true, &[Kind::Release]),
            ("dyno.restart", true, &[Kind::Dyno]),
            ("formation.update", true, &[Kind::Formation]),
            ("log_drain.create", true, &[Kind::App]),
            ("session.create", false, &[]),
            ("session.refuse", false, &[]),
            ("session.delete", false, &[Kind::Session]),
            ("authorization.create", false, &[]),
            ("authorization.rotate", false, &[Kind::Session]),
            ("authorization.refresh", false, &[Kind::Session]),
            ("authorization.delete", false, &[Kind::Session]),
            ("oauth_client.rotate", false, &[]),
            ("oauth_client.delete", false, &[]),
            ("password.update", false, &[Kind::Session]),
            ("password.begin", false, &[]),
            ("service_account.authorize", false, &[]),
            ("service_account.revoke", false, &[Kind::Rights]),
            ("identity.create", false, &[Kind::Rights]),
            ("identity.delete", false, &[Kind::Rights]),
            ("identity_provider.update", false, &[Kind::Rights]),
            ("team.update", false, &[]),
            ("team.delete", false, &[Kind::Rights]),
            ("team_member.delete", false, &[Kind::Rights]),
            ("team_invitation.create", false, &[]),
            ("team_invitation.accept", false, &[Kind::Rights]),
            ("account.suspend", false, &[Kind::Account, Kind::Rights]),
            ("account.update", false, &[Kind::Account, Kind::Rights]),
            ("account.delete", false, &[Kind::Account, Kind::Rights]),
            ("account.rename", false, &[]),
            ("quota.update", false, &[]),
            ("something.new", true, &[Kind::App]),
        ] {
            assert_eq!(of_action(action, has_app), kinds, "{action}");
        }
    }
}
