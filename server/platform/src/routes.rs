//! The list of routes: what can be asked at all. One screen or two.

use axum::{Router, extract::DefaultBodyLimit, middleware, response::IntoResponse};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    Error, Platform, accounts, app_transfers, apps, authorizations, buildpack_installations, builds, collaborators,
    config_vars, dynos, events, features, formation, git, identities, identity_providers, invitation_policy, live,
    log_drains, log_lines, log_sessions, metrics, oauth_clients, outputs, passwords, platform, quotas, rate_limits,
    releases, samples,
    scopes::{Needs, Route, Routes, delete, get, patch, post},
    service_accounts, sessions, sign_in, sign_in_links, slugs, sources, stacks, statuses, team_invitations,
    team_members, teams, unread, web,
};

/// Every route with what it needs of a token.
pub fn route_list() -> Vec<Route> {
    routes().list()
}

fn routes() -> Routes {
    let told = account_routes().merge(api_routes()).merge(team_routes()).merge(app_routes()).merge(open_routes());
    told.limit(DefaultBodyLimit::max(4 << 20)).merge(stream_routes())
}

/// The API, the git remote, the live socket and the streams. Pages are not here.
pub fn api_router(platform: Platform) -> Router {
    routes()
        .into_router()
        .fallback(no_route)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(platform.clone(), web::around))
        .layer(sessions::layer(&platform))
        .layer(middleware::from_fn_with_state(platform.clone(), sessions::without_planted))
        .layer(middleware::map_request(unread::until_the_end))
        .with_state(platform)
}

fn account_routes() -> Routes {
    Routes::default()
        .route("/account", get(Needs::Identity, accounts::account_info).patch(Needs::Global, accounts::account_update))
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
        .route("/account/identities", get(Needs::Global, identities::identity_list))
        .route("/account/identities/{identity}", delete(Needs::LastingKey, identities::identity_delete))
        .route("/account/identity-proposals", get(Needs::Global, identities::identity_proposal_list))
        .route("/account/identity-proposals/{proposal}", delete(Needs::Global, identities::identity_proposal_delete))
        .route(
            "/account/identity-proposals/{proposal}/accept",
            post(Needs::LastingKey, identities::identity_proposal_accept),
        )
        .route(
            "/account/password",
            get(Needs::Global, passwords::password_info)
                .post(Needs::LastingKey, passwords::password_create)
                .patch(Needs::LastingKey, passwords::password_update)
                .delete(Needs::LastingKey, passwords::password_delete),
        )
        .route("/account/password/actions/confirm", post(Needs::LastingKey, passwords::password_confirm))
        .route("/account/rate-limits", get(Needs::Identity, rate_limits::rate_limit_info))
        .route(
            "/account/sessions",
            get(Needs::Global, sessions::session_list).delete(Needs::LastingKey, sessions::session_delete_others),
        )
        .route("/account/sessions/{session}", delete(Needs::LastingKey, sessions::session_delete))
        .route("/account/sign-in-links", post(Needs::LastingKey, sign_in_links::sign_in_link_create))
        .route("/account/team-invitations", get(Needs::Global, team_invitations::team_invitation_list_own))
}

