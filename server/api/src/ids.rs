//! Typed ids and names, parsed once.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "sql", derive(sqlx::Type), sqlx(transparent))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The UUID itself, for where any kind of id can stand.
            pub const fn get(self) -> Uuid {
                self.0
            }

            /// The id of nothing: all zeros.
            pub const fn nil() -> Self {
                Self(Uuid::nil())
            }

            /// A fixed id, for tests and examples.
            pub const fn from_u128(id: u128) -> Self {
                Self(Uuid::from_u128(id))
            }

            /// A new id, which sorts after earlier ones.
            #[cfg(feature = "new")]
            pub fn now_v7() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// Permanently identifies an account.
    AccountId,
    /// Permanently identifies an app; its name may change.
    AppId,
    /// Identifies an app transfer.
    AppTransferId,
    /// Identifies an authorization, that is, an API token.
    AuthorizationId,
    /// Identifies a backup of the platform.
    BackupId,
    /// Identifies a build.
    BuildId,
    /// Identifies an account's access to an app.
    CollaboratorId,
    /// Identifies a set of config vars, which never changes.
    ConfigSetId,
    /// Identifies a dyno, across its restarts.
    DynoId,
    /// Identifies a process type of an app.
    FormationId,
    /// Identifies an identity at a provider, linked to an account.
    IdentityId,
    /// Identifies a pending identity.
    IdentityProposalId,
    /// Identifies an identity provider.
    IdentityProviderId,
    /// Identifies a rule of an identity provider.
    IdentityRuleId,
    /// Identifies a job.
    JobId,
    /// Identifies the lease of a job by one worker.
    LeaseId,
    /// Identifies a log drain.
    LogDrainId,
    /// Identifies a log session.
    LogSessionId,
    /// Identifies a message about an invitation.
    MailId,
    /// Identifies an OAuth client.
    OauthClientId,
    /// Identifies an authorization code of an OAuth client.
    OauthCodeId,
    /// Identifies a password; changing the password keeps it.
    PasswordId,
    /// Identifies a push in progress.
    PushId,
    /// Identifies a quota of an owner.
    QuotaId,
    /// Identifies a recovery code of a password.
    RecoveryCodeId,
    /// Identifies a release.
    ReleaseId,
    /// Identifies a sandboxed process: one run of a dyno, of a build or of a release phase.
    RunId,
    /// Identifies a schedule.
    ScheduleId,
    /// Identifies a server of the installation, across its restarts.
    ServerId,
    /// Identifies a console session.
    SessionId,
    /// Identifies a sign-in attempt at a provider.
    SignInAttemptId,
    /// Identifies a one-time sign-in link.
    SignInLinkId,
    /// Identifies a slug.
    SlugId,
    /// Identifies an uploaded source archive.
    SourceId,
    /// Permanently identifies a team; its name may change.
    TeamId,
    /// Identifies an invitation to a team.
    TeamInvitationId,
    /// Identifies an account's membership of a team.
    TeamMemberId,
    /// Identifies one attempt to upload an archive.
    UploadId,
}

/// A build runs as one process, which has its id.
impl From<BuildId> for RunId {
    fn from(build: BuildId) -> Self {
        Self(build.0)
    }
}

/// A release phase runs as one process, which has the id of the release.
impl From<ReleaseId> for RunId {
    fn from(release: ReleaseId) -> Self {
        Self(release.0)
    }
}

/// The name of an app: 3 to 30 lower-case letters, digits and dashes, starting with a letter and not ending
/// with a dash. It becomes a host name, so it is validated here, once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppName(String);

/// Names reserved for hosts or directories of the platform.
const RESERVED: [&str; 14] = [
    "admin",
    "api",
    "app",
    "apps",
    "console",
    "ftp",
    "git",
    "localhost",
    "login",
    "mail",
    "registry",
    "status",
    "wharf",
    "www",
];

impl AppName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AppName {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let letters = s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let starts = s.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if !(3..=30).contains(&s.len()) {
            return Err("Name is too short or too long: use 3 to 30 characters.".into());
        }
        if !letters || !starts || s.ends_with('-') {
            return Err("Name must start with a letter, end with a letter or digit and can only contain \
                        lowercase letters, digits, and dashes."
                .into());
        }
        // Browsers display such names in other scripts, some of whose letters look like Latin ones.
        if s.starts_with("xn--") {
            return Err("Name must not start with xn--, the prefix of internationalized host names.".into());
        }
        if RESERVED.contains(&s) {
            return Err(format!("Name {s} is reserved by the platform. Choose another one."));
        }
        Ok(Self(s.into()))
    }
}

impl TryFrom<String> for AppName {
    type Error = String;

    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

impl From<AppName> for String {
    fn from(name: AppName) -> Self {
        name.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_names_are_host_names() {
        for good in ["abc", "dusk-1234", "a1b"] {
            assert_eq!(good.parse::<AppName>().map(|n| n.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "ab", "Abc", "1abc", "abc-", "a_b", "a.b", "www", &"a".repeat(31)] {
            assert!(bad.parse::<AppName>().is_err(), "{bad}");
        }
    }
}
