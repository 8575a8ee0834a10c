//! The routes of this area.

use axum::{Router, middleware};
use base::{
    Base,
    routes::{RequiredScope, Routes, delete, get, patch, post},
};

use crate::{
    Identity, accounts, authorizations, events, identities, identity_providers, in_progress, invitation_policy, mails,
    next_steps, oauth_clients, passwords, quotas, rate_limits, service_accounts, session_cookies, sessions, sign_in,
    sign_in_links, team_invitations, team_members, teams,
};

/// The routes that need credentials.
pub fn routes() -> Routes<Identity> {
    account_routes().merge(platform_routes()).merge(team_routes())
}

fn account_routes() -> Routes<Identity> {
    Routes::default()
        .route(
            "/account",
            get(RequiredScope::Identity, accounts::account_info).patch(RequiredScope::Global, accounts::account_update),
        )
        .route("/account/identities", get(RequiredScope::Global, identities::identity_list))
        .route("/account/identities/{identity}", delete(RequiredScope::LastingCredential, identities::identity_delete))
        .route("/account/identity-proposals", get(RequiredScope::Global, identities::identity_proposal_list))
        .route(
            "/account/identity-proposals/{proposal}",
            delete(RequiredScope::Global, identities::identity_proposal_delete),
        )
        .route(
            "/account/identity-proposals/{proposal}/accept",
            post(RequiredScope::LastingCredential, identities::identity_proposal_accept),
        )
        .route(
            "/account/password",
            get(RequiredScope::Global, passwords::password_info)
                .post(RequiredScope::LastingCredential, passwords::password_create)
                .patch(RequiredScope::LastingCredential, passwords::password_update)
                .delete(RequiredScope::LastingCredential, passwords::password_delete),
        )
        .route("/account/rate-limits", get(RequiredScope::Identity, rate_limits::rate_limit_info))
        .route("/account/password/actions/confirm", post(RequiredScope::LastingCredential, passwords::password_confirm))
        .route(
            "/account/sessions",
            get(RequiredScope::Global, sessions::session_list)
                .delete(RequiredScope::LastingCredential, sessions::session_delete_others),
        )
        .route("/account/sessions/{session}", delete(RequiredScope::LastingCredential, sessions::session_delete))
        .route("/account/sign-in-links", post(RequiredScope::LastingCredential, sign_in_links::sign_in_link_create))
        .route("/account/team-invitations", get(RequiredScope::Global, team_invitations::team_invitation_list_own))
}

fn platform_routes() -> Routes<Identity> {
    Routes::default()
        .route("/events", get(RequiredScope::Global, events::event_list_all))
        .route("/events/export", get(RequiredScope::Global, events::event_export))
        .route("/events/verify", get(RequiredScope::Global, events::event_verify))
        .route(
            "/identity-providers",
            get(RequiredScope::Global, identity_providers::identity_provider_list)
                .post(RequiredScope::LastingCredential, identity_providers::identity_provider_create),
        )
        .route(
            "/identity-providers/{provider}",
            patch(RequiredScope::LastingCredential, identity_providers::identity_provider_update)
                .delete(RequiredScope::LastingCredential, identity_providers::identity_provider_delete),
        )
        .route(
            "/invitation-policy",
            get(RequiredScope::Global, invitation_policy::invitation_policy_info)
                .patch(RequiredScope::LastingCredential, invitation_policy::invitation_policy_update),
        )
        .route(
            "/mail-server",
            get(RequiredScope::Global, mails::server::mail_server_info)
                .patch(RequiredScope::LastingCredential, mails::server::mail_server_update)
                .delete(RequiredScope::LastingCredential, mails::server::mail_server_delete),
        )
        .route("/mail-server/actions/test", post(RequiredScope::LastingCredential, mails::server::mail_server_test))
        .route(
            "/oauth/authorizations",
            get(RequiredScope::Global, authorizations::authorization_list)
                .post(RequiredScope::Credential, authorizations::authorization_create),
        )
        .route(
            "/oauth/authorizations/{authorization}",
            get(RequiredScope::Global, authorizations::authorization_info)
                .patch(RequiredScope::Global, authorizations::authorization_update)
                .delete(RequiredScope::Global, authorizations::authorization_delete),
        )
        .route(
            "/oauth/authorizations/{authorization}/actions/regenerate-tokens",
            post(RequiredScope::Credential, authorizations::authorization_rotate),
        )
        .route("/oauth/authorize", post(RequiredScope::LastingCredential, oauth_clients::consent::consent_create))
        .route(
            "/oauth/clients",
            get(RequiredScope::LastingCredential, oauth_clients::oauth_client_list)
                .post(RequiredScope::LastingCredential, oauth_clients::oauth_client_create),
        )
        .route(
            "/oauth/clients/{client}",
            get(RequiredScope::LastingCredential, oauth_clients::oauth_client_info)
                .patch(RequiredScope::LastingCredential, oauth_clients::oauth_client_update)
                .delete(RequiredScope::LastingCredential, oauth_clients::oauth_client_delete),
        )
        .route(
            "/oauth/clients/{client}/actions/rotate-credentials",
            post(RequiredScope::LastingCredential, oauth_clients::oauth_client_rotate),
        )
        .route("/oauth/consent", get(RequiredScope::Global, oauth_clients::consent::consent_info))
        .route("/oauth/sessions", get(RequiredScope::Global, sessions::oauth_session_list))
        .route("/oauth/sessions/{session}", delete(RequiredScope::Global, sessions::oauth_session_delete))
        .route(
            "/password-policy",
            get(RequiredScope::Global, passwords::policy::password_policy_info)
                .patch(RequiredScope::LastingCredential, passwords::policy::password_policy_update),
        )
        .route(
            "/quotas",
            get(RequiredScope::Global, quotas::quota_list).patch(RequiredScope::Global, quotas::quota_update),
        )
        .route("/users", get(RequiredScope::Global, accounts::user_list))
        .route(
            "/users/{user}",
            get(RequiredScope::Global, accounts::user_info)
                .patch(RequiredScope::LastingCredential, accounts::user_update),
        )
        .route("/users/{user}/identities", get(RequiredScope::Global, identities::user_identity_list))
        .route(
            "/users/{user}/identities/{identity}",
            delete(RequiredScope::LastingCredential, identities::user_identity_delete),
        )
        .route("/users/{user}/next-step", get(RequiredScope::Global, next_steps::user_next_step))
        .route("/users/{user}/password", delete(RequiredScope::LastingCredential, passwords::password_delete_of_user))
        .route(
            "/users/{user}/quotas",
            get(RequiredScope::Global, quotas::quota_list_of_user)
                .patch(RequiredScope::Global, quotas::quota_update_of_user),
        )
        .route("/apps/{app}/events", get(RequiredScope::Read, events::event_list))
}

