//! The routes of this area.

use base::routes::{RequiredScope, Routes, get, post};

use crate::{Observe, live, log_drains, log_lines, log_sessions, metrics, outputs, statuses};

/// The routes of this area.
pub fn routes() -> Routes<Observe> {
    let of_app = Routes::default()
        .route("/log-density", get(RequiredScope::Read, log_lines::log_density_info))
        .route(
            "/log-drains",
            get(RequiredScope::Read, log_drains::log_drain_list)
                .post(RequiredScope::Write, log_drains::log_drain_create),
        )
        .route(
            "/log-drains/{drain}",
            get(RequiredScope::Read, log_drains::log_drain_info)
                .delete(RequiredScope::Write, log_drains::log_drain_delete),
        )
        .route("/log-lines", get(RequiredScope::Read, log_lines::log_line_list))
        .route("/log-sessions", post(RequiredScope::Read, log_sessions::log_session_create))
        .route("/metrics", get(RequiredScope::Read, metrics::metrics_info))
        .route("/status", get(RequiredScope::ReadDeploy, statuses::app_status));
    Routes::default()
        .route("/app-statuses", get(RequiredScope::Read, statuses::app_summary_list))
        .nest("/apps/{app}", of_app)
        .route("/live", get(RequiredScope::Read, live::live))
        .route("/streams/builds/{secret}", get(RequiredScope::Nothing, outputs::build_output))
        .route("/streams/logs/{secret}", get(RequiredScope::Nothing, log_sessions::log_session_stream))
        .route("/streams/releases/{secret}", get(RequiredScope::Nothing, outputs::release_output))
}
