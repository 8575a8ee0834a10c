//! Scopes of tokens.

use api::ids::AppId;
use base::{Error, Result, routes::RequiredScope};
use chrono::{DateTime, Utc};

use crate::rights::{Can, Rights};

/// A scope, with Heroku's names (devcenter "OAuth", scopes); `deploy` is Wharf's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Global,
    Identity,
    Read,
    Write,
    ReadProtected,
    WriteProtected,
    Deploy,
}

/// The scope of deploy tokens.
pub const DEPLOY: &str = "deploy";

impl Scope {
    const ALL: [(&str, Self); 7] = [
        ("global", Self::Global),
        ("identity", Self::Identity),
        ("read", Self::Read),
        ("write", Self::Write),
        ("read-protected", Self::ReadProtected),
        ("write-protected", Self::WriteProtected),
        (DEPLOY, Self::Deploy),
    ];

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, scope)| scope)
    }

    fn covers(self, needs: RequiredScope) -> bool {
        use RequiredScope::{Deploy, Identity, Read, ReadDeploy, ReadProtected, Write, WriteProtected};
        match self {
            Self::Global => true,
            Self::Identity => needs == Identity,
            Self::Deploy => matches!(needs, Identity | ReadDeploy | Deploy),
            Self::Read => matches!(needs, Identity | ReadDeploy | Read),
            Self::ReadProtected => matches!(needs, Identity | ReadDeploy | Read | ReadProtected),
            Self::Write => matches!(needs, Identity | ReadDeploy | Read | Deploy | Write),
            Self::WriteProtected => {
                matches!(needs, Identity | ReadDeploy | Read | ReadProtected | Deploy | Write | WriteProtected)
            }
        }
    }
}

/// The scopes, each of them once; an error if one is unknown.
pub fn checked(scope: impl IntoIterator<Item = String>) -> Result<Vec<String>> {
    let mut known = Vec::new();
    for name in scope {
        if Scope::parse(&name).is_none() {
            let all = Scope::ALL.map(|(name, _)| name).join(", ");
            return Err(Error::invalid(format!("Scope {name:.100} does not exist. Known scopes: {all}.")));
        }
        if !known.contains(&name) {
            known.push(name);
        }
    }
    Ok(known)
}

/// The scope and expiry of a credential.
#[derive(Clone, Debug)]
pub struct CredentialScope {
    /// The scopes of a token; `None` for a session.
    scope: Option<Vec<String>>,
    /// The expiry of a token.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether the token belongs to an OAuth client that the account has authorized.
    pub is_oauth_client: bool,
    /// The apps that a token is limited to.
    apps: Option<Vec<AppId>>,
    /// The description of a token, for the audit log.
    pub description: Option<String>,
}

impl CredentialScope {
    /// For a session.
    pub fn session() -> Self {
        Self { scope: None, expires_at: None, is_oauth_client: false, apps: None, description: None }
    }

    /// For a token.
    pub fn token(row: &store::authorizations::Row) -> Self {
        Self {
            scope: Some(row.scope.clone()),
            expires_at: row.expires_at,
            is_oauth_client: row.client_id.is_some(),
            apps: row.apps.clone(),
            description: Some(row.description.clone()),
        }
    }

    fn covers(&self, needs: RequiredScope) -> bool {
        let known = |scope: &Vec<String>| scope.iter().filter_map(|s| Scope::parse(s)).any(|s| s.covers(needs));
        self.scope.as_ref().is_none_or(known)
    }

    /// Rejects what exceeds it.
    pub fn require(&self, needs: RequiredScope) -> Result<()> {
        if !self.covers(needs) {
            let scope = self.scope.as_deref().unwrap_or_default().join(", ");
            return Err(Error::forbidden(format!("The scope of this token ({scope}) is insufficient.")));
        }
        if matches!(needs, RequiredScope::Credential | RequiredScope::LastingCredential) && self.is_oauth_client {
            return Err(Error::forbidden(
                "This token was issued to an OAuth client, which cannot create, view or revoke other credentials of the account.",
            ));
        }
        if needs == RequiredScope::LastingCredential && self.expires_at.is_some() {
            return Err(Error::forbidden(
                "This token expires, so it cannot create or change anything that would outlive it. Sign in to the \
                 console, or use a token without an expiry.",
            ));
        }
        Ok(())
    }

    /// The rights on apps within the scope; a token has no others, whatever its owner has. Renaming, transferring and
    /// destroying what belongs to an account takes the scope `global`: a program that changes apps needs none of it.
    pub fn rights(&self) -> Rights {
        let parts = [
            (RequiredScope::Read, Rights::TO_SEE),
            // Reading the code requires the right to deploy it.
            (RequiredScope::Deploy, Rights::TO_DEPLOY),
            (RequiredScope::Write, Rights::ALL.without(Can::Manage)),
            (RequiredScope::Global, Rights::ALL),
        ];
        let covered = parts.into_iter().filter(|(needs, _)| self.covers(*needs));
        let rights = covered.fold(Rights::default(), |all, (_, rights)| all.or(rights));
        match self.covers(RequiredScope::ReadProtected) {
            true => rights,
            // What runs can read the config vars.
            false => rights.without(Can::Config).without(Can::Run),
        }
    }

