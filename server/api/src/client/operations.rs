//! The operations: a method of the client for each.

use serde_json::Value;

use super::{Asked, Client, json, of, query, segment};
use crate::{
    accounts::{Account, AccountUpdate, UserUpdate},
    app_transfers::{AppTransfer, AppTransferCreate, AppTransferUpdate},
    apps::{App, AppCreate, AppUpdate},
    authorizations::{Authorization, AuthorizationCreate},
    backups::{BackupPolicy, BackupPolicyUpdate},
    buildpack_installations::{BuildpackChoice, BuildpackInstallation, BuildpackInstallationsUpdate},
    builds::{Build, BuildCreate, BuildRedeploy},
    collaborators::{Collaborator, CollaboratorCreate, CollaboratorUpdate, Permission},
    config_vars::{ConfigVars, ConfigVarsUpdate},
    dynos::{Dyno, DynoCreate, DynoExec, DynoSize},
    features::{Feature, FeatureUpdate},
    formation::{Formation, FormationBatchUpdate, FormationUpdate},
    identities::{Identity, IdentityProposal},
    identity_providers::{IdentityProvider, IdentityProviderCreate, IdentityProviderUpdate},
    invitation_policy::{InvitationPolicy, InvitationPolicyUpdate},
    jobs::Job,
    log_drains::{LogDrain, LogDrainCreate},
    log_lines::{LogDensity, LogLine, LogLinesQuery},
    log_sessions::{LogSession, LogSessionCreate},
    metrics::{Metrics, MetricsQuery},
    oauth_clients::{Consent, ConsentQuery, OauthClient, OauthClientCreate},
    passwords::{
        Password, PasswordCreate, PasswordEnrolment, PasswordPolicy, PasswordPolicyUpdate, PasswordProof,
        PasswordSignIn, PasswordUpdate, RecoveryCodes, SignedIn,
    },
    platform::{Event, EventLine, EventQuery, EventVerdict, PlatformInfo},
    quotas::{Quota, QuotaUpdate},
    releases::{Release, ReleaseChanges, ReleaseChangesQuery, ReleaseCreate, RollbackEffects},
    samples::Sample,
    service_accounts::{ServiceAccount, ServiceAccountCreate},
    sessions::{Session, SignInLink, SignInLinkInfo},
    sign_in::SignInOptions,
    slugs::Slug,
    sources::Source,
    stacks::Stack,
    statuses::{AppStatus, AppSummary},
    team_invitations::TeamInvitation,
    team_members::{TeamMember, TeamMemberSave},
    teams::{Team, TeamAccess, TeamAppCreate, TeamAppUpdate, TeamCreate, TeamUpdate},
};

/// Declares the methods: name(arguments) -> reply: METHOD "path", body.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty),*) -> $out:ty: $method:literal $path:expr $(, $body:expr)?;)*) => {
        impl Client {$(
            $(#[$doc])*
            pub fn $name(&self $(, $arg: $ty)*) -> Asked<$out> {
                #[allow(unused_mut, unused_assignments)]
                let mut body: Option<Value> = None;
                $(body = json($body);)?
                self.call::<$out>($method, $path, body)
            }
        )*}
    };
}

pub(super) use calls;

macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty),*) -> $out:ty: $path:expr;)*) => {
        impl Client {$(
            $(#[$doc])*
            pub fn $name(&self $(, $arg: $ty)*) -> Asked<Vec<$out>> {
                self.list::<$out>($path, None)
            }
        )*}
    };
}

