//! Routes: handlers with the token scope that each one requires.
//!
//! A route cannot be registered without a [`RequiredScope`], and a client cannot be authenticated on a route without
//! one. So a new route is never accessible to a token by oversight.

use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    routing::{MethodFilter, MethodRouter},
};

/// The scope that a route requires of a token. A session of the console has every scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredScope {
    /// None: it is public, or protected by a secret in its path or body.
    Nothing,
    /// Any token: the account that it belongs to.
    Identity,
    /// Reading, without the values of config vars.
    Read,
    /// Reading what a deployment needs: the app, its builds, releases and dynos.
    ReadDeploy,
    /// Reading, with the values of config vars.
    ReadProtected,
    /// Deploying: code, builds and releases.
    Deploy,
    /// Writing, without config vars.
    Write,
    /// Writing, with config vars.
    WriteProtected,
    /// Everything that the account can do, including access for others, and settings of the account and the platform.
    Global,
    /// Creating or seeing a credential of the account that can do no more than the one in use.
    Credential,
    /// Creating, seeing or ending a credential without an expiry, such as a session: not with an expiring token.
    LastingCredential,
}

impl RequiredScope {
    /// The name in `PERMISSIONS.md`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "open",
            Self::Identity => "identity",
            Self::Read => "read",
            Self::ReadDeploy => "read or deploy",
            Self::ReadProtected => "read-protected",
            Self::Deploy => "write or deploy",
            Self::Write => "write",
            Self::WriteProtected => "write-protected",
            Self::Global => "global",
            Self::Credential => "credential",
            Self::LastingCredential => "lasting credential",
        }
    }
}

/// One entry of the list of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub method: &'static str,
    pub path: String,
    pub needs: RequiredScope,
}

/// The handlers of one path, each with its required scope.
pub struct Methods<S> {
    handlers: MethodRouter<S>,
    needs: Vec<(&'static str, RequiredScope)>,
}

macro_rules! methods {
    ($($call:ident $filter:ident $name:literal;)*) => {
        $(
            pub fn $call<H, T, S>(needs: RequiredScope, handler: H) -> Methods<S>
            where
                H: Handler<T, S>,
                T: 'static,
                S: Clone + Send + Sync + 'static,
            {
                Methods { handlers: MethodRouter::new(), needs: Vec::new() }.$call(needs, handler)
            }
        )*
        impl<S: Clone + Send + Sync + 'static> Methods<S> {
            $(
                pub fn $call<H: Handler<T, S>, T: 'static>(mut self, needs: RequiredScope, handler: H) -> Self {
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
pub struct Routes<S> {
    router: Router<S>,
    list: Vec<Route>,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self { router: Router::new(), list: Vec::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// Adds a path. A part named `{secret}` is not logged.
    pub fn route(mut self, path: &str, methods: Methods<S>) -> Self {
        let of_path =
            |(method, needs): &(&'static str, RequiredScope)| Route { method, path: path.into(), needs: *needs };
        self.list.extend(methods.needs.iter().map(of_path));
        self.router = self.router.route(path, methods.handlers);
        self
    }

    /// Sets the handler for paths without a route.
    pub fn fallback<H: Handler<T, S>, T: 'static>(mut self, needs: RequiredScope, handler: H) -> Self {
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

    /// Sets the size limit of bodies.
    pub fn limit(mut self, limit: DefaultBodyLimit) -> Self {
        self.router = self.router.layer(limit);
        self
    }

    /// Gives the handlers their state, so that the routes can be merged with those of another area.
    pub fn with_state<Other>(self, state: S) -> Routes<Other> {
        Routes { router: self.router.with_state(state), list: self.list }
    }

    /// Keeps only the list.
    pub fn without_handlers<Other>(self) -> Routes<Other>
    where
        Other: Clone + Send + Sync + 'static,
    {
        Routes { router: Router::new(), list: self.list }
    }

    /// All routes.
    pub fn list(self) -> Vec<Route> {
        self.list
    }

    /// The router, for adding layers.
    pub fn into_router(self) -> Router<S> {
        self.router
    }
}
