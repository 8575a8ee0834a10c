//! Routes: what each one needs of whoever asks, beside its handler.
//!
//! A route is registered with [`Needs`], and in no other way: [`Routes`] takes no handler without
//! them, and who asks cannot be found out on a route that says nothing. So a new route cannot be open to
//! a token that nobody thought of.

use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    routing::{MethodFilter, MethodRouter},
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

/// One entry of the list of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub method: &'static str,
    pub path: String,
    pub needs: Needs,
}

/// Handlers of one path, each with what it needs.
pub struct Methods<S> {
    handlers: MethodRouter<S>,
    needs: Vec<(&'static str, Needs)>,
}

macro_rules! methods {
    ($($call:ident $filter:ident $name:literal;)*) => {
        $(
            pub fn $call<H, T, S>(needs: Needs, handler: H) -> Methods<S>
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
                pub fn $call<H: Handler<T, S>, T: 'static>(mut self, needs: Needs, handler: H) -> Self {
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
    /// Adds a path. What is called `{secret}` in it is not written to any log.
    pub fn route(mut self, path: &str, methods: Methods<S>) -> Self {
        let of_path = |(method, needs): &(&'static str, Needs)| Route { method, path: path.into(), needs: *needs };
        self.list.extend(methods.needs.iter().map(of_path));
        self.router = self.router.route(path, methods.handlers);
        self
    }

    /// What answers where there is no route.
    pub fn fallback<H: Handler<T, S>, T: 'static>(mut self, needs: Needs, handler: H) -> Self {
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

    /// Gives the handlers their state, so that the routes can be merged with those of another area.
    pub fn with_state<Other>(self, state: S) -> Routes<Other> {
        Routes { router: self.router.with_state(state), list: self.list }
    }

    /// What there is.
    pub fn list(self) -> Vec<Route> {
        self.list
    }

    /// The router, to be put behind layers.
    pub fn into_router(self) -> Router<S> {
        self.router
    }
}
