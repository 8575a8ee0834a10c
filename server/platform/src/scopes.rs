//! Scopes: how far a token reaches, and what each route asks of it.
//!
//! A route is registered with [`Needs`] beside its handler, and in no other way: [`Routes`] takes no handler without
//! them, and an [`Actor`](crate::Actor) cannot be had on a route that says nothing. So a new route cannot be open to
//! a token that nobody thought of.

use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    routing::{MethodFilter, MethodRouter},
};
use chrono::{DateTime, Utc};

use crate::{
    Platform,
    error::{Error, Result},
    rights::{Can, Rights},
};

/// What a route asks of a token. A session of the console has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it is open, or opens for a secret in its path or body.
    Nothing,
    /// Any token: who it speaks for.
    Identity,
    /// To see things, but for the values of config vars.
    Read,
    /// To see the values of config vars.
    ReadProtected,
    /// To change things, but for config vars.
    Write,
    /// To change config vars.
    WriteProtected,
    /// Everything that the account may do: who else is let in, what the account and the platform are like.
    Global,
    /// To make or see a key to the account, which may be no better than the one that is used.
    Key,
    /// To make, see or end a key that lasts, such as a session: not by a token that does not.
    LastingKey,
}

impl Needs {
    /// How `PERMISSIONS.md` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "open",
            Self::Identity => "identity",
            Self::Read => "read",
            Self::ReadProtected => "read-protected",
            Self::Write => "write",
            Self::WriteProtected => "write-protected",
            Self::Global => "global",
            Self::Key => "key",
            Self::LastingKey => "lasting key",
        }
    }
}

/// A scope, as Heroku names them (devcenter "OAuth", scopes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
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

/// Refuses scopes that do not exist.
pub(crate) fn check(scope: &[String]) -> Result<()> {
    match scope.iter().find(|name| Scope::parse(name).is_none()) {
        None => Ok(()),
        Some(odd) => {
            let known = Scope::ALL.map(|(name, _)| name).join(", ");
            Err(Error::invalid(format!("Scope {odd:.100} does not exist. Known scopes: {known}.")))
        }
    }
}

/// How far what somebody proved themselves with reaches.
#[derive(Clone, Debug)]
pub struct Reach {
    /// Of a token; a session has none.
    scope: Option<Vec<String>>,
    /// When it ends by itself, for a token that does.
    pub(crate) until: Option<DateTime<Utc>>,
    /// Whether a program of others' has the token, which the account let act for it.
    pub(crate) is_clients: bool,
}

impl Reach {
    /// Of a person who signed in.
    pub(crate) fn session() -> Self {
        Self { scope: None, until: None, is_clients: false }
    }

    /// Of a token.
    pub(crate) fn token(row: &store::authorizations::Row) -> Self {
        Self { scope: Some(row.scope.clone()), until: row.expires_at, is_clients: row.client_id.is_some() }
    }

    fn reaches(&self, needs: Needs) -> bool {
        let known = |scope: &Vec<String>| scope.iter().filter_map(|s| Scope::parse(s)).any(|s| s.reaches(needs));
        self.scope.as_ref().is_none_or(known)
    }

    /// Refuses what goes further.
    pub(crate) fn must(&self, needs: Needs) -> Result<()> {
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

    /// The rights on apps that are within it: what somebody has besides, the token does not.
    pub(crate) fn rights(&self) -> Rights {
        let rights = match (self.reaches(Needs::Write), self.reaches(Needs::Read)) {
            (true, _) => Rights::ALL,
            // Code is read by whoever may deploy it.
            (false, true) => Rights::TO_SEE,
            (false, false) => Rights::default(),
        };
        if self.reaches(Needs::ReadProtected) { rights } else { rights.without(Can::Config) }
    }

    /// Whether `scope` reaches no further than this does.
    pub(crate) fn contains(&self, scope: &[String]) -> bool {
        let Some(own) = &self.scope else { return true };
        own.iter().any(|own| own == "global") || scope.iter().all(|scope| own.contains(scope))
    }
}

/// One entry of the list of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub method: &'static str,
    pub path: String,
    pub needs: Needs,
}

/// Handlers of one path, each with what it needs.
pub(crate) struct Methods {
    handlers: MethodRouter<Platform>,
    needs: Vec<(&'static str, Needs)>,
}

macro_rules! methods {
    ($($call:ident $filter:ident $name:literal;)*) => {
        $(
            #[allow(dead_code, reason = "no path begins with a PUT yet")]
            pub(crate) fn $call<H: Handler<T, Platform>, T: 'static>(needs: Needs, handler: H) -> Methods {
                Methods { handlers: MethodRouter::new(), needs: Vec::new() }.$call(needs, handler)
            }
        )*
        impl Methods {
            $(
                pub(crate) fn $call<H: Handler<T, Platform>, T: 'static>(mut self, needs: Needs, handler: H) -> Self {
                    self.needs.push(($name, needs));
                    self.handlers = self.handlers.on(MethodFilter::$filter, handler.layer(Extension(needs)));
                    self
                }
            )*
        }
    };
}

methods! {
    get GET "GET";
    post POST "POST";
    put PUT "PUT";
    patch PATCH "PATCH";
    delete DELETE "DELETE";
}

/// A list of routes that is also a router.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<Platform>,
    list: Vec<Route>,
}

impl Routes {
    /// Adds a path. What is called `{secret}` in it is not written to any log.
    pub fn route(mut self, path: &str, methods: Methods) -> Self {
        let of_path = |(method, needs): &(&'static str, Needs)| Route { method, path: path.into(), needs: *needs };
        self.list.extend(methods.needs.iter().map(of_path));
        self.router = self.router.route(path, methods.handlers);
        self
    }

    /// What answers where there is no route.
    pub fn fallback<H: Handler<T, Platform>, T: 'static>(mut self, needs: Needs, handler: H) -> Self {
        self.router = self.router.fallback(handler.layer(Extension(needs)));
        self
    }

    /// Adds the routes of `other`, each behind `prefix`.
    pub fn nest(mut self, prefix: &str, other: Self) -> Self {
        let behind = |route: Route| Route { path: format!("{prefix}{}", route.path.trim_end_matches('/')), ..route };
        self.list.extend(other.list.into_iter().map(behind));
        self.router = self.router.nest(prefix, other.router);
        self
    }

    /// Adds the routes of `other`.
    pub fn merge(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        self.router = self.router.merge(other.router);
        self
    }

    /// Says how large bodies may be.
    pub fn limit(mut self, limit: DefaultBodyLimit) -> Self {
        self.router = self.router.layer(limit);
        self
    }

    /// What there is.
    pub fn list(self) -> Vec<Route> {
        self.list
    }

    /// The router, to be put behind layers.
    pub fn into_router(self) -> Router<Platform> {
        self.router
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