fn api_routes() -> Routes {
    Routes::default()
        .route("/app-statuses", get(Needs::Read, statuses::app_summary_list))
        .route("/apps", get(Needs::Read, apps::app_list).post(Needs::Write, apps::app_create))
        .route("/dyno-sizes", get(Needs::Read, stacks::dyno_size_list))
        .route("/dyno-sizes/{size}", get(Needs::Read, stacks::dyno_size_info))
        .route("/events", get(Needs::Global, events::event_list_all))
        .route("/events/export", get(Needs::Global, events::event_export))
        .route("/events/verify", get(Needs::Global, events::event_verify))
        .route("/filters/apps", post(Needs::Read, apps::app_filter))
        .route(
            "/identity-providers",
            get(Needs::Global, identity_providers::identity_provider_list)
                .post(Needs::LastingKey, identity_providers::identity_provider_create),
        )
        .route(
            "/identity-providers/{provider}",
            patch(Needs::LastingKey, identity_providers::identity_provider_update)
                .delete(Needs::LastingKey, identity_providers::identity_provider_delete),
        )
        .route(
            "/invitation-policy",
            get(Needs::Global, invitation_policy::invitation_policy_info)
                .patch(Needs::LastingKey, invitation_policy::invitation_policy_update),
        )
        .route(
            "/oauth/authorizations",
            get(Needs::Global, authorizations::authorization_list)
                .post(Needs::Key, authorizations::authorization_create),
        )
        .route(
            "/oauth/authorizations/{authorization}",
            get(Needs::Global, authorizations::authorization_info)
                .patch(Needs::Global, authorizations::authorization_update)
                .delete(Needs::Global, authorizations::authorization_delete),
        )
        .route(
            "/oauth/authorizations/{authorization}/actions/regenerate-tokens",
            post(Needs::Key, authorizations::authorization_rotate),
        )
        .route("/oauth/authorize", post(Needs::LastingKey, oauth_clients::consent::consent_create))
        .route(
            "/oauth/clients",
            get(Needs::LastingKey, oauth_clients::oauth_client_list)
                .post(Needs::LastingKey, oauth_clients::oauth_client_create),
        )
        .route(
            "/oauth/clients/{client}",
            get(Needs::LastingKey, oauth_clients::oauth_client_info)
                .patch(Needs::LastingKey, oauth_clients::oauth_client_update)
                .delete(Needs::LastingKey, oauth_clients::oauth_client_delete),
        )
        .route(
            "/oauth/clients/{client}/actions/rotate-credentials",
            post(Needs::LastingKey, oauth_clients::oauth_client_rotate),
        )
        .route("/oauth/consent", get(Needs::Global, oauth_clients::consent::consent_info))
        .route("/oauth/sessions", get(Needs::Global, sessions::oauth_session_list))
        .route("/oauth/sessions/{session}", delete(Needs::Global, sessions::oauth_session_delete))
        .route(
            "/password-policy",
            get(Needs::Global, passwords::policy::password_policy_info)
                .patch(Needs::LastingKey, passwords::policy::password_policy_update),
        )
        .route("/platform", get(Needs::Global, platform::platform_info))
        .route("/quotas", get(Needs::Global, quotas::quota_list).patch(Needs::Global, quotas::quota_update))
        .route("/regions", get(Needs::Read, stacks::region_list))
        .route("/regions/{region}", get(Needs::Read, stacks::region_info))
        .route("/samples", get(Needs::Read, samples::sample_list))
        .route("/sources", post(Needs::Write, sources::source_create))
        .route("/stacks", get(Needs::Read, stacks::stack_list))
        .route("/stacks/{stack}", get(Needs::Read, stacks::stack_info))
        .route("/users", get(Needs::Global, accounts::user_list))
        .route("/users/{user}", get(Needs::Global, accounts::user_info).patch(Needs::LastingKey, accounts::user_update))
        .route("/users/{user}/apps", get(Needs::Global, apps::app_list_of_user))
        .route("/users/{user}/identities", get(Needs::Global, identities::user_identity_list))
        .route("/users/{user}/identities/{identity}", delete(Needs::LastingKey, identities::user_identity_delete))
        .route("/users/{user}/password", delete(Needs::LastingKey, passwords::password_delete_of_user))
        .route(
            "/users/{user}/quotas",
            get(Needs::Global, quotas::quota_list_of_user).patch(Needs::Global, quotas::quota_update_of_user),
        )
}