    /// Like [`CredentialScope::rights`], on what is an app or part of one: a token that is limited to apps has none
    /// elsewhere.
    pub fn rights_on(&self, app: Option<AppId>) -> Rights {
        match &self.apps {
            Some(apps) if app.is_none_or(|app| !apps.contains(&app)) => Rights::default(),
            _ => self.rights(),
        }
    }

    /// Whether `scope` is within this one.
    pub fn contains(&self, scope: &[String]) -> bool {
        let Some(own) = &self.scope else { return true };
        own.iter().any(|own| own == "global") || scope.iter().all(|scope| own.contains(scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token with this scope.
    fn of(scope: &str) -> CredentialScope {
        CredentialScope { scope: Some(vec![scope.into()]), ..CredentialScope::session() }
    }

    #[test]
    fn a_token_reaches_as_far_as_its_scope() {
        let all = [
            RequiredScope::Identity,
            RequiredScope::Read,
            RequiredScope::ReadProtected,
            RequiredScope::Write,
            RequiredScope::WriteProtected,
            RequiredScope::Global,
            RequiredScope::Credential,
            RequiredScope::LastingCredential,
            RequiredScope::ReadDeploy,
            RequiredScope::Deploy,
        ];
        let covers = |scope: &str| {
            let scope = of(scope);
            all.map(|needs| if scope.require(needs).is_ok() { 'y' } else { '-' }).iter().collect::<String>()
        };
        for (scope, expected) in [
            ("global", "yyyyyyyyyy"),
            ("write-protected", "yyyyy---yy"),
            ("write", "yy-y----yy"),
            ("read-protected", "yyy-----y-"),
            ("read", "yy------y-"),
            ("deploy", "y-------yy"),
            ("identity", "y---------"),
            ("odd", "----------"),
        ] {
            assert_eq!(covers(scope), expected, "{scope}");
        }
    }

    #[test]
    fn scopes_are_known_and_each_is_there_once() {
        let checked = |names: &[&str]| checked(names.iter().map(|name| (*name).to_owned()));
        assert_eq!(checked(&["read", "global"].repeat(1000)).unwrap(), ["read", "global"]);
        assert!(checked(&["read", "odd"]).is_err());
    }

    #[test]
    fn keys_are_created_only_by_keys_at_least_as_powerful() {
        let may = |until: Option<DateTime<Utc>>, is_oauth_client| {
            let scope = CredentialScope { expires_at: until, is_oauth_client, ..of("global") };
            (scope.require(RequiredScope::Credential).is_ok(), scope.require(RequiredScope::LastingCredential).is_ok())
        };
        assert_eq!(may(None, false), (true, true));
        assert_eq!(may(Some(Utc::now()), false), (true, false));
        assert_eq!(may(None, true), (false, false));
        assert_eq!(may(Some(Utc::now()), true), (false, false));
        assert!(CredentialScope::session().require(RequiredScope::LastingCredential).is_ok());
    }

    #[test]
    fn a_scope_without_secrets_is_worth_no_right_to_secrets() {
        let rights = |scope: &str| of(scope).rights();
        assert_eq!(rights("global"), Rights::ALL);
        assert_eq!(CredentialScope::session().rights(), Rights::ALL);
        assert_eq!(rights("write-protected"), Rights::ALL.without(Can::Manage));
        assert_eq!(rights("read-protected"), Rights::TO_SEE);
        assert_eq!(rights("read"), Rights::TO_SEE.without(Can::Config));
        assert!(!rights("read").has(Can::Deploy));
        assert_eq!(rights("write"), Rights::ALL.without(Can::Config).without(Can::Manage).without(Can::Run));
        assert!(rights("write-protected").has(Can::Run));
        assert_eq!(rights("deploy").names(), ["view", "logs", "deploy"]);
        assert_eq!(rights("identity"), Rights::default());
    }

    #[test]
    fn a_token_of_some_apps_is_worth_nothing_elsewhere() {
        let (own, other) = (AppId::from_u128(1), AppId::from_u128(2));
        let limited = CredentialScope { apps: Some(vec![own]), ..of("deploy") };
        assert_eq!(limited.rights_on(Some(own)), of("deploy").rights());
        assert_eq!(limited.rights_on(Some(other)), Rights::default());
        assert_eq!(limited.rights_on(None), Rights::default());
        let gone = CredentialScope { apps: Some(Vec::new()), ..of("deploy") };
        assert_eq!(gone.rights_on(Some(own)), Rights::default());
        assert_eq!(of("deploy").rights_on(Some(other)), of("deploy").rights());
    }
}
