//! Scopes of tokens.

use base::{Error, Result, routes::Needs};
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

    fn reaches(self, needs: Needs) -> bool {
        match self {
            Self::Global => true,
            Self::Identity => matches!(needs, Needs::Identity),
            Self::Read => matches!(needs, Needs::Identity | Needs::Read),
            Self::Write => matches!(needs, Needs::Identity | Needs::Read | Needs::Write),
            Self::ReadProtected => matches!(needs, Needs::Identity | Needs::Read | Needs::ReadProtected),
            Self::WriteProtected => matches!(
                needs,
                Needs::Identity | Needs::Read | Needs::ReadProtected | Needs::Write | Needs::WriteProtected
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

/// What a credential can be used for.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The scopes of a token; `None` for a session.
    scope: Option<Vec<String>>,
    /// The expiry of a token.
    pub until: Option<DateTime<Utc>>,
    /// Whether the token belongs to an OAuth client that the account has authorized.
    pub is_clients: bool,
}

impl Reach {
    /// For a session.
    pub fn session() -> Self {
        Self { scope: None, until: None, is_clients: false }
    }

    /// For a token.
    pub fn token(row: &store::authorizations::Row) -> Self {
        Self { scope: Some(row.scope.clone()), until: row.expires_at, is_clients: row.client_id.is_some() }
    }

    fn reaches(&self, needs: Needs) -> bool {
        let known = |scope: &Vec<String>| scope.iter().filter_map(|s| Scope::parse(s)).any(|s| s.reaches(needs));
        self.scope.as_ref().is_none_or(known)
    }

    /// Rejects what exceeds it.
    pub fn must(&self, needs: Needs) -> Result<()> {
        if !self.reaches(needs) {
            let scope = self.scope.as_deref().unwrap_or_default().join(", ");
            return Err(Error::forbidden(format!("The scope of this token ({scope}) is insufficient.")));
        }
        if matches!(needs, Needs::Key | Needs::LastingKey) && self.is_clients {
            return Err(Error::forbidden(
                "This token was issued to an OAuth client, which cannot create, view or revoke other credentials of the account.",
            ));
        }
        if needs == Needs::LastingKey && self.until.is_some() {
            return Err(Error::forbidden(
                "This token expires, so it cannot create or change anything that would outlive it. Sign in to the \
                 console, or use a token without an expiry.",
            ));
        }
        Ok(())
    }

    /// The rights on apps within the scope; a token has no others, whatever its owner has.
    pub fn rights(&self) -> Rights {
        let rights = match (self.reaches(Needs::Write), self.reaches(Needs::Read)) {
            (true, _) => Rights::ALL,
            // Code is read by whoever may deploy it.
            (false, true) => Rights::TO_SEE,
            (false, false) => Rights::default(),
        };
        if self.reaches(Needs::ReadProtected) { rights } else { rights.without(Can::Config) }
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
            Needs::Identity,
            Needs::Read,
            Needs::ReadProtected,
            Needs::Write,
            Needs::WriteProtected,
            Needs::Global,
            Needs::Key,
            Needs::LastingKey,
        ];
        let reaches = |scope: &str| {
            let reach = Reach { scope: Some(vec![scope.into()]), until: None, is_clients: false };
            all.map(|needs| if reach.must(needs).is_ok() { 'y' } else { '-' }).iter().collect::<String>()
        };
        let found = ["global", "write-protected", "write", "read-protected", "read", "identity", "odd"].map(reaches);
        assert_eq!(found, ["yyyyyyyy", "yyyyy---", "yy-y----", "yyy-----", "yy------", "y-------", "--------"]);
    }

    #[test]
    fn scopes_are_known_and_each_is_there_once() {
        let checked = |names: &[&str]| checked(names.iter().map(|name| (*name).to_owned()));
        assert_eq!(checked(&["read", "global"].repeat(1000)).unwrap(), ["read", "global"]);
        assert!(checked(&["read", "odd"]).is_err());
    }

    #[test]
    fn keys_are_made_by_what_is_no_worse() {
        let may = |until: Option<DateTime<Utc>>, is_clients| {
            let reach = Reach { scope: Some(vec!["global".into()]), until, is_clients };
            (reach.must(Needs::Key).is_ok(), reach.must(Needs::LastingKey).is_ok())
        };
        assert_eq!(may(None, false), (true, true));
        assert_eq!(may(Some(Utc::now()), false), (true, false));
        assert_eq!(may(None, true), (false, false));
        assert_eq!(may(Some(Utc::now()), true), (false, false));
        assert!(Reach::session().must(Needs::LastingKey).is_ok());
    }

    #[test]
    fn a_scope_without_secrets_is_worth_no_right_to_secrets() {
        let rights = |scope: &str| Reach { scope: Some(vec![scope.into()]), until: None, is_clients: false }.rights();
        assert_eq!([rights("global"), rights("write-protected")], [Rights::ALL; 2]);
        assert_eq!(rights("read-protected"), Rights::TO_SEE);
        assert_eq!(rights("read"), Rights::TO_SEE.without(Can::Config));
        assert!(!rights("read").has(Can::Deploy));
        assert!(!rights("write").has(Can::Config) && rights("write").has(Can::Manage));
        assert_eq!(rights("identity"), Rights::default());
    }
}