fn team_routes() -> Routes<Identity> {
    Routes::default()
        .route("/teams", get(RequiredScope::Read, teams::team_list).post(RequiredScope::Global, teams::team_create))
        .route("/teams/invitations/{invitation}", get(RequiredScope::Read, team_invitations::team_invitation_info))
        .route(
            "/teams/invitations/{invitation}/accept",
            post(RequiredScope::Global, team_invitations::team_invitation_accept),
        )
        .route(
            "/teams/invitations/{invitation}/decline",
            post(RequiredScope::Global, team_invitations::team_invitation_decline),
        )
        .route(
            "/teams/{team}",
            get(RequiredScope::Read, teams::team_info)
                .patch(RequiredScope::Global, teams::team_update)
                .delete(RequiredScope::Global, teams::team_delete),
        )
        .route("/teams/{team}/access", get(RequiredScope::Read, teams::team_access_list))
        .route("/teams/{team}/features", get(RequiredScope::Read, teams::team_feature_list))
        .route(
            "/teams/{team}/invitations",
            get(RequiredScope::Read, team_invitations::team_invitation_list)
                .put(RequiredScope::Global, team_invitations::team_invitation_save),
        )
        .route(
            "/teams/{team}/invitations/{invitation}",
            delete(RequiredScope::Global, team_invitations::team_invitation_delete),
        )
        .route(
            "/teams/{team}/invitations/{invitation}/next-step",
            get(RequiredScope::Global, next_steps::team_invitation_next_step),
        )
        .route(
            "/teams/{team}/members/{member}/next-step",
            get(RequiredScope::Global, next_steps::team_member_next_step),
        )
        .route(
            "/teams/{team}/members",
            get(RequiredScope::Read, team_members::team_member_list)
                .post(RequiredScope::Global, team_members::team_member_create)
                .put(RequiredScope::Global, team_members::team_member_save)
                .patch(RequiredScope::Global, team_members::team_member_update),
        )
        .route(
            "/teams/{team}/quotas",
            get(RequiredScope::Read, quotas::quota_list_of_team)
                .patch(RequiredScope::Global, quotas::quota_update_of_team),
        )
        .route("/teams/{team}/members/{member}", delete(RequiredScope::Global, team_members::team_member_delete))
        .route(
            "/teams/{team}/service-accounts",
            get(RequiredScope::Read, service_accounts::service_account_list)
                .post(RequiredScope::LastingCredential, service_accounts::service_account_create),
        )
        .route(
            "/teams/{team}/service-accounts/{account}",
            delete(RequiredScope::LastingCredential, service_accounts::service_account_delete),
        )
        .route(
            "/teams/{team}/service-accounts/{account}/authorizations",
            get(RequiredScope::Global, service_accounts::authorization_list)
                .post(RequiredScope::Credential, service_accounts::authorization_create),
        )
        .route(
            "/teams/{team}/service-accounts/{account}/authorizations/{authorization}",
            delete(RequiredScope::Global, service_accounts::authorization_delete),
        )
}

/// The routes that need no credentials.
pub fn open_routes() -> Routes<Identity> {
    Routes::default()
        .route("/login/oauth/{provider}", get(RequiredScope::Nothing, sign_in::sign_in_start))
        .route("/login/oauth/{provider}/callback", get(RequiredScope::Nothing, sign_in::sign_in_finish))
        .route("/login/password", post(RequiredScope::Nothing, passwords::sign_in::password_sign_in))
        .route("/login/{secret}", post(RequiredScope::Nothing, sign_in_links::sign_in_link_use))
        .route("/oauth/revoke", post(RequiredScope::Nothing, oauth_clients::tokens::token_delete))
        .route("/oauth/token", post(RequiredScope::Nothing, oauth_clients::tokens::token_create))
        .route("/oauth/tokens", post(RequiredScope::Nothing, oauth_clients::tokens::token_create_json))
        .route("/sign-in-links/{secret}", get(RequiredScope::Nothing, sign_in_links::sign_in_link_info))
        .route("/sign-in-options", get(RequiredScope::Nothing, sign_in::sign_in_options))
        .route("/logout", post(RequiredScope::Nothing, sessions::sign_out))
}

/// Adds session cookies to `router`.
pub fn with_sessions<S: Clone + Send + Sync + 'static>(router: Router<S>, base: &Base) -> Router<S> {
    router
        .layer(middleware::from_fn(in_progress::keep))
        .layer(session_cookies::layer(base))
        .layer(middleware::from_fn_with_state(base.clone(), session_cookies::ignore_ambiguous))
}