calls! {
    /// The caller's account.
    account_info() -> Account: "GET" "/account".into();
    /// Changes the caller's account.
    account_update(update: &AccountUpdate) -> Account: "PATCH" "/account".into(), update;
    /// Creates a token, which is only in this response.
    authorization_create(create: &AuthorizationCreate) -> Authorization: "POST" "/oauth/authorizations".into(), create;
    /// Revokes a token.
    authorization_delete(id: &str) -> Authorization: "DELETE" format!("/oauth/authorizations/{}", segment(id));
    /// Creates an app.
    app_create(create: &AppCreate) -> App: "POST" "/apps".into(), create;
    /// One app.
    app_info(app: &str) -> App: "GET" of(app, "");
    /// Renames an app, sets its maintenance mode or its stack.
    app_update(app: &str, update: &AppUpdate) -> App: "PATCH" of(app, ""), update;
    /// Destroys an app and all its data.
    app_delete(app: &str) -> App: "DELETE" of(app, "");
    /// The status of an app.
    app_status(app: &str) -> AppStatus: "GET" of(app, "/status");
    /// Where to upload source code for a build.
    source_create(app: &str) -> Source: "POST" of(app, "/sources");
    /// Starts a build.
    build_create(app: &str, create: &BuildCreate) -> Build: "POST" of(app, "/builds"), create;
    /// Builds the source of the current release again.
    build_redeploy(app: &str, redeploy: &BuildRedeploy) -> Build: "POST" of(app, "/actions/redeploy"), redeploy;
    /// One build.
    build_info(app: &str, build: &str) -> Build: "GET" of(app, &format!("/builds/{}", segment(build)));
    /// Cancels a build.
    build_cancel(app: &str, build: &str) -> Build: "DELETE" of(app, &format!("/builds/{}", segment(build)));
    /// Empties the build cache of an app.
    build_cache_delete(app: &str) -> Value: "DELETE" of(app, "/build-cache");
    /// Cancels the release phase of a release.
    release_cancel(app: &str, release: &str) -> Release:
        "POST" of(app, &format!("/releases/{}/actions/cancel", segment(release)));
    /// All config vars of an app.
    config_vars_info(app: &str) -> ConfigVars: "GET" of(app, "/config-vars");
    /// Sets and unsets config vars in one release.
    config_vars_update(app: &str, update: &ConfigVarsUpdate) -> ConfigVars: "PATCH" of(app, "/config-vars"), update;
    /// The config vars of a release.
    release_config_vars(app: &str, release: &str) -> ConfigVars:
        "GET" of(app, &format!("/releases/{}/config-vars", segment(release)));
    /// Runs a one-off dyno.
    dyno_create(app: &str, create: &DynoCreate) -> Dyno: "POST" of(app, "/dynos"), create;
    /// Runs a further process in a dyno.
    dyno_exec(app: &str, dyno: &str, exec: &DynoExec) -> Dyno:
        "POST" of(app, &format!("/dynos/{}", segment(dyno))), exec;
    /// One dyno, by name or id; a one-off dyno also if it has ended.
    dyno_info(app: &str, dyno: &str) -> Dyno: "GET" of(app, &format!("/dynos/{}", segment(dyno)));
    /// Restarts all dynos of an app.
    dyno_restart_all(app: &str) -> Value: "DELETE" of(app, "/dynos");
    /// Restarts one dyno, `web.1`.
    dyno_restart(app: &str, dyno: &str) -> Value: "DELETE" of(app, &format!("/dynos/{}", segment(dyno)));
    /// Stops one dyno; the formation may start a replacement.
    dyno_stop(app: &str, dyno: &str) -> Value: "POST" of(app, &format!("/dynos/{}/actions/stop", segment(dyno)));
    /// Restarts all dynos of a process type.
    formation_restart(app: &str, kind: &str) -> Value: "DELETE" of(app, &format!("/formations/{}", segment(kind)));
    /// Stops all dynos of a process type; replacements are started.
    formation_stop(app: &str, kind: &str) -> Value:
        "POST" of(app, &format!("/formations/{}/actions/stop", segment(kind)));
    /// Scales and resizes several process types at once.
    formation_batch_update(app: &str, update: &FormationBatchUpdate) -> Vec<Formation>:
        "PATCH" of(app, "/formation"), update;
    /// Scales or resizes one process type.
    formation_update(app: &str, kind: &str, update: &FormationUpdate) -> Formation:
        "PATCH" of(app, &format!("/formation/{}", segment(kind))), update;
    /// Enables or disables a feature of an app.
    feature_update(app: &str, feature: &str, update: &FeatureUpdate) -> Feature:
        "PATCH" of(app, &format!("/features/{}", segment(feature))), update;
    /// Adds a drain.
    log_drain_create(app: &str, create: &LogDrainCreate) -> LogDrain: "POST" of(app, "/log-drains"), create;
    /// Removes a drain by id, token or URL.
    log_drain_delete(app: &str, drain: &str) -> LogDrain: "DELETE" of(app, &format!("/log-drains/{}", segment(drain)));
    /// Opens a log session.
    log_session_create(app: &str, create: &LogSessionCreate) -> LogSession: "POST" of(app, "/log-sessions"), create;
    /// The last matching log lines, oldest first.
    log_line_list(app: &str, params: &LogLinesQuery) -> Vec<LogLine>: "GET" of(app, &format!("/log-lines{}", query(params)));
    /// The number of log lines over time.
    log_density_info(app: &str, params: &LogLinesQuery) -> LogDensity:
        "GET" of(app, &format!("/log-density{}", query(params)));
    /// Metrics.
    metrics_info(app: &str, params: &MetricsQuery) -> Metrics: "GET" of(app, &format!("/metrics{}", query(params)));
    /// One release by id or version.
    release_info(app: &str, release: &str) -> Release: "GET" of(app, &format!("/releases/{}", segment(release)));
    /// Releases a slug, or rolls back to an earlier release.
    release_create(app: &str, create: &ReleaseCreate) -> Release: "POST" of(app, "/releases"), create;
    /// The effects of a rollback to a release; changes nothing.
    release_rollback_effects(app: &str, release: &str) -> RollbackEffects:
        "GET" of(app, &format!("/releases/{}/rollback", segment(release)));
    /// The differences between two releases.
    release_changes(app: &str, release: &str, params: &ReleaseChangesQuery) -> ReleaseChanges:
        "GET" of(app, &format!("/releases/{}/changes{}", segment(release), query(params)));
    /// Commits a sample to an app's empty repository and builds it.
    sample_deploy(app: &str, sample: &str) -> Build: "POST" of(app, &format!("/samples/{}", segment(sample)));
    /// One slug.
    slug_info(app: &str, slug: &str) -> Slug: "GET" of(app, &format!("/slugs/{}", segment(slug)));
    /// Replaces the buildpacks of an app.
    buildpack_installation_update(app: &str, buildpacks: &[String]) -> Vec<BuildpackInstallation>:
        "PUT" of(app, "/buildpack-installations"),
        BuildpackInstallationsUpdate {
            updates: buildpacks.iter().map(|b| BuildpackChoice { buildpack: Some(b.clone()) }).collect(),
        };
    /// Adds a collaborator.
    collaborator_create(app: &str, create: &CollaboratorCreate) -> Collaborator: "POST" of(app, "/collaborators"), create;
    /// Removes a collaborator.
    collaborator_delete(app: &str, who: &str) -> Collaborator: "DELETE" of(app, &format!("/collaborators/{}", segment(who)));
    /// Changes the permissions of a collaborator.
    collaborator_update(app: &str, who: &str, update: &CollaboratorUpdate) -> Collaborator:
        "PATCH" format!("/teams/apps/{}/collaborators/{}", segment(app), segment(who)), update;
    /// Offers one of the caller's apps to a user.
    app_transfer_create(create: &AppTransferCreate) -> AppTransfer: "POST" "/account/app-transfers".into(), create;
    /// Accepts or declines a transfer to the caller.
    app_transfer_update(id: &str, update: &AppTransferUpdate) -> AppTransfer:
        "PATCH" format!("/account/app-transfers/{}", segment(id)), update;
    /// Withdraws a transfer.
    app_transfer_delete(id: &str) -> AppTransfer: "DELETE" format!("/account/app-transfers/{}", segment(id));
    /// Creates a team, with the caller as its admin.
    team_create(create: &TeamCreate) -> Team: "POST" "/teams".into(), create;
    /// One team.
    team_info(team: &str) -> Team: "GET" format!("/teams/{}", segment(team));
    /// Renames a team.
    team_update(team: &str, update: &TeamUpdate) -> Team: "PATCH" format!("/teams/{}", segment(team)), update;
    /// Deletes a team that has no apps.
    team_delete(team: &str) -> Team: "DELETE" format!("/teams/{}", segment(team));
    /// Creates an app of a team.
    team_app_create(create: &TeamAppCreate) -> App: "POST" "/teams/apps".into(), create;
    /// Locks an app, or transfers it to a team or a user.
    team_app_update(app: &str, update: &TeamAppUpdate) -> App:
        "PATCH" format!("/teams/apps/{}", segment(app)), update;
    /// Adds a member, or changes a member's role.
    team_member_save(team: &str, save: &TeamMemberSave) -> TeamMember:
        "PUT" format!("/teams/{}/members", segment(team)), save;
    /// Changes a member's role.
    team_member_update(team: &str, save: &TeamMemberSave) -> TeamMember:
        "PATCH" format!("/teams/{}/members", segment(team)), save;
    /// Removes a member from a team.
    team_member_delete(team: &str, who: &str) -> TeamMember:
        "DELETE" format!("/teams/{}/members/{}", segment(team), segment(who));
    /// Suspends or reinstates an account, or grants or revokes administrator rights.
    user_update(user: &str, update: &UserUpdate) -> Account:
        "PATCH" format!("/users/{}", segment(user)), update;
    /// Removes the password of a user who has lost their second factor.
    user_password_delete(user: &str) -> serde_json::Value:
        "DELETE" format!("/users/{}/password", segment(user));
    /// Sets default quotas.
    quota_update(update: &QuotaUpdate) -> Vec<Quota>:
        "PATCH" "/quotas".into(), update;
    /// Sets quotas of an account.
    user_quota_update(user: &str, update: &QuotaUpdate) -> Vec<Quota>:
        "PATCH" format!("/users/{}/quotas", segment(user)), update;
    /// Sets quotas of a team.
    team_quota_update(team: &str, update: &QuotaUpdate) -> Vec<Quota>:
        "PATCH" format!("/teams/{}/quotas", segment(team)), update;
    /// Invites a user to a team.
    team_invitation_save(team: &str, save: &TeamMemberSave) -> TeamInvitation:
        "PUT" format!("/teams/{}/invitations", segment(team)), save;
    /// Revokes an invitation.
    team_invitation_delete(team: &str, who: &str) -> TeamInvitation:
        "DELETE" format!("/teams/{}/invitations/{}", segment(team), segment(who));
    /// Accepts an invitation.
    team_invitation_accept(id: &str) -> TeamInvitation:
        "POST" format!("/teams/invitations/{}/accept", segment(id));
    /// Declines an invitation.
    team_invitation_decline(id: &str) -> TeamInvitation:
        "POST" format!("/teams/invitations/{}/decline", segment(id));
    /// Creates a service account.
    service_account_create(team: &str, create: &ServiceAccountCreate) -> ServiceAccount:
        "POST" format!("/teams/{}/service-accounts", segment(team)), create;
    /// Removes a service account with all its access.
    service_account_delete(team: &str, who: &str) -> ServiceAccount:
        "DELETE" format!("/teams/{}/service-accounts/{}", segment(team), segment(who));
    /// Creates a token of a service account, which is only in this response.
    service_account_authorization_create(team: &str, who: &str, create: &AuthorizationCreate) -> Authorization:
        "POST" format!("/teams/{}/service-accounts/{}/authorizations", segment(team), segment(who)), create;
    /// Revokes a token of a service account.
    service_account_authorization_delete(team: &str, who: &str, id: &str) -> Authorization:
        "DELETE" format!("/teams/{}/service-accounts/{}/authorizations/{}", segment(team), segment(who), segment(id));
    /// Unlinks an identity from the caller's account.
    identity_delete(id: &str) -> Value: "DELETE" format!("/account/identities/{}", segment(id));
    /// Accepts a pending identity for the caller's account.
    identity_proposal_accept(id: &str) -> Identity:
        "POST" format!("/account/identity-proposals/{}/accept", segment(id));
    /// Declines a pending identity.
    identity_proposal_delete(id: &str) -> Value: "DELETE" format!("/account/identity-proposals/{}", segment(id));
    /// Unlinks an identity from an account.
    user_identity_delete(user: &str, id: &str) -> Value:
        "DELETE" format!("/users/{}/identities/{}", segment(user), segment(id));
    /// Adds an identity provider.
    identity_provider_create(create: &IdentityProviderCreate) -> IdentityProvider:
        "POST" "/identity-providers".into(), create;
    /// Changes an identity provider.
    identity_provider_update(name: &str, update: &IdentityProviderUpdate) -> IdentityProvider:
        "PATCH" format!("/identity-providers/{}", segment(name)), update;
    /// Removes an identity provider.
    identity_provider_delete(name: &str) -> IdentityProvider:
        "DELETE" format!("/identity-providers/{}", segment(name));
    /// The state of the caller's password.
    password_info() -> Password: "GET" "/account/password".into();
    /// Starts setting the caller's password; the TOTP secret is only in this response.
    password_create(create: &PasswordCreate) -> PasswordEnrolment: "POST" "/account/password".into(), create;
    /// Confirms the new password; the recovery codes are only in this response.
    password_confirm(proof: &PasswordProof) -> RecoveryCodes: "POST" "/account/password/actions/confirm".into(), proof;
    /// Changes the caller's password.
    password_update(update: &PasswordUpdate) -> Password: "PATCH" "/account/password".into(), update;
    /// Removes the caller's password.
    password_delete(proof: &PasswordProof) -> Password: "DELETE" "/account/password".into(), proof;
    /// Signs this browser in.
    password_sign_in(sign_in: &PasswordSignIn) -> SignedIn: "POST" "/login/password".into(), sign_in;
    /// Whether password sign-in is on.
    password_policy_info() -> PasswordPolicy: "GET" "/password-policy".into();
    /// Turns password sign-in on or off.
    password_policy_update(update: &PasswordPolicyUpdate) -> PasswordPolicy:
        "PATCH" "/password-policy".into(), update;
    /// The invitation policy.
    invitation_policy_info() -> InvitationPolicy: "GET" "/invitation-policy".into();
    /// Changes the invitation policy.
    invitation_policy_update(update: &InvitationPolicyUpdate) -> InvitationPolicy:
        "PATCH" "/invitation-policy".into(), update;
    /// The sign-in methods.
    sign_in_options() -> SignInOptions: "GET" "/sign-in-options".into();
    /// The consent that a program requests.
    consent_info(params: &ConsentQuery) -> Consent: "GET" format!("/oauth/consent{}", query(params));
    /// Creates an OAuth client.
    oauth_client_create(create: &OauthClientCreate) -> OauthClient: "POST" "/oauth/clients".into(), create;
    /// Removes an OAuth client with its tokens.
    oauth_client_delete(id: &str) -> OauthClient: "DELETE" format!("/oauth/clients/{}", segment(id));
    /// The state of the platform.
    platform_info() -> PlatformInfo: "GET" "/platform".into();
    /// One job, with its steps.
    job_info(id: &str) -> Job: "GET" format!("/jobs/{}", segment(id));
    /// Cancels a job.
    job_cancel(id: &str) -> Job: "POST" format!("/jobs/{}/actions/cancel", segment(id));
    /// Where and when the platform is backed up.
    backup_policy_info() -> BackupPolicy: "GET" "/backup-policy".into();
    /// Changes where and when the platform is backed up.
    backup_policy_update(update: &BackupPolicyUpdate) -> BackupPolicy: "PATCH" "/backup-policy".into(), update;
    /// Runs the job of a schedule now.
    schedule_run(name: &str) -> Job: "POST" format!("/schedules/{}/actions/run", segment(name));
    /// Ends a console session.
    session_delete(id: &str) -> Value: "DELETE" format!("/account/sessions/{}", segment(id));
    /// The account of a one-time link; does not use it up.
    sign_in_link_info(secret: &str) -> SignInLinkInfo: "GET" format!("/sign-in-links/{}", segment(secret));
    /// Ends all console sessions of the caller except this one.
    session_delete_others() -> Value: "DELETE" "/account/sessions".into();
    /// Whether the audit log is intact.
    event_verify() -> EventVerdict: "GET" "/events/verify".into();
    /// Creates a one-time sign-in link.
    sign_in_link_create() -> SignInLink: "POST" "/account/sign-in-links".into();
}

