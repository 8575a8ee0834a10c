//! The routes of this area.

use base::routes::{RequiredScope, Routes, delete, get, post};

use crate::{
    Platform, app_transfers, apps, collaborators, config_vars, dynos, features, formation, jobs, platform_info,
    releases, schedules, stacks, team_apps,
};

/// The routes for authenticated clients.
pub fn routes() -> Routes<Platform> {
    account_routes().merge(api_routes()).merge(team_routes()).merge(app_routes())
}

fn account_routes() -> Routes<Platform> {
    Routes::default()
        .route(
            "/account/app-transfers",
            get(RequiredScope::Global, app_transfers::app_transfer_list)
                .post(RequiredScope::Global, app_transfers::app_transfer_create)
                .put(RequiredScope::Global, app_transfers::app_transfer_create),
        )
        .route(
            "/account/app-transfers/{transfer}",
            get(RequiredScope::Global, app_transfers::app_transfer_info)
                .patch(RequiredScope::Global, app_transfers::app_transfer_update)
                .delete(RequiredScope::Global, app_transfers::app_transfer_delete),
        )
        .route(
            "/account/app-transfers/{transfer}/next-step",
            get(RequiredScope::Global, app_transfers::app_transfer_next_step),
        )
        .route("/account/features", get(RequiredScope::Global, features::account_feature_list))
        .route("/account/features/{feature}", get(RequiredScope::Global, features::account_feature_info))
}

fn api_routes() -> Routes<Platform> {
    Routes::default()
        .route("/apps", get(RequiredScope::Read, apps::app_list).post(RequiredScope::Write, apps::app_create))
        .route("/dyno-sizes", get(RequiredScope::Read, stacks::dyno_size_list))
        .route("/dyno-sizes/{size}", get(RequiredScope::Read, stacks::dyno_size_info))
        .route("/filters/apps", post(RequiredScope::Read, apps::app_filter))
        .route("/jobs", get(RequiredScope::Global, jobs::job_list))
        .route("/jobs/{job}", get(RequiredScope::Global, jobs::job_info))
        .route("/jobs/{job}/actions/cancel", post(RequiredScope::Global, jobs::job_cancel))
        .route("/platform", get(RequiredScope::Global, platform_info::platform_info))
        .route("/regions", get(RequiredScope::Read, stacks::region_list))
        .route("/regions/{region}", get(RequiredScope::Read, stacks::region_info))
        .route("/schedules", get(RequiredScope::Global, schedules::schedule_list))
        .route("/schedules/{schedule}/actions/run", post(RequiredScope::Global, schedules::schedule_run))
        .route("/stacks", get(RequiredScope::Read, stacks::stack_list))
        .route("/stacks/{stack}", get(RequiredScope::Read, stacks::stack_info))
        .route("/users/{user}/apps", get(RequiredScope::Global, apps::app_list_of_user))
}

fn team_routes() -> Routes<Platform> {
    Routes::default()
        .route("/teams/apps", post(RequiredScope::Write, team_apps::team_app_create))
        .route(
            "/teams/apps/{app}",
            get(RequiredScope::Read, team_apps::team_app_info).patch(RequiredScope::Write, team_apps::team_app_update),
        )
        .route(
            "/teams/apps/{app}/collaborators",
            get(RequiredScope::Read, collaborators::collaborator_list)
                .post(RequiredScope::Write, collaborators::collaborator_create),
        )
        .route(
            "/teams/apps/{app}/collaborators/{collaborator}",
            get(RequiredScope::Read, collaborators::collaborator_info)
                .patch(RequiredScope::Write, collaborators::collaborator_update)
                .delete(RequiredScope::Write, collaborators::collaborator_delete),
        )
        .route("/teams/permissions", get(RequiredScope::Read, collaborators::permission_list))
        .route("/teams/{team}/apps", get(RequiredScope::Read, team_apps::team_app_list))
        .route("/teams/{team}/members/{member}/apps", get(RequiredScope::Read, team_apps::team_member_app_list))
}

fn app_routes() -> Routes<Platform> {
    let routes = Routes::default()
        .route(
            "/",
            get(RequiredScope::ReadDeploy, apps::app_info)
                .patch(RequiredScope::Write, apps::app_update)
                .delete(RequiredScope::Global, apps::app_delete),
        )
        .route("/addons", get(RequiredScope::Read, apps::addon_list))
        .route("/available-dyno-sizes", get(RequiredScope::Read, stacks::dyno_size_list_of_app))
        .route("/available-stacks", get(RequiredScope::Read, stacks::stack_list_of_app))
        .route(
            "/collaborators",
            get(RequiredScope::Read, collaborators::collaborator_list)
                .post(RequiredScope::Write, collaborators::collaborator_create),
        )
        .route(
            "/collaborators/{collaborator}/next-step",
            get(RequiredScope::Read, collaborators::collaborator_next_step),
        )
        .route(
            "/collaborators/{collaborator}",
            get(RequiredScope::Read, collaborators::collaborator_info)
                .patch(RequiredScope::Write, collaborators::collaborator_update)
                .delete(RequiredScope::Write, collaborators::collaborator_delete),
        )
        .route(
            "/config-vars",
            get(RequiredScope::ReadProtected, config_vars::config_vars_info)
                .patch(RequiredScope::WriteProtected, config_vars::config_vars_update),
        )
        .route(
            "/dynos",
            get(RequiredScope::ReadDeploy, dynos::dyno_list).delete(RequiredScope::Write, dynos::dyno_restart_all),
        )
        .route(
            "/dynos/{dyno}",
            get(RequiredScope::ReadDeploy, dynos::dyno_info).delete(RequiredScope::Write, dynos::dyno_restart),
        )
        .route("/dynos/{dyno}/actions/stop", post(RequiredScope::Write, dynos::dyno_stop))
        .route("/features", get(RequiredScope::Read, features::feature_list))
        .route(
            "/features/{feature}",
            get(RequiredScope::Read, features::feature_info)
                .patch(RequiredScope::Write, features::feature_update)
                .post(RequiredScope::Write, features::feature_update),
        )
        .route(
            "/formation",
            get(RequiredScope::ReadDeploy, formation::formation_list)
                .patch(RequiredScope::Write, formation::formation_batch_update),
        )
        .route(
            "/formation/{type}",
            get(RequiredScope::Read, formation::formation_info)
                .patch(RequiredScope::Write, formation::formation_update),
        )
        .route("/formations/{type}", delete(RequiredScope::Write, dynos::formation_restart))
        .route("/formations/{type}/actions/stop", post(RequiredScope::Write, dynos::formation_stop))
        .route("/pipeline-couplings", get(RequiredScope::Read, apps::pipeline_coupling_info))
        .route(
            "/releases",
            get(RequiredScope::ReadDeploy, releases::release_list)
                .post(RequiredScope::Deploy, releases::release_create),
        )
        .route("/releases/{release}", get(RequiredScope::ReadDeploy, releases::release_info))
        .route("/releases/{release}/actions/cancel", post(RequiredScope::Deploy, releases::release_cancel))
        .route("/releases/{release}/config-vars", get(RequiredScope::ReadProtected, config_vars::release_config_vars))
        .route("/releases/{release}/rollback", get(RequiredScope::Read, releases::release_rollback_effects))
        // For unknown paths under an app that does not exist, the missing app is reported first.
        .fallback(RequiredScope::Read, apps::no_such_thing);
    Routes::default().nest("/apps/{app}", routes)
}
