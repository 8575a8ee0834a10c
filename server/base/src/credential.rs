//! The credential of a request: a token or a session.

use uuid::Uuid;

/// The credential that authenticates a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// An API token.
    Token(Uuid),
    /// A browser session.
    Session(Uuid),
}

impl Credential {
    /// The id of the token or session.
    pub fn id(self) -> Uuid {
        match self {
            Self::Token(id) | Self::Session(id) => id,
        }
    }

    /// The id of the token, if it is one.
    pub fn token(self) -> Option<Uuid> {
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
