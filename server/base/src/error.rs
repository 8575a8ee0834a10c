//! What goes wrong, said to people. All sentences that are not about one noun's input are here.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

/// Either a sentence for whoever asked, or a fault of ours that is logged and not shown.
#[derive(Debug)]
pub enum Error {
    /// Told to whoever asked, as it is.
    Told(api::Error),
    /// Ours: logged with the request's id, which is all that is told.
    Internal(anyhow::Error),
}

/// What routes and rules return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    fn told(status: StatusCode, id: &str, message: impl Into<String>) -> Self {
        Self::Told(api::Error::new(status.as_u16(), id, message))
    }

    /// 400: the request cannot be read.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::told(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// 401: nobody is known to have asked.
    pub fn unauthorized() -> Self {
        Self::told(StatusCode::UNAUTHORIZED, "unauthorized", "Invalid credentials provided.")
    }

    /// 403: known, visible, but not allowed.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::told(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 404, also for what the asker may not know of. `resource` is the kind of thing.
    pub fn not_found(resource: &str, message: impl Into<String>) -> Self {
        let mut error = api::Error::new(404, "not_found", message);
        error.resource = Some(resource.into());
        Self::Told(error)
    }

    /// The app does not exist, or may not be known of.
    pub fn no_app() -> Self {
        Self::not_found("app", "Couldn't find that app.")
    }

    /// The team does not exist, or may not be known of.
    pub fn no_team() -> Self {
        Self::not_found("team", "Couldn't find that team.")
    }

    /// 416: a page that begins or ends where no row of the list can be.
    pub fn no_such_range(place: &str, fields: &str) -> Self {
        let message = format!(
            "The Range header starts or ends at {place:.100?}, which is not a valid position in this list. Use the \
             Next-Range of the previous response unchanged, or order by one of {fields}."
        );
        Self::told(StatusCode::RANGE_NOT_SATISFIABLE, "requested_range_not_satisfiable", message)
    }

    /// 422: more than an account or a team may have.
    pub fn quota(message: impl Into<String>) -> Self {
        Self::told(StatusCode::UNPROCESSABLE_ENTITY, "quota_reached", message)
    }

    /// 422: answering would take more of the machine than one request may.
    pub fn too_much(message: impl Into<String>) -> Self {
        Self::told(StatusCode::UNPROCESSABLE_ENTITY, "too_much", message)
    }

    /// 409: it is not in a state that allows this.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::told(StatusCode::CONFLICT, "conflict", message)
    }

    /// 410: it was there and is over.
    pub fn gone(message: impl Into<String>) -> Self {
        Self::told(StatusCode::GONE, "gone", message)
    }

    /// 422: the request can be read, but what it asks for cannot be.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::told(StatusCode::UNPROCESSABLE_ENTITY, "invalid_params", message)
    }

    /// 429: too many requests with this token.
    pub fn rate_limit() -> Self {
        Self::told(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit",
            "Your account reached the API limit. Please wait a few minutes before making new requests",
        )
    }
}

/// Whether something failed because there is no room left on a disk.
///
/// Looked for in the words, because it comes from Postgres and git as well as from files of ours.
pub fn is_disk_full(err: &anyhow::Error) -> bool {
    let said = format!("{err:#}");
    ["No space left on device", "Disk quota exceeded"].iter().any(|words| said.contains(words))
}

/// What became of a worker, if that is why something failed.
pub fn of_worker(err: &anyhow::Error) -> Option<&worker::Error> {
    err.chain().find_map(|cause| cause.downcast_ref())
}

/// Whether something failed because a worker was killed while the machine, or all that runs on it together, was short
/// of memory: tried again, it may succeed.
pub fn is_crowded(err: &anyhow::Error) -> bool {
    use worker::Error::{Crowded, Died};
    matches!(of_worker(err), Some(Crowded | Died { signal: SIGKILL }))
}

/// Sent by the kernel, or by somebody with rights on the machine.
const SIGKILL: i32 = 9;

/// Why a worker could not deal with what it was given, within its limits.
pub fn too_much(err: &anyhow::Error) -> Option<&worker::Error> {
    of_worker(err).filter(|err| err.is_too_much())
}

/// Whether something failed because the database cannot be reached.
pub fn is_database_gone(err: &anyhow::Error) -> bool {
    use sqlx::Error::{Io, PoolClosed, PoolTimedOut, WorkerCrashed};
    let mut causes = err.chain().filter_map(|cause| cause.downcast_ref());
    causes.any(|cause| matches!(cause, PoolTimedOut | PoolClosed | WorkerCrashed | Io(_)))
}

/// Whether something failed because others changed the same at the same moment: tried again, it may succeed.
pub fn is_contended(err: &anyhow::Error) -> bool {
    // serialization_failure, deadlock_detected
    let codes = ["40001", "40P01"];
    let mut causes = err.chain().filter_map(|cause| cause.downcast_ref::<sqlx::Error>());
    causes.any(|cause| {
        cause.as_database_error().and_then(|e| e.code()).is_some_and(|code| codes.contains(&code.as_ref()))
    })
}

impl Error {
    /// 429: too much was refused to this address, so that nothing is tried for a while.
    pub fn too_many_refused() -> Self {
        let message = "Too many invalid credentials from your address. Try again later.";
        Self::told(StatusCode::TOO_MANY_REQUESTS, "rate_limit", message)
    }
}

impl Error {
    /// 429: as [`Self::too_many_refused`], for something else.
    pub fn too_many_tries(message: &str) -> Self {
        Self::told(StatusCode::TOO_MANY_REQUESTS, "rate_limit", message)
    }

    /// 429: too many passwords are being looked at.
    pub fn too_many_at_once() -> Self {
        Self::too_many_tries("The platform is busy with other sign-ins. Try again in a moment.")
    }

    /// 401: one and the same, whichever of them was wrong.
    pub fn wrong_password() -> Self {
        let message = "Wrong email address, password or code. Each code works once: if you have just used one, wait for the next.";
        Self::told(StatusCode::UNAUTHORIZED, "unauthorized", message)
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
            Self::Told(err) => err.fmt(f),
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
            Self::Told(err) => {
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
