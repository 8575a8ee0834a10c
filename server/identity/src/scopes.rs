//! Scopes of tokens.

use base::{Error, Result, routes::RequiredScope};
use chrono::{DateTime, Utc};

use crate::rights::{Can, Rights};

/// A scope, with Heroku's names (devcenter "OAuth", scopes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Global,
    Identity,
    Read,
    Write,
    ReadProtected,
    WriteProtected,
}

impl Scope {
    const ALL: [(&str, Self); 6] = [
        ("global", Self::Global),
        ("identity", Self::Identity),
        ("read", Self::Read),
        ("write", Self::Write),
        ("read-protected", Self::ReadProtected),
        ("write-protected", Self::WriteProtected),
    ];

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, scope)| scope)
    }

    fn covers(self, needs: RequiredScope) -> bool {
        match self {
            Self::Global => true,
            Self::Identity => matches!(needs, RequiredScope::Identity),
            Self::Read => matches!(needs, RequiredScope::Identity | RequiredScope::Read),
            Self::Write => matches!(needs, RequiredScope::Identity | RequiredScope::Read | RequiredScope::Write),
            Self::ReadProtected => {
                matches!(needs, RequiredScope::Identity | RequiredScope::Read | RequiredScope::ReadProtected)
            }
            Self::WriteProtected => matches!(
                needs,
                RequiredScope::Identity
                    | RequiredScope::Read
                    | RequiredScope::ReadProtected
                    | RequiredScope::Write
                    | RequiredScope::WriteProtected
            ),
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
}

impl CredentialScope {
    /// For a session.
    pub fn session() -> Self {
        Self { scope: None, expires_at: None, is_oauth_client: false }
    }

    /// For a token.
    pub fn token(row: &store::authorizations::Row) -> Self {
        Self { scope: Some(row.scope.clone()), expires_at: row.expires_at, is_oauth_client: row.client_id.is_some() }
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

    /// The rights on apps within the scope; a token has no others, regardless of its owner's.
    pub fn rights(&self) -> Rights {
        let rights = match (self.covers(RequiredScope::Write), self.covers(RequiredScope::Read)) {
            (true, _) => Rights::ALL,
            // Reading the code requires the right to deploy it.
            (false, true) => Rights::TO_SEE,
            (false, false) => Rights::default(),
        };
        if self.covers(RequiredScope::ReadProtected) { rights } else { rights.without(Can::Config) }
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
        ];
        let covers = |scope: &str| {
            let scope = CredentialScope { scope: Some(vec![scope.into()]), expires_at: None, is_oauth_client: false };
            all.map(|needs| if scope.require(needs).is_ok() { 'y' } else { '-' }).iter().collect::<String>()
        };
        let found = ["global", "write-protected", "write", "read-protected", "read", "identity", "odd"].map(covers);
        assert_eq!(found, ["yyyyyyyy", "yyyyy---", "yy-y----", "yyy-----", "yy------", "y-------", "--------"]);
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
            let scope = CredentialScope { scope: Some(vec!["global".into()]), expires_at: until, is_oauth_client };
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
        let rights = |scope: &str| {
            CredentialScope { scope: Some(vec![scope.into()]), expires_at: None, is_oauth_client: false }.rights()
        };
        assert_eq!([rights("global"), rights("write-protected")], [Rights::ALL; 2]);
        assert_eq!(rights("read-protected"), Rights::TO_SEE);
        assert_eq!(rights("read"), Rights::TO_SEE.without(Can::Config));
        assert!(!rights("read").has(Can::Deploy));
        assert!(!rights("write").has(Can::Config) && rights("write").has(Can::Manage));
        assert_eq!(rights("identity"), Rights::default());
    }
}
