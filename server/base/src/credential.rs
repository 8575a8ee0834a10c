//! The credential of a request: a token or a session.

use api::ids::{AuthorizationId, SessionId};
use uuid::Uuid;

/// The credential that authenticates a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// An API token.
    Token(AuthorizationId),
    /// A browser session.
    Session(SessionId),
}

impl Credential {
    /// The id of the token or session.
    pub fn id(self) -> Uuid {
        match self {
            Self::Token(id) => id.get(),
            Self::Session(id) => id.get(),
        }
    }

    /// The id of the token, if it is one.
    pub fn token(self) -> Option<AuthorizationId> {
        match self {
            Self::Token(id) => Some(id),
            Self::Session(_) => None,
        }
    }
}

impl std::fmt::Display for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(id) => write!(f, "token {id}"),
            Self::Session(id) => write!(f, "session {id}"),
        }
    }
}
