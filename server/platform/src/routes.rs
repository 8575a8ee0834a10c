//! The routes of this area. One screen or two.

use base::routes::{Needs, Routes, delete, get, post};

use crate::{
    Platform, app_transfers, apps, collaborators, config_vars, dynos, features, formation, jobs, platform_info,
    releases, schedules, stacks, team_apps,
};

/// What whoever has credentials may ask.
pub fn routes() -> Routes<Platform> {
    account_routes().merge(api_routes()).merge(team_routes()).merge(app_routes())
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
        .route("/schedules", get(Needs::Global, schedules::schedule_list))
        .route("/schedules/{schedule}/actions/run", post(Needs::Global, schedules::schedule_run))
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
        .route("/pipeline-couplings", get(Needs::Read, apps::pipeline_coupling_info))
        .route("/releases", get(Needs::Read, releases::release_list).post(Needs::Write, releases::release_create))
        .route("/releases/{release}", get(Needs::Read, releases::release_info))
        .route("/releases/{release}/actions/cancel", post(Needs::Write, releases::release_cancel))
        .route("/releases/{release}/config-vars", get(Needs::ReadProtected, config_vars::release_config_vars))
        .route("/releases/{release}/rollback", get(Needs::Read, releases::release_rollback_effects))
        // Unknown things under an app that does not exist are about the app first.
        .fallback(Needs::Read, apps::no_such_thing);
    Routes::default().nest("/apps/{app}", routes)
}