fn team_routes() -> Routes {
    Routes::default()
        .route("/teams", get(Needs::Read, teams::team_list).post(Needs::Global, teams::team_create))
        .route("/teams/apps", post(Needs::Write, teams::team_app_create))
        .route("/teams/apps/{app}", get(Needs::Read, teams::team_app_info).patch(Needs::Write, teams::team_app_update))
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
        .route("/teams/invitations/{invitation}", get(Needs::Read, team_invitations::team_invitation_info))
        .route("/teams/invitations/{invitation}/accept", post(Needs::Global, team_invitations::team_invitation_accept))
        .route(
            "/teams/invitations/{invitation}/decline",
            post(Needs::Global, team_invitations::team_invitation_decline),
        )
        .route("/teams/permissions", get(Needs::Read, teams::permission_list))
        .route(
            "/teams/{team}",
            get(Needs::Read, teams::team_info)
                .patch(Needs::Global, teams::team_update)
                .delete(Needs::Global, teams::team_delete),
        )
        .route("/teams/{team}/access", get(Needs::Read, teams::team_access_list))
        .route("/teams/{team}/apps", get(Needs::Read, teams::team_app_list))
        .route("/teams/{team}/features", get(Needs::Read, teams::team_feature_list))
        .route(
            "/teams/{team}/invitations",
            get(Needs::Read, team_invitations::team_invitation_list)
                .put(Needs::Global, team_invitations::team_invitation_save),
        )
        .route(
            "/teams/{team}/invitations/{invitation}",
            delete(Needs::Global, team_invitations::team_invitation_delete),
        )
        .route(
            "/teams/{team}/members",
            get(Needs::Read, team_members::team_member_list)
                .post(Needs::Global, team_members::team_member_create)
                .put(Needs::Global, team_members::team_member_save)
                .patch(Needs::Global, team_members::team_member_update),
        )
        .route(
            "/teams/{team}/quotas",
            get(Needs::Read, quotas::quota_list_of_team).patch(Needs::Global, quotas::quota_update_of_team),
        )
        .route("/teams/{team}/members/{member}", delete(Needs::Global, team_members::team_member_delete))
        .route("/teams/{team}/members/{member}/apps", get(Needs::Read, team_members::team_member_app_list))
        .route(
            "/teams/{team}/service-accounts",
            get(Needs::Read, service_accounts::service_account_list)
                .post(Needs::Global, service_accounts::service_account_create),
        )
        .route(
            "/teams/{team}/service-accounts/{account}",
            delete(Needs::LastingKey, service_accounts::service_account_delete),
        )
        .route(
            "/teams/{team}/service-accounts/{account}/authorizations",
            get(Needs::Global, service_accounts::authorization_list)
                .post(Needs::Key, service_accounts::authorization_create),
        )
        .route(
            "/teams/{team}/service-accounts/{account}/authorizations/{authorization}",
            delete(Needs::Global, service_accounts::authorization_delete),
        )
}

fn app_routes() -> Routes {
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
        .route("/events", get(Needs::Read, events::event_list))
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

/// What is open to whoever has no credentials yet.
fn open_routes() -> Routes {
    Routes::default()
        .route("/login/oauth/{provider}", get(Needs::Nothing, sign_in::sign_in_start))
        .route("/login/oauth/{provider}/callback", get(Needs::Nothing, sign_in::sign_in_finish))
        .route("/login/password", post(Needs::Nothing, passwords::sign_in::password_sign_in))
        .route("/login/{secret}", post(Needs::Nothing, sign_in_links::sign_in_link_use))
        .route("/oauth/revoke", post(Needs::Nothing, oauth_clients::tokens::token_delete))
        .route("/oauth/token", post(Needs::Nothing, oauth_clients::tokens::token_create))
        .route("/oauth/tokens", post(Needs::Nothing, oauth_clients::tokens::token_create_json))
        .route("/sign-in-links/{secret}", get(Needs::Nothing, sign_in_links::sign_in_link_info))
        .route("/sign-in-options", get(Needs::Nothing, sign_in::sign_in_options))
}

/// What is streamed, or opens without credentials.
fn stream_routes() -> Routes {
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
        .route("/logout", post(Needs::Nothing, sessions::sign_out))
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
