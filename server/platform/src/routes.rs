//! The list of routes: what can be asked at all. One screen or two.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    response::IntoResponse,
    routing::{any, delete, get, patch, post},
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    Error, Platform, accounts, app_transfers, apps, authorizations, buildpack_installations, builds, collaborators,
    config_vars, dynos, events, features, formation, git, identities, identity_providers, invitation_policy, live,
    log_drains, log_lines, log_sessions, metrics, oauth_clients, outputs, passwords, platform, quotas, rate_limits,
    releases, samples, service_accounts, sessions, sign_in, sign_in_links, slugs, sources, stacks, statuses,
    team_invitations, team_members, teams, web,
};

/// The API, the git remote, the live socket and the streams. Pages are not here.
pub fn api_router(platform: Platform) -> Router {
    let told = api_routes().merge(team_routes()).merge(app_routes()).merge(open_routes());
    let told = told.layer(DefaultBodyLimit::max(4 << 20));
    told.merge(stream_routes())
        .fallback(no_route)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(platform.clone(), web::around))
        .layer(sessions::layer(&platform))
        .layer(middleware::from_fn_with_state(platform.clone(), sessions::without_planted))
        .with_state(platform)
}

fn api_routes() -> Router<Platform> {
    Router::new()
        .route("/account", get(accounts::account_info).patch(accounts::account_update))
        .route(
            "/account/app-transfers",
            get(app_transfers::app_transfer_list)
                .post(app_transfers::app_transfer_create)
                .put(app_transfers::app_transfer_create),
        )
        .route(
            "/account/app-transfers/{transfer}",
            get(app_transfers::app_transfer_info)
                .patch(app_transfers::app_transfer_update)
                .delete(app_transfers::app_transfer_delete),
        )
        .route("/account/features", get(features::account_feature_list))
        .route("/account/features/{feature}", get(features::account_feature_info))
        .route("/account/identities", get(identities::identity_list))
        .route("/account/identities/{identity}", delete(identities::identity_delete))
        .route("/account/identity-proposals", get(identities::identity_proposal_list))
        .route("/account/identity-proposals/{proposal}", delete(identities::identity_proposal_delete))
        .route("/account/identity-proposals/{proposal}/accept", post(identities::identity_proposal_accept))
        .route(
            "/account/password",
            get(passwords::password_info)
                .post(passwords::password_create)
                .patch(passwords::password_update)
                .delete(passwords::password_delete),
        )
        .route("/account/password/actions/confirm", post(passwords::password_confirm))
        .route("/account/rate-limits", get(rate_limits::rate_limit_info))
        .route("/account/sessions", get(sessions::session_list).delete(sessions::session_delete_others))
        .route("/account/sessions/{session}", delete(sessions::session_delete))
        .route("/account/sign-in-links", post(sign_in_links::sign_in_link_create))
        .route("/account/team-invitations", get(team_invitations::team_invitation_list_own))
        .route("/app-statuses", get(statuses::app_summary_list))
        .route("/apps", get(apps::app_list).post(apps::app_create))
        .route("/dyno-sizes", get(stacks::dyno_size_list))
        .route("/dyno-sizes/{size}", get(stacks::dyno_size_info))
        .route("/events", get(events::event_list_all))
        .route("/events/export", get(events::event_export))
        .route("/events/verify", get(events::event_verify))
        .route("/filters/apps", post(apps::app_filter))
        .route(
            "/identity-providers",
            get(identity_providers::identity_provider_list).post(identity_providers::identity_provider_create),
        )
        .route(
            "/identity-providers/{provider}",
            patch(identity_providers::identity_provider_update).delete(identity_providers::identity_provider_delete),
        )
        .route(
            "/invitation-policy",
            get(invitation_policy::invitation_policy_info).patch(invitation_policy::invitation_policy_update),
        )
        .route(
            "/oauth/authorizations",
            get(authorizations::authorization_list).post(authorizations::authorization_create),
        )
        .route(
            "/oauth/authorizations/{authorization}",
            get(authorizations::authorization_info)
                .patch(authorizations::authorization_update)
                .delete(authorizations::authorization_delete),
        )
        .route(
            "/oauth/authorizations/{authorization}/actions/regenerate-tokens",
            post(authorizations::authorization_rotate),
        )
        .route("/oauth/authorize", post(oauth_clients::consent::consent_create))
        .route("/oauth/clients", get(oauth_clients::oauth_client_list).post(oauth_clients::oauth_client_create))
        .route(
            "/oauth/clients/{client}",
            get(oauth_clients::oauth_client_info)
                .patch(oauth_clients::oauth_client_update)
                .delete(oauth_clients::oauth_client_delete),
        )
        .route("/oauth/clients/{client}/actions/rotate-credentials", post(oauth_clients::oauth_client_rotate))
        .route("/oauth/consent", get(oauth_clients::consent::consent_info))
        .route("/oauth/sessions", get(sessions::oauth_session_list))
        .route("/oauth/sessions/{session}", delete(sessions::oauth_session_delete))
        .route(
            "/password-policy",
            get(passwords::policy::password_policy_info).patch(passwords::policy::password_policy_update),
        )
        .route("/platform", get(platform::platform_info))
        .route("/quotas", get(quotas::quota_list).patch(quotas::quota_update))
        .route("/regions", get(stacks::region_list))
        .route("/regions/{region}", get(stacks::region_info))
        .route("/samples", get(samples::sample_list))
        .route("/sources", post(sources::source_create))
        .route("/stacks", get(stacks::stack_list))
        .route("/stacks/{stack}", get(stacks::stack_info))
        .route("/users", get(accounts::user_list))
        .route("/users/{user}", get(accounts::user_info).patch(accounts::user_update))
        .route("/users/{user}/apps", get(apps::app_list_of_user))
        .route("/users/{user}/identities", get(identities::user_identity_list))
        .route("/users/{user}/identities/{identity}", delete(identities::user_identity_delete))
        .route("/users/{user}/password", delete(passwords::password_delete_of_user))
        .route("/users/{user}/quotas", get(quotas::quota_list_of_user).patch(quotas::quota_update_of_user))
}

