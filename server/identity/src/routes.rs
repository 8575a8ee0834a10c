//! The routes of this area.

use axum::{Router, middleware};
use base::{
    Base,
    routes::{Needs, Routes, delete, get, patch, post},
};

use crate::{
    Identity, accounts, authorizations, events, identities, identity_providers, in_progress, invitation_policy,
    oauth_clients, passwords, quotas, rate_limits, service_accounts, session_cookies, sessions, sign_in, sign_in_links,
    team_invitations, team_members, teams,
};

/// The routes that need credentials.
pub fn routes() -> Routes<Identity> {
    account_routes().merge(platform_routes()).merge(team_routes())
}

fn account_routes() -> Routes<Identity> {
    Routes::default()
        .route("/account", get(Needs::Identity, accounts::account_info).patch(Needs::Global, accounts::account_update))
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
        .route("/account/rate-limits", get(Needs::Identity, rate_limits::rate_limit_info))
        .route("/account/password/actions/confirm", post(Needs::LastingKey, passwords::password_confirm))
        .route(
            "/account/sessions",
            get(Needs::Global, sessions::session_list).delete(Needs::LastingKey, sessions::session_delete_others),
        )
        .route("/account/sessions/{session}", delete(Needs::LastingKey, sessions::session_delete))
        .route("/account/sign-in-links", post(Needs::LastingKey, sign_in_links::sign_in_link_create))
        .route("/account/team-invitations", get(Needs::Global, team_invitations::team_invitation_list_own))
}

fn platform_routes() -> Routes<Identity> {
    Routes::default()
        .route("/events", get(Needs::Global, events::event_list_all))
        .route("/events/export", get(Needs::Global, events::event_export))
        .route("/events/verify", get(Needs::Global, events::event_verify))
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
        .route("/quotas", get(Needs::Global, quotas::quota_list).patch(Needs::Global, quotas::quota_update))
        .route("/users", get(Needs::Global, accounts::user_list))
        .route("/users/{user}", get(Needs::Global, accounts::user_info).patch(Needs::LastingKey, accounts::user_update))
        .route("/users/{user}/identities", get(Needs::Global, identities::user_identity_list))
        .route("/users/{user}/identities/{identity}", delete(Needs::LastingKey, identities::user_identity_delete))
        .route("/users/{user}/password", delete(Needs::LastingKey, passwords::password_delete_of_user))
        .route(
            "/users/{user}/quotas",
            get(Needs::Global, quotas::quota_list_of_user).patch(Needs::Global, quotas::quota_update_of_user),
        )
        .route("/apps/{app}/events", get(Needs::Read, events::event_list))
}

fn team_routes() -> Routes<Identity> {
    Routes::default()
        .route("/teams", get(Needs::Read, teams::team_list).post(Needs::Global, teams::team_create))
        .route("/teams/invitations/{invitation}", get(Needs::Read, team_invitations::team_invitation_info))
        .route("/teams/invitations/{invitation}/accept", post(Needs::Global, team_invitations::team_invitation_accept))
        .route(
            "/teams/invitations/{invitation}/decline",
            post(Needs::Global, team_invitations::team_invitation_decline),
        )
        .route(
            "/teams/{team}",
            get(Needs::Read, teams::team_info)
                .patch(Needs::Global, teams::team_update)
                .delete(Needs::Global, teams::team_delete),
        )
        .route("/teams/{team}/access", get(Needs::Read, teams::team_access_list))
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
        .route(
            "/teams/{team}/service-accounts",
            get(Needs::Read, service_accounts::service_account_list)
                .post(Needs::LastingKey, service_accounts::service_account_create),
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

/// The routes that need no credentials.
pub fn open_routes() -> Routes<Identity> {
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
        .route("/logout", post(Needs::Nothing, sessions::sign_out))
}

/// Adds session cookies to `router`.
pub fn with_sessions<S: Clone + Send + Sync + 'static>(router: Router<S>, base: &Base) -> Router<S> {
    router
        .layer(middleware::from_fn(in_progress::keep))
        .layer(session_cookies::layer(base))
        .layer(middleware::from_fn_with_state(base.clone(), session_cookies::ignore_ambiguous))
}