lists! {
    /// The caller's tokens, masked.
    authorization_list() -> Authorization: "/oauth/authorizations".into();
    /// All apps visible to the caller.
    app_list() -> App: "/apps".into();
    /// The status of all apps visible to the caller.
    app_summary_list() -> AppSummary: "/app-statuses".into();
    /// The builds of an app, oldest first.
    build_list(app: &str) -> Build: of(app, "/builds");
    /// The buildpacks of an app, in order.
    buildpack_installation_list(app: &str) -> BuildpackInstallation: of(app, "/buildpack-installations");
    /// The collaborators of an app.
    collaborator_list(app: &str) -> Collaborator: of(app, "/collaborators");
    /// The dynos of an app.
    dyno_list(app: &str) -> Dyno: of(app, "/dynos");
    /// All dyno sizes.
    dyno_size_list() -> DynoSize: "/dyno-sizes".into();
    /// The events of an app, newest first.
    event_list(app: &str, max: u32) -> Event: of(app, &format!("/events?max={max}"));
    /// Without events that only report the success of an operation that is already listed.
    event_list_news(app: &str, max: u32) -> EventLine: of(app, &format!("/events?max={max}&news=true"));
    /// All events, newest first.
    event_list_all() -> Event: "/events".into();
    /// Matching events, newest first.
    event_find(params: &EventQuery) -> Event: format!("/events{}", query(params));
    /// The features of an app.
    feature_list(app: &str) -> Feature: of(app, "/features");
    /// The process types of an app.
    formation_list(app: &str) -> Formation: of(app, "/formation");
    /// The caller's linked identities.
    identity_list() -> Identity: "/account/identities".into();
    /// The caller's pending identities.
    identity_proposal_list() -> IdentityProposal: "/account/identity-proposals".into();
    /// The linked identities of an account, for administrators.
    user_identity_list(user: &str) -> Identity: format!("/users/{}/identities", segment(user));
    /// All identity providers.
    identity_provider_list() -> IdentityProvider: "/identity-providers".into();
    /// The drains of an app.
    log_drain_list(app: &str) -> LogDrain: of(app, "/log-drains");
    /// The bundled samples.
    sample_list() -> Sample: "/samples".into();
    /// The caller's OAuth clients.
    oauth_client_list() -> OauthClient: "/oauth/clients".into();
    /// All accounts, for administrators.
    user_list() -> Account: "/users".into();
    /// The default quotas.
    quota_list() -> Quota: "/quotas".into();
    /// Quotas and usage of an account; `~` is the caller.
    user_quota_list(user: &str) -> Quota: format!("/users/{}/quotas", segment(user));
    /// Quotas and usage of a team.
    team_quota_list(team: &str) -> Quota: format!("/teams/{}/quotas", segment(team));
    /// The caller's console sessions.
    session_list() -> Session: "/account/sessions".into();
    /// Transfers to and from the caller.
    app_transfer_list() -> AppTransfer: "/account/app-transfers".into();
    /// The caller's teams.
    team_list() -> Team: "/teams".into();
    /// The apps of a team that are visible to the caller.
    team_app_list(team: &str) -> App: format!("/teams/{}/apps", segment(team));
    /// The permissions on the apps of a team.
    team_access_list(team: &str) -> TeamAccess: format!("/teams/{}/access", segment(team));
    /// The members of a team.
    team_member_list(team: &str) -> TeamMember: format!("/teams/{}/members", segment(team));
    /// The pending invitations of a team.
    team_invitation_list(team: &str) -> TeamInvitation: format!("/teams/{}/invitations", segment(team));
    /// The caller's pending invitations.
    team_invitation_list_own() -> TeamInvitation: "/account/team-invitations".into();
    /// The service accounts of a team.
    service_account_list(team: &str) -> ServiceAccount: format!("/teams/{}/service-accounts", segment(team));
    /// The tokens of a service account, masked.
    service_account_authorization_list(team: &str, who: &str) -> Authorization:
        format!("/teams/{}/service-accounts/{}/authorizations", segment(team), segment(who));
    /// The permissions that a collaborator can have.
    permission_list() -> Permission: "/teams/permissions".into();
    /// All stacks.
    stack_list() -> Stack: "/stacks".into();
}