fn team_routes() -> Router<Platform> {
    Router::new()
        .route("/teams", get(teams::team_list).post(teams::team_create))
        .route("/teams/apps", post(teams::team_app_create))
        .route("/teams/apps/{app}", get(teams::team_app_info).patch(teams::team_app_update))
        .route(
            "/teams/apps/{app}/collaborators",
            get(collaborators::collaborator_list).post(collaborators::collaborator_create),
        )
        .route(
            "/teams/apps/{app}/collaborators/{collaborator}",
            get(collaborators::collaborator_info)
                .patch(collaborators::collaborator_update)
                .delete(collaborators::collaborator_delete),
        )
        .route("/teams/invitations/{invitation}", get(team_invitations::team_invitation_info))
        .route("/teams/invitations/{invitation}/accept", post(team_invitations::team_invitation_accept))
        .route("/teams/invitations/{invitation}/decline", post(team_invitations::team_invitation_decline))
        .route("/teams/permissions", get(teams::permission_list))
        .route("/teams/{team}", get(teams::team_info).patch(teams::team_update).delete(teams::team_delete))
        .route("/teams/{team}/access", get(teams::team_access_list))
        .route("/teams/{team}/apps", get(teams::team_app_list))
        .route("/teams/{team}/features", get(teams::team_feature_list))
        .route(
            "/teams/{team}/invitations",
            get(team_invitations::team_invitation_list).put(team_invitations::team_invitation_save),
        )
        .route("/teams/{team}/invitations/{invitation}", delete(team_invitations::team_invitation_delete))
        .route(
            "/teams/{team}/members",
            get(team_members::team_member_list)
                .post(team_members::team_member_create)
                .put(team_members::team_member_save)
                .patch(team_members::team_member_update),
        )
        .route("/teams/{team}/quotas", get(quotas::quota_list_of_team).patch(quotas::quota_update_of_team))
        .route("/teams/{team}/members/{member}", delete(team_members::team_member_delete))
        .route("/teams/{team}/members/{member}/apps", get(team_members::team_member_app_list))
        .route(
            "/teams/{team}/service-accounts",
            get(service_accounts::service_account_list).post(service_accounts::service_account_create),
        )
        .route("/teams/{team}/service-accounts/{account}", delete(service_accounts::service_account_delete))
        .route(
            "/teams/{team}/service-accounts/{account}/authorizations",
            get(service_accounts::authorization_list).post(service_accounts::authorization_create),
        )
        .route(
            "/teams/{team}/service-accounts/{account}/authorizations/{authorization}",
            delete(service_accounts::authorization_delete),
        )
}

