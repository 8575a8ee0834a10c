//! Errors, and the messages that are not about a single noun's input.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

/// An error for the client, or an internal one, which is logged and not shown.
#[derive(Debug)]
pub enum Error {
    /// Shown to the client as it is.
    Public(api::Error),
    /// Internal: logged with the request ID, which is all that the client gets.
    Internal(anyhow::Error),
}

/// What routes and rules return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    fn public(status: StatusCode, id: &str, message: impl Into<String>) -> Self {
        Self::Public(api::Error::new(status.as_u16(), id, message))
    }

    /// 400: the request cannot be read.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::public(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// 401: not authenticated.
    pub fn unauthorized() -> Self {
        Self::public(StatusCode::UNAUTHORIZED, "unauthorized", "Invalid credentials provided.")
    }

    /// 403: known, visible, but not allowed.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::public(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 404, also if the client must not learn that it exists. `resource` is its kind.
    pub fn not_found(resource: &str, message: impl Into<String>) -> Self {
        let mut error = api::Error::new(404, "not_found", message);
        error.resource = Some(resource.into());
        Self::Public(error)
    }

    /// 404: the app does not exist or is not visible.
    pub fn no_app() -> Self {
        Self::not_found("app", "Couldn't find that app.")
    }

    /// 404: the team does not exist or is not visible.
    pub fn no_team() -> Self {
        Self::not_found("team", "Couldn't find that team.")
    }

    /// 416: the range has an invalid bound.
    pub fn no_such_range(place: &str, fields: &str) -> Self {
        let message = format!(
            "The Range header starts or ends at {place:.100?}, which is not a valid position in this list. Use the \
             Next-Range of the previous response unchanged, or order by one of {fields}."
        );
        Self::public(StatusCode::RANGE_NOT_SATISFIABLE, "requested_range_not_satisfiable", message)
    }

    /// 422: the quota of an account or team is exceeded.
    pub fn quota(message: impl Into<String>) -> Self {
        Self::public(StatusCode::UNPROCESSABLE_ENTITY, "quota_reached", message)
    }

    /// 422: the response would be too expensive.
    pub fn too_much(message: impl Into<String>) -> Self {
        Self::public(StatusCode::UNPROCESSABLE_ENTITY, "too_much", message)
    }

    /// 409: the state of the resource does not allow this.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::public(StatusCode::CONFLICT, "conflict", message)
    }

    /// 410: it no longer exists.
    pub fn gone(message: impl Into<String>) -> Self {
        Self::public(StatusCode::GONE, "gone", message)
    }

    /// 422: the request is well-formed, but not valid.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::public(StatusCode::UNPROCESSABLE_ENTITY, "invalid_params", message)
    }

    /// 429: too many requests with this token.
    pub fn rate_limit() -> Self {
        Self::public(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit",
            "Your account reached the API limit. Please wait a few minutes before making new requests",
        )
    }
}

/// Whether the cause is a full disk.
///
/// Recognized by the message, since it can come from Postgres, from git, or from the file system.
pub fn is_disk_full(err: &anyhow::Error) -> bool {
    let text = format!("{err:#}");
    ["No space left on device", "Disk quota exceeded"].iter().any(|words| text.contains(words))
}

/// The error of a worker, if that is the cause.
pub fn of_worker(err: &anyhow::Error) -> Option<&worker::Error> {
    err.chain().find_map(|cause| cause.downcast_ref())
}

/// Whether the cause is a worker that was killed because the machine, or everything on it together, was out of memory:
/// a retry may succeed.
pub fn is_crowded(err: &anyhow::Error) -> bool {
    use worker::Error::{Crowded, Died, Lost};
    matches!(of_worker(err), Some(Crowded | Lost | Died { signal: SIGKILL }))
}

/// Sent by the kernel or an administrator of the machine.
const SIGKILL: i32 = 9;

/// The limit of a worker that its input exceeded, if that is the cause.
pub fn too_much(err: &anyhow::Error) -> Option<&worker::Error> {
    of_worker(err).filter(|err| err.is_too_much())
}

/// Whether the cause is an unreachable database.
pub fn is_database_gone(err: &anyhow::Error) -> bool {
    use sqlx::Error::{Io, PoolClosed, PoolTimedOut, WorkerCrashed};
    let mut causes = err.chain().filter_map(|cause| cause.downcast_ref());
    causes.any(|cause| matches!(cause, PoolTimedOut | PoolClosed | WorkerCrashed | Io(_)))
}

/// Whether the cause is a conflict with a concurrent transaction, or a timeout of waiting for a lock or holding one: a
/// retry may succeed.
pub fn is_contended(err: &anyhow::Error) -> bool {
    // serialization_failure, deadlock_detected, lock_not_available, idle_in_transaction_session_timeout
    let codes = ["40001", "40P01", "55P03", "25P03"];
    let mut causes = err.chain().filter_map(|cause| cause.downcast_ref::<sqlx::Error>());
    causes.any(|cause| {
        cause.as_database_error().and_then(|e| e.code()).is_some_and(|code| codes.contains(&code.as_ref()))
    })
}

impl Error {
    /// 429: too many rejected credentials from this address; further ones are not checked for a while.
    pub fn too_many_refused() -> Self {
        let message = "Too many invalid credentials from your address. Try again later.";
        Self::public(StatusCode::TOO_MANY_REQUESTS, "rate_limit", message)
    }
}

impl Error {
    /// 429: too many attempts at something else.
    pub fn too_many_tries(message: &str) -> Self {
        Self::public(StatusCode::TOO_MANY_REQUESTS, "rate_limit", message)
    }

    /// 429: too many password checks in progress.
    pub fn too_many_at_once() -> Self {
        Self::too_many_tries("The platform is busy with other sign-ins. Try again in a moment.")
    }

    /// 401: the same message for every cause.
    pub fn wrong_password() -> Self {
        let message = "Wrong email address, password or code. Each code works once: if you have just used one, wait for the next.";
        Self::public(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }
}

impl From<sqlx::Error> for Error {
    fn from(err: sqlx::Error) -> Self {
        Self::Internal(anyhow::Error::new(err).context("use the database"))
    }
}

impl From<anyhow::Error> for Error {
    fn from(err: anyhow::Error) -> Self {
        Self::Internal(err)
    }
}

impl From<std::io::Error> for Error {
    fn from(err: std::io::Error) -> Self {
        Self::Internal(anyhow::Error::new(err).context("use the disk"))
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Public(err) => err.fmt(f),
            Self::Internal(err) => write!(f, "{err:#}"),
        }
    }
}

/// Carries an internal error from the handler to the layer that knows the request's id.
#[derive(Clone)]
pub struct Cause(pub std::sync::Arc<anyhow::Error>);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::Public(err) => {
                let status = StatusCode::from_u16(err.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut body = serde_json::json!({ "id": err.id, "message": err.message });
                if let Some(resource) = err.resource {
                    body["resource"] = resource.into();
                }
                if let Some(url) = err.url {
                    body["url"] = url.into();
                }
                (status, axum::Json(body)).into_response()
            }
            Self::Internal(err) => {
                let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
                response.extensions_mut().insert(Cause(std::sync::Arc::new(err)));
                response
            }
        }
    }
}
