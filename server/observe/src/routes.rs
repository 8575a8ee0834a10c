//! The routes of this area.

use base::routes::{Needs, Routes, get, post};

use crate::{Observe, live, log_drains, log_lines, log_sessions, metrics, outputs, statuses};

/// What may be asked of this area.
pub fn routes() -> Routes<Observe> {
    let of_app = Routes::default()
        .route("/log-density", get(Needs::Read, log_lines::log_density_info))
        .route(
            "/log-drains",
            get(Needs::Read, log_drains::log_drain_list).post(Needs::Write, log_drains::log_drain_create),
        )
        .route(
            "/log-drains/{drain}",
            get(Needs::Read, log_drains::log_drain_info).delete(Needs::Write, log_drains::log_drain_delete),
        )
        .route("/log-lines", get(Needs::Read, log_lines::log_line_list))
        .route("/log-sessions", post(Needs::Read, log_sessions::log_session_create))
        .route("/metrics", get(Needs::Read, metrics::metrics_info))
        .route("/status", get(Needs::Read, statuses::app_status));
    Routes::default()
        .route("/app-statuses", get(Needs::Read, statuses::app_summary_list))
        .nest("/apps/{app}", of_app)
        .route("/live", get(Needs::Read, live::live))
        .route("/streams/builds/{secret}", get(Needs::Nothing, outputs::build_output))
        .route("/streams/logs/{secret}", get(Needs::Nothing, log_sessions::log_session_stream))
        .route("/streams/releases/{secret}", get(Needs::Nothing, outputs::release_output))
}
