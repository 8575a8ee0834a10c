//! Subjects of events: the kinds of things that are changed.

/// Defines the kinds from one line each, with their names in the API.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// The kind of the subject of an event. Events of a newer server may have others.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum SubjectKind {
            $($(#[$doc])* $kind,)*
        }

        impl SubjectKind {
            /// All of them, sorted by name.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The name in the API and in the audit log.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// An account, and what belongs to it: sessions, tokens, identities, a password.
    Account = "account",
    /// An app, and everything in it that has no kind of its own.
    App = "app",
    /// The audit log itself. Without id.
    AuditLog = "audit_log",
    /// A backup of the platform.
    Backup = "backup",
    /// A build of an app.
    Build = "build",
    /// The network address of a client from which nobody has signed in. Without id.
    ClientAddress = "client_address",
    /// A provider through which people sign in. Without id if the sign-in was refused.
    IdentityProvider = "identity_provider",
    /// A job of the platform.
    Job = "job",
    /// A third-party program that acts on behalf of users.
    OauthClient = "oauth_client",
    /// A release of an app.
    Release = "release",
    /// A schedule of the platform.
    Schedule = "schedule",
    /// A setting of the platform. Without id.
    Setting = "setting",
    /// A way to sign in without a provider: a password, a link. Without id.
    SignIn = "sign_in",
    /// A team, and what belongs to it: members, invitations, service accounts.
    Team = "team",
}

impl SubjectKind {
    /// The kind with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_different_names_in_order() {
        let names: Vec<_> = SubjectKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        assert!(SubjectKind::ALL.iter().all(|kind| SubjectKind::parse(kind.as_str()) == Some(*kind)));
        assert_eq!(SubjectKind::parse("odd"), None);
    }
}