fn app_routes() -> Router<Platform> {
    let routes = Router::new()
        .route("/", get(apps::app_info).patch(apps::app_update).delete(apps::app_delete))
        .route("/addons", get(apps::addon_list))
        .route("/available-dyno-sizes", get(stacks::dyno_size_list_of_app))
        .route("/available-stacks", get(stacks::stack_list_of_app))
        .route("/build-cache", delete(builds::build_cache_delete))
        .route(
            "/buildpack-installations",
            get(buildpack_installations::buildpack_installation_list)
                .put(buildpack_installations::buildpack_installation_update),
        )
        .route("/builds", get(builds::build_list).post(builds::build_create))
        .route("/builds/{build}", get(builds::build_info).delete(builds::build_cancel))
        .route("/builds/{build}/result", get(builds::build_result))
        .route("/collaborators", get(collaborators::collaborator_list).post(collaborators::collaborator_create))
        .route(
            "/collaborators/{collaborator}",
            get(collaborators::collaborator_info)
                .patch(collaborators::collaborator_update)
                .delete(collaborators::collaborator_delete),
        )
        .route("/config-vars", get(config_vars::config_vars_info).patch(config_vars::config_vars_update))
        .route("/dynos", get(dynos::dyno_list).delete(dynos::dyno_restart_all))
        .route("/dynos/{dyno}", get(dynos::dyno_info).delete(dynos::dyno_restart))
        .route("/dynos/{dyno}/actions/stop", post(dynos::dyno_stop))
        .route("/events", get(events::event_list))
        .route("/features", get(features::feature_list))
        .route(
            "/features/{feature}",
            get(features::feature_info).patch(features::feature_update).post(features::feature_update),
        )
        .route("/formation", get(formation::formation_list).patch(formation::formation_batch_update))
        .route("/formation/{type}", get(formation::formation_info).patch(formation::formation_update))
        .route("/formations/{type}", delete(dynos::formation_restart))
        .route("/formations/{type}/actions/stop", post(dynos::formation_stop))
        .route("/log-density", get(log_lines::log_density_info))
        .route("/log-drains", get(log_drains::log_drain_list).post(log_drains::log_drain_create))
        .route("/log-drains/{drain}", get(log_drains::log_drain_info).delete(log_drains::log_drain_delete))
        .route("/log-lines", get(log_lines::log_line_list))
        .route("/log-sessions", post(log_sessions::log_session_create))
        .route("/metrics", get(metrics::metrics_info))
        .route("/pipeline-couplings", get(apps::pipeline_coupling_info))
        .route("/releases", get(releases::release_list).post(releases::release_create))
        .route("/releases/{release}", get(releases::release_info))
        .route("/releases/{release}/changes", get(releases::release_changes))
        .route("/releases/{release}/config-vars", get(config_vars::release_config_vars))
        .route("/releases/{release}/rollback", get(releases::release_rollback_effects))
        .route("/samples/{sample}", post(samples::sample_deploy))
        .route("/slugs", post(slugs::slug_create))
        .route("/slugs/{slug}", get(slugs::slug_info))
        .route("/sources", post(sources::source_create_for_app))
        .route("/status", get(statuses::app_status))
        // Unknown things under an app that does not exist are about the app first.
        .fallback(apps::no_such_thing);
    Router::new().nest("/apps/{app}", routes)
}

/// What is open to whoever has no credentials yet.
fn open_routes() -> Router<Platform> {
    Router::new()
        .route("/login/oauth/{provider}", get(sign_in::sign_in_start))
        .route("/login/oauth/{provider}/callback", get(sign_in::sign_in_finish))
        .route("/login/password", post(passwords::sign_in::password_sign_in))
        .route("/login/{secret}", post(sign_in_links::sign_in_link_use))
        .route("/oauth/revoke", post(oauth_clients::tokens::token_delete))
        .route("/oauth/token", post(oauth_clients::tokens::token_create))
        .route("/oauth/tokens", post(oauth_clients::tokens::token_create_json))
        .route("/sign-in-links/{secret}", get(sign_in_links::sign_in_link_info))
        .route("/sign-in-options", get(sign_in::sign_in_options))
}

/// What is streamed, or opens without credentials.
fn stream_routes() -> Router<Platform> {
    Router::new()
        .route("/blobs/slugs/{secret}", get(slugs::slug_download).put(slugs::slug_upload))
        .route("/blobs/sources/{secret}", get(sources::source_download).put(sources::source_upload))
        .route("/live", any(live::live))
        .route("/logout", post(sessions::sign_out))
        .route("/streams/builds/{secret}", get(outputs::build_output))
        .route("/streams/logs/{secret}", get(log_sessions::log_session_stream))
        .route("/streams/releases/{secret}", get(outputs::release_output))
        .route("/{repository}/info/refs", get(git::info_refs))
        .route("/{repository}/git-upload-pack", post(git::upload_pack))
        .route("/{repository}/git-receive-pack", post(git::receive_pack))
        .layer(DefaultBodyLimit::disable())
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
