//! The list of routes: what can be asked at all. One screen or two.

use axum::{Router, extract::DefaultBodyLimit, middleware, response::IntoResponse};
use base::{
    Error,
    routes::{Needs, Route, Routes, delete, get, post},
    web,
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    Platform, app_transfers, apps, buildpack_installations, builds, collaborators, config_vars, dynos, features,
    formation, git, jobs, live, log_drains, log_lines, log_sessions, metrics, outputs, platform_info, releases,
    samples, schedules, slugs, sources, stacks, statuses, team_apps, unread,
};

/// Every route with what it needs of a token.
pub fn route_list() -> Vec<Route> {
    [routes().list(), stream_routes().list(), identity::routes().list(), identity::open_routes().list()].concat()
}

fn routes() -> Routes<Platform> {
    account_routes().merge(api_routes()).merge(team_routes()).merge(app_routes())
}

/// The API, the git remote, the live socket and the streams. Pages are not here.
pub fn api_router(platform: Platform) -> Router {
    let of_identity = identity::routes().merge(identity::open_routes());
    let told = routes().merge(of_identity.with_state(platform.identity().clone()));
    let router = told.limit(DefaultBodyLimit::max(4 << 20)).merge(stream_routes()).into_router();
    let router =
        router.fallback(no_route).layer(CatchPanicLayer::custom(panicked)).layer(middleware::from_fn(web::around));
    identity::with_sessions(router, &platform)
        .layer(middleware::map_request(unread::until_the_end))
        .with_state(platform)
}

fn account_routes() -> Routes<Platform> {
    Routes::default()
        .route(
            "/account/app-transfers",
            get(Needs::Global, app_transfers::app_transfer_list)
                .post(Needs::Global, app_transfers::app_transfer_create)
                .put(Needs::Global, app_transfers::app_transfer_create),
        )
        .route(
            "/account/app-transfers/{transfer}",
            get(Needs::Global, app_transfers::app_transfer_info)
                .patch(Needs::Global, app_transfers::app_transfer_update)
                .delete(Needs::Global, app_transfers::app_transfer_delete),
        )
        .route("/account/features", get(Needs::Global, features::account_feature_list))
        .route("/account/features/{feature}", get(Needs::Global, features::account_feature_info))
}

fn api_routes() -> Routes<Platform> {
    Routes::default()
        .route("/app-statuses", get(Needs::Read, statuses::app_summary_list))
        .route("/apps", get(Needs::Read, apps::app_list).post(Needs::Write, apps::app_create))
        .route("/dyno-sizes", get(Needs::Read, stacks::dyno_size_list))
        .route("/dyno-sizes/{size}", get(Needs::Read, stacks::dyno_size_info))
        .route("/filters/apps", post(Needs::Read, apps::app_filter))
        .route("/jobs", get(Needs::Global, jobs::job_list))
        .route("/jobs/{job}", get(Needs::Global, jobs::job_info))
        .route("/jobs/{job}/actions/cancel", post(Needs::Global, jobs::job_cancel))
        .route("/platform", get(Needs::Global, platform_info::platform_info))
        .route("/regions", get(Needs::Read, stacks::region_list))
        .route("/regions/{region}", get(Needs::Read, stacks::region_info))
        .route("/samples", get(Needs::Read, samples::sample_list))
        .route("/schedules", get(Needs::Global, schedules::schedule_list))
        .route("/schedules/{schedule}/actions/run", post(Needs::Global, schedules::schedule_run))
        .route("/sources", post(Needs::Write, sources::source_create))
        .route("/stacks", get(Needs::Read, stacks::stack_list))
        .route("/stacks/{stack}", get(Needs::Read, stacks::stack_info))
        .route("/users/{user}/apps", get(Needs::Global, apps::app_list_of_user))
}

fn team_routes() -> Routes<Platform> {
    Routes::default()
        .route("/teams/apps", post(Needs::Write, team_apps::team_app_create))
        .route(
            "/teams/apps/{app}",
            get(Needs::Read, team_apps::team_app_info).patch(Needs::Write, team_apps::team_app_update),
        )
        .route(
            "/teams/apps/{app}/collaborators",
            get(Needs::Read, collaborators::collaborator_list).post(Needs::Write, collaborators::collaborator_create),
        )
        .route(
            "/teams/apps/{app}/collaborators/{collaborator}",
            get(Needs::Read, collaborators::collaborator_info)
                .patch(Needs::Write, collaborators::collaborator_update)
                .delete(Needs::Write, collaborators::collaborator_delete),
        )
        .route("/teams/permissions", get(Needs::Read, collaborators::permission_list))
        .route("/teams/{team}/apps", get(Needs::Read, team_apps::team_app_list))
        .route("/teams/{team}/members/{member}/apps", get(Needs::Read, team_apps::team_member_app_list))
}

fn app_routes() -> Routes<Platform> {
    let routes = Routes::default()
        .route(
            "/",
            get(Needs::Read, apps::app_info)
                .patch(Needs::Write, apps::app_update)
                .delete(Needs::Write, apps::app_delete),
        )
        .route("/addons", get(Needs::Read, apps::addon_list))
        .route("/available-dyno-sizes", get(Needs::Read, stacks::dyno_size_list_of_app))
        .route("/available-stacks", get(Needs::Read, stacks::stack_list_of_app))
        .route("/build-cache", delete(Needs::Write, builds::build_cache_delete))
        .route(
            "/buildpack-installations",
            get(Needs::Read, buildpack_installations::buildpack_installation_list)
                .put(Needs::Write, buildpack_installations::buildpack_installation_update),
        )
        .route("/builds", get(Needs::Read, builds::build_list).post(Needs::Write, builds::build_create))
        .route("/builds/{build}", get(Needs::Read, builds::build_info).delete(Needs::Write, builds::build_cancel))
        .route("/builds/{build}/result", get(Needs::Read, builds::build_result))
        .route(
            "/collaborators",
            get(Needs::Read, collaborators::collaborator_list).post(Needs::Write, collaborators::collaborator_create),
        )
        .route(
            "/collaborators/{collaborator}",
            get(Needs::Read, collaborators::collaborator_info)
                .patch(Needs::Write, collaborators::collaborator_update)
                .delete(Needs::Write, collaborators::collaborator_delete),
        )
        .route(
            "/config-vars",
            get(Needs::ReadProtected, config_vars::config_vars_info)
                .patch(Needs::WriteProtected, config_vars::config_vars_update),
        )
        .route("/dynos", get(Needs::Read, dynos::dyno_list).delete(Needs::Write, dynos::dyno_restart_all))
        .route("/dynos/{dyno}", get(Needs::Read, dynos::dyno_info).delete(Needs::Write, dynos::dyno_restart))
        .route("/dynos/{dyno}/actions/stop", post(Needs::Write, dynos::dyno_stop))
        .route("/features", get(Needs::Read, features::feature_list))
        .route(
            "/features/{feature}",
            get(Needs::Read, features::feature_info)
                .patch(Needs::Write, features::feature_update)
                .post(Needs::Write, features::feature_update),
        )
        .route(
            "/formation",
            get(Needs::Read, formation::formation_list).patch(Needs::Write, formation::formation_batch_update),
        )
        .route(
            "/formation/{type}",
            get(Needs::Read, formation::formation_info).patch(Needs::Write, formation::formation_update),
        )
        .route("/formations/{type}", delete(Needs::Write, dynos::formation_restart))
        .route("/formations/{type}/actions/stop", post(Needs::Write, dynos::formation_stop))
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
        .route("/pipeline-couplings", get(Needs::Read, apps::pipeline_coupling_info))
        .route("/releases", get(Needs::Read, releases::release_list).post(Needs::Write, releases::release_create))
        .route("/releases/{release}", get(Needs::Read, releases::release_info))
        .route("/releases/{release}/actions/cancel", post(Needs::Write, releases::release_cancel))
        .route("/releases/{release}/changes", get(Needs::Read, releases::release_changes))
        .route("/releases/{release}/config-vars", get(Needs::ReadProtected, config_vars::release_config_vars))
        .route("/releases/{release}/rollback", get(Needs::Read, releases::release_rollback_effects))
        .route("/samples/{sample}", post(Needs::Write, samples::sample_deploy))
        .route("/slugs", post(Needs::Write, slugs::slug_create))
        .route("/slugs/{slug}", get(Needs::Write, slugs::slug_info))
        .route("/sources", post(Needs::Write, sources::source_create_for_app))
        .route("/status", get(Needs::Read, statuses::app_status))
        // Unknown things under an app that does not exist are about the app first.
        .fallback(Needs::Read, apps::no_such_thing);
    Routes::default().nest("/apps/{app}", routes)
}

/// What is streamed, or opens without credentials.
fn stream_routes() -> Routes<Platform> {
    Routes::default()
        .route(
            "/blobs/slugs/{secret}",
            get(Needs::Nothing, slugs::slug_download).put(Needs::Nothing, slugs::slug_upload),
        )
        .route(
            "/blobs/sources/{secret}",
            get(Needs::Nothing, sources::source_download).put(Needs::Nothing, sources::source_upload),
        )
        .route("/live", get(Needs::Read, live::live))
        .route("/streams/builds/{secret}", get(Needs::Nothing, outputs::build_output))
        .route("/streams/logs/{secret}", get(Needs::Nothing, log_sessions::log_session_stream))
        .route("/streams/releases/{secret}", get(Needs::Nothing, outputs::release_output))
        .route("/{repository}/info/refs", get(Needs::Write, git::info_refs))
        .route("/{repository}/git-upload-pack", post(Needs::Write, git::upload_pack))
        .route("/{repository}/git-receive-pack", post(Needs::Write, git::receive_pack))
        .limit(DefaultBodyLimit::disable())
}

async fn no_route() -> Error {
    Error::not_found(
        "route",
        "The requested API endpoint was not found. Are you using the right HTTP verb (i.e. `GET` vs. `POST`), and did you specify your intended version with the `Accept` header?",
    )
}

fn panicked(panic: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    let said = panic.downcast_ref::<String>().cloned();
    let said = said.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default();
    Error::Internal(anyhow::anyhow!("panicked: {said}")).into_response()
}
