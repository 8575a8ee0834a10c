//! The client: one method for each thing that can be asked.
//!
//! A [`Transport`] carries requests: `fetch` in the browser, the router in process while
//! rendering on the server, TCP in the command line. Methods return futures that own
//! everything they need, so that they can be put into resources and tasks. Lists that come
//! in pages are read by [`lists`].

mod lists;

use std::{
    collections::BTreeMap,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Error,
    accounts::{Account, AccountUpdate, UserUpdate},
    app_transfers::{AppTransfer, AppTransferCreate, AppTransferUpdate},
    apps::{App, AppCreate, AppUpdate},
    authorizations::{Authorization, AuthorizationCreate},
    buildpack_installations::{BuildpackChoice, BuildpackInstallation, BuildpackInstallationsUpdate},
    builds::Build,
    collaborators::{Collaborator, CollaboratorCreate, CollaboratorUpdate, Permission},
    config_vars::{ConfigVars, ConfigVarsUpdate},
    dynos::{Dyno, DynoSize},
    features::{Feature, FeatureUpdate},
    formation::{Formation, FormationBatchUpdate, FormationUpdate},
    identities::{Identity, IdentityProposal},
    identity_providers::{IdentityProvider, IdentityProviderCreate, IdentityProviderUpdate},
    invitation_policy::{InvitationPolicy, InvitationPolicyUpdate},
    log_drains::{LogDrain, LogDrainCreate},
    log_lines::{LogDensity, LogLine, LogLinesQuery},
    log_sessions::{LogSession, LogSessionCreate},
    metrics::{Metrics, MetricsQuery},
    oauth_clients::{Consent, ConsentQuery, OauthClient, OauthClientCreate},
    passwords::{
        Password, PasswordCreate, PasswordEnrolment, PasswordPolicy, PasswordPolicyUpdate, PasswordProof,
        PasswordSignIn, PasswordUpdate, RecoveryCodes, SignedIn,
    },
    platform::{Event, EventQuery, EventVerdict, PlatformInfo},
    quotas::{Quota, QuotaUpdate},
    releases::{Release, ReleaseChanges, ReleaseChangesQuery, ReleaseCreate, RollbackEffects},
    samples::Sample,
    service_accounts::{ServiceAccount, ServiceAccountCreate},
    sessions::{Session, SignInLink, SignInLinkInfo},
    sign_in::SignInOptions,
    slugs::Slug,
    stacks::Stack,
    statuses::{AppStatus, AppSummary},
    team_invitations::TeamInvitation,
    team_members::{TeamMember, TeamMemberSave},
    teams::{Team, TeamAccess, TeamAppCreate, TeamAppUpdate, TeamCreate, TeamUpdate},
};

pub use self::lists::{Page, Rows};

/// The `Accept` header that tells API requests from requests for pages.
pub const ACCEPT: &str = "application/vnd.heroku+json; version=3";

/// A request, ready to be carried. Two that are equal have the same answer, as long as nothing changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Request {
    pub method: &'static str,
    /// Path and query, percent-encoded.
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    /// JSON, or empty.
    pub body: Vec<u8>,
}

/// An answer as it came.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// What a transport returns.
pub type Carried = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send>>;

/// Carries requests to the platform, with the credentials of whoever asks.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` and waits for the whole answer. Fails only when no answer came.
    fn send(&self, request: Request) -> Carried;
}

/// Asks the platform.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
}

/// Percent-encodes one path segment.
pub fn segment(s: &str) -> String {
    s.bytes().fold(String::new(), |mut out, b| {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(b as char),
            _ => out.push_str(&format!("%{b:02X}")),
        }
        out
    })
}

/// The query string of a flat struct: `?a=1&b=2`, or nothing.
pub fn query<T: Serialize>(params: &T) -> String {
    let Ok(Value::Object(fields)) = serde_json::to_value(params) else { return String::new() };
    let pairs: Vec<String> = fields
        .iter()
        .filter_map(|(key, value)| match value {
            Value::Null => None,
            Value::String(s) => Some(format!("{}={}", segment(key), segment(s))),
            other => Some(format!("{}={}", segment(key), segment(&other.to_string()))),
        })
        .collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// An answer on its way, in JSON.
pub type Text = Pin<Box<dyn Future<Output = Result<String, Error>> + Send>>;

/// A question that is on its way. Awaited, it is its answer.
pub struct Asked<T> {
    answer: Text,
    reads: PhantomData<fn() -> T>,
}

impl<T> Asked<T> {
    fn new(answer: impl Future<Output = Result<String, Error>> + Send + 'static) -> Self {
        Self { answer: Box::pin(answer), reads: PhantomData }
    }

    /// The answer as it came, in JSON, for whoever [reads](read) it later.
    pub fn text(self) -> Text {
        self.answer
    }

    /// Takes `instead`, in JSON, for a refusal that `fits`.
    pub fn or<U>(self, fits: fn(&Error) -> bool, instead: &'static str) -> Asked<U> {
        Asked::new(async move {
            match self.answer.await {
                Err(err) if fits(&err) => Ok(instead.to_owned()),
                answer => answer,
            }
        })
    }
}

impl<T: DeserializeOwned> Future for Asked<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.answer.as_mut().poll(cx));
        Poll::Ready(answer.and_then(|text| read(&text)))
    }
}

/// Reads an answer.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|err| unreadable(&err))
}

fn unreadable(why: &dyn std::fmt::Display) -> Error {
    Error::unreadable(200, format!("The answer of the platform could not be read: {why}."))
}

/// The body of an answer that is no refusal. Those without a body stand for `()` or `null`.
fn body(reply: Reply) -> Result<String, Error> {
    if !(200..300).contains(&reply.status) {
        return Err(refusal(&reply));
    }
    let text = String::from_utf8(reply.body).map_err(|err| unreadable(&err))?;
    Ok(if text.is_empty() { "null".to_owned() } else { text })
}

fn refusal(reply: &Reply) -> Error {
    let text = String::from_utf8_lossy(&reply.body);
    let mut error: Error = serde_json::from_str(&text).unwrap_or_else(|_| {
        let text = text.trim();
        let said = if text.is_empty() || text.starts_with('<') { "nothing that can be read" } else { text };
        Error::unreadable(reply.status, format!("The platform answered {} and said: {said}", reply.status))
    });
    error.status = reply.status;
    error.request_id = reply.headers.get("request-id").cloned();
    error
}

impl Client {
    /// A client that asks through `transport`.
    pub fn new(transport: impl Transport) -> Self {
        Self { transport: Arc::new(transport) }
    }

    /// Sends any request and reads its answer as JSON. The other methods are shorter.
    pub fn call<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &'static str,
        path: String,
        body: Option<Value>,
    ) -> Asked<T> {
        Asked::new(carried(self.transport.clone(), request(method, path, body)))
    }
}

async fn carried(transport: Arc<dyn Transport>, request: Request) -> Result<String, Error> {
    body(transport.send(request).await?)
}

fn request(method: &'static str, path: String, body: Option<Value>) -> Request {
    let mut headers = vec![("accept", ACCEPT.to_owned())];
    let body = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
    if !body.is_empty() {
        headers.push(("content-type", "application/json".to_owned()));
    }
    Request { method, path, headers, body }
}

fn json<T: Serialize>(value: T) -> Option<Value> {
    Some(serde_json::to_value(value).expect("wire types are plain data, which always serialises"))
}

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

fn of(app: &str, rest: &str) -> String {
    format!("/apps/{}{rest}", segment(app))
}

calls! {
    /// Who am I?
    account_info() -> Account: "GET" "/account".into();
    /// Changes my own account.
    account_update(update: &AccountUpdate) -> Account: "PATCH" "/account".into(), update;
    /// Makes a token; the answer is the only one that shows it.
    authorization_create(create: &AuthorizationCreate) -> Authorization: "POST" "/oauth/authorizations".into(), create;
    /// Revokes a token.
    authorization_delete(id: &str) -> Authorization: "DELETE" format!("/oauth/authorizations/{}", segment(id));
    /// Makes an app.
    app_create(create: &AppCreate) -> App: "POST" "/apps".into(), create;
    /// One app.
    app_info(app: &str) -> App: "GET" of(app, "");
    /// Renames an app, or switches maintenance mode, or chooses a stack.
    app_update(app: &str, update: &AppUpdate) -> App: "PATCH" of(app, ""), update;
    /// Destroys an app and everything in it.
    app_delete(app: &str) -> App: "DELETE" of(app, "");
    /// An app at a glance.
    app_status(app: &str) -> AppStatus: "GET" of(app, "/status");
    /// One build.
    build_info(app: &str, build: &str) -> Build: "GET" of(app, &format!("/builds/{}", segment(build)));
    /// Cancels a build.
    build_cancel(app: &str, build: &str) -> Build: "DELETE" of(app, &format!("/builds/{}", segment(build)));
    /// All config vars of an app.
    config_vars_info(app: &str) -> ConfigVars: "GET" of(app, "/config-vars");
    /// Sets and unsets config vars, as one release.
    config_vars_update(app: &str, update: &ConfigVarsUpdate) -> ConfigVars: "PATCH" of(app, "/config-vars"), update;
    /// The config vars of a release.
    release_config_vars(app: &str, release: &str) -> ConfigVars:
        "GET" of(app, &format!("/releases/{}/config-vars", segment(release)));
    /// Restarts all dynos of an app.
    dyno_restart_all(app: &str) -> Value: "DELETE" of(app, "/dynos");
    /// Restarts one dyno, `web.1`.
    dyno_restart(app: &str, dyno: &str) -> Value: "DELETE" of(app, &format!("/dynos/{}", segment(dyno)));
    /// Stops one dyno; one of the formation is started again.
    dyno_stop(app: &str, dyno: &str) -> Value: "POST" of(app, &format!("/dynos/{}/actions/stop", segment(dyno)));
    /// Restarts all dynos of a process type.
    formation_restart(app: &str, kind: &str) -> Value: "DELETE" of(app, &format!("/formations/{}", segment(kind)));
    /// Stops all dynos of a process type; they are started again.
    formation_stop(app: &str, kind: &str) -> Value:
        "POST" of(app, &format!("/formations/{}/actions/stop", segment(kind)));
    /// Scales and sizes several process types at once.
    formation_batch_update(app: &str, update: &FormationBatchUpdate) -> Vec<Formation>:
        "PATCH" of(app, "/formation"), update;
    /// Scales or sizes one process type.
    formation_update(app: &str, kind: &str, update: &FormationUpdate) -> Formation:
        "PATCH" of(app, &format!("/formation/{}", segment(kind))), update;
    /// Moves a switch of an app.
    feature_update(app: &str, feature: &str, update: &FeatureUpdate) -> Feature:
        "PATCH" of(app, &format!("/features/{}", segment(feature))), update;
    /// Adds a drain.
    log_drain_create(app: &str, create: &LogDrainCreate) -> LogDrain: "POST" of(app, "/log-drains"), create;
    /// Removes a drain by id, token or address.
    log_drain_delete(app: &str, drain: &str) -> LogDrain: "DELETE" of(app, &format!("/log-drains/{}", segment(drain)));
    /// Opens a log session.
    log_session_create(app: &str, create: &LogSessionCreate) -> LogSession: "POST" of(app, "/log-sessions"), create;
    /// The last log lines that match, oldest first.
    log_line_list(app: &str, params: &LogLinesQuery) -> Vec<LogLine>: "GET" of(app, &format!("/log-lines{}", query(params)));
    /// How many log lines there were, over time.
    log_density_info(app: &str, params: &LogLinesQuery) -> LogDensity:
        "GET" of(app, &format!("/log-density{}", query(params)));
    /// What was measured.
    metrics_info(app: &str, params: &MetricsQuery) -> Metrics: "GET" of(app, &format!("/metrics{}", query(params)));
    /// One release by id or version.
    release_info(app: &str, release: &str) -> Release: "GET" of(app, &format!("/releases/{}", segment(release)));
    /// Releases a slug, or goes back to an earlier release.
    release_create(app: &str, create: &ReleaseCreate) -> Release: "POST" of(app, "/releases"), create;
    /// What going back to a release would do; changes nothing.
    release_rollback_effects(app: &str, release: &str) -> RollbackEffects:
        "GET" of(app, &format!("/releases/{}/rollback", segment(release)));
    /// What is different between two releases.
    release_changes(app: &str, release: &str, params: &ReleaseChangesQuery) -> ReleaseChanges:
        "GET" of(app, &format!("/releases/{}/changes{}", segment(release), query(params)));
    /// Puts a sample into an app's empty repository and builds it.
    sample_deploy(app: &str, sample: &str) -> Build: "POST" of(app, &format!("/samples/{}", segment(sample)));
    /// One slug.
    slug_info(app: &str, slug: &str) -> Slug: "GET" of(app, &format!("/slugs/{}", segment(slug)));
    /// Replaces the buildpacks of an app.
    buildpack_installation_update(app: &str, buildpacks: &[String]) -> Vec<BuildpackInstallation>:
        "PUT" of(app, "/buildpack-installations"),
        BuildpackInstallationsUpdate {
            updates: buildpacks.iter().map(|b| BuildpackChoice { buildpack: Some(b.clone()) }).collect(),
        };
    /// Lets somebody work on an app.
    collaborator_create(app: &str, create: &CollaboratorCreate) -> Collaborator: "POST" of(app, "/collaborators"), create;
    /// Takes somebody off an app.
    collaborator_delete(app: &str, who: &str) -> Collaborator: "DELETE" of(app, &format!("/collaborators/{}", segment(who)));
    /// Says anew what somebody may do with an app.
    collaborator_update(app: &str, who: &str, update: &CollaboratorUpdate) -> Collaborator:
        "PATCH" format!("/teams/apps/{}/collaborators/{}", segment(app), segment(who)), update;
    /// Offers an app of mine to somebody.
    app_transfer_create(create: &AppTransferCreate) -> AppTransfer: "POST" "/account/app-transfers".into(), create;
    /// Accepts or declines an app that was offered to me.
    app_transfer_update(id: &str, update: &AppTransferUpdate) -> AppTransfer:
        "PATCH" format!("/account/app-transfers/{}", segment(id)), update;
    /// Takes an offer back.
    app_transfer_delete(id: &str) -> AppTransfer: "DELETE" format!("/account/app-transfers/{}", segment(id));
    /// Makes a team, whose admin I am.
    team_create(create: &TeamCreate) -> Team: "POST" "/teams".into(), create;
    /// One team.
    team_info(team: &str) -> Team: "GET" format!("/teams/{}", segment(team));
    /// Renames a team.
    team_update(team: &str, update: &TeamUpdate) -> Team: "PATCH" format!("/teams/{}", segment(team)), update;
    /// Removes a team that has no apps.
    team_delete(team: &str) -> Team: "DELETE" format!("/teams/{}", segment(team));
    /// Makes an app of a team.
    team_app_create(create: &TeamAppCreate) -> App: "POST" "/teams/apps".into(), create;
    /// Locks an app, or gives it to a team or a person.
    team_app_update(app: &str, update: &TeamAppUpdate) -> App:
        "PATCH" format!("/teams/apps/{}", segment(app)), update;
    /// Makes somebody a member, or gives a member another role.
    team_member_save(team: &str, save: &TeamMemberSave) -> TeamMember:
        "PUT" format!("/teams/{}/members", segment(team)), save;
    /// Gives a member another role.
    team_member_update(team: &str, save: &TeamMemberSave) -> TeamMember:
        "PATCH" format!("/teams/{}/members", segment(team)), save;
    /// Takes somebody out of a team.
    team_member_delete(team: &str, who: &str) -> TeamMember:
        "DELETE" format!("/teams/{}/members/{}", segment(team), segment(who));
    /// Suspends somebody's account, or makes them an administrator; or takes that back.
    user_update(user: &str, update: &UserUpdate) -> Account:
        "PATCH" format!("/users/{}", segment(user)), update;
    /// Removes the password of somebody who can make no codes any more.
    user_password_delete(user: &str) -> serde_json::Value:
        "DELETE" format!("/users/{}/password", segment(user));
    /// Sets quotas that hold for all who have none of their own.
    quota_update(update: &QuotaUpdate) -> Vec<Quota>:
        "PATCH" "/quotas".into(), update;
    /// Sets quotas of somebody.
    user_quota_update(user: &str, update: &QuotaUpdate) -> Vec<Quota>:
        "PATCH" format!("/users/{}/quotas", segment(user)), update;
    /// Sets quotas of a team.
    team_quota_update(team: &str, update: &QuotaUpdate) -> Vec<Quota>:
        "PATCH" format!("/teams/{}/quotas", segment(team)), update;
    /// Invites somebody into a team.
    team_invitation_save(team: &str, save: &TeamMemberSave) -> TeamInvitation:
        "PUT" format!("/teams/{}/invitations", segment(team)), save;
    /// Takes an invitation back.
    team_invitation_delete(team: &str, who: &str) -> TeamInvitation:
        "DELETE" format!("/teams/{}/invitations/{}", segment(team), segment(who));
    /// Becomes a member.
    team_invitation_accept(id: &str) -> TeamInvitation:
        "POST" format!("/teams/invitations/{}/accept", segment(id));
    /// Does not become a member.
    team_invitation_decline(id: &str) -> TeamInvitation:
        "POST" format!("/teams/invitations/{}/decline", segment(id));
    /// Makes a service account.
    service_account_create(team: &str, create: &ServiceAccountCreate) -> ServiceAccount:
        "POST" format!("/teams/{}/service-accounts", segment(team)), create;
    /// Takes everything from a service account.
    service_account_delete(team: &str, who: &str) -> ServiceAccount:
        "DELETE" format!("/teams/{}/service-accounts/{}", segment(team), segment(who));
    /// Makes a token of a service account; the answer is the only one that shows it.
    service_account_authorization_create(team: &str, who: &str, create: &AuthorizationCreate) -> Authorization:
        "POST" format!("/teams/{}/service-accounts/{}/authorizations", segment(team), segment(who)), create;
    /// Revokes a token of a service account.
    service_account_authorization_delete(team: &str, who: &str, id: &str) -> Authorization:
        "DELETE" format!("/teams/{}/service-accounts/{}/authorizations/{}", segment(team), segment(who), segment(id));
    /// No longer lets an account at a provider sign mine in.
    identity_delete(id: &str) -> Value: "DELETE" format!("/account/identities/{}", segment(id));
    /// Links an identity that I brought to my account.
    identity_proposal_accept(id: &str) -> Identity:
        "POST" format!("/account/identity-proposals/{}/accept", segment(id));
    /// Does not link it.
    identity_proposal_delete(id: &str) -> Value: "DELETE" format!("/account/identity-proposals/{}", segment(id));
    /// No longer lets an account at a provider sign somebody in.
    user_identity_delete(user: &str, id: &str) -> Value:
        "DELETE" format!("/users/{}/identities/{}", segment(user), segment(id));
    /// Adds a provider of identities.
    identity_provider_create(create: &IdentityProviderCreate) -> IdentityProvider:
        "POST" "/identity-providers".into(), create;
    /// Changes a provider of identities.
    identity_provider_update(name: &str, update: &IdentityProviderUpdate) -> IdentityProvider:
        "PATCH" format!("/identity-providers/{}", segment(name)), update;
    /// Removes a provider of identities.
    identity_provider_delete(name: &str) -> IdentityProvider:
        "DELETE" format!("/identity-providers/{}", segment(name));
    /// What there is of my password.
    password_info() -> Password: "GET" "/account/password".into();
    /// Begins a password of mine; the answer is the only one that shows what its codes are made of.
    password_create(create: &PasswordCreate) -> PasswordEnrolment: "POST" "/account/password".into(), create;
    /// Puts the password that was begun in force; the answer is the only one that shows the recovery codes.
    password_confirm(proof: &PasswordProof) -> RecoveryCodes: "POST" "/account/password/actions/confirm".into(), proof;
    /// Puts another password in place of mine.
    password_update(update: &PasswordUpdate) -> Password: "PATCH" "/account/password".into(), update;
    /// Removes my password.
    password_delete(proof: &PasswordProof) -> Password: "DELETE" "/account/password".into(), proof;
    /// Signs this browser in.
    password_sign_in(sign_in: &PasswordSignIn) -> SignedIn: "POST" "/login/password".into(), sign_in;
    /// Whether anybody is let in by a password.
    password_policy_info() -> PasswordPolicy: "GET" "/password-policy".into();
    /// Turns passwords on or off.
    password_policy_update(update: &PasswordPolicyUpdate) -> PasswordPolicy:
        "PATCH" "/password-policy".into(), update;
    /// Who may bring new people.
    invitation_policy_info() -> InvitationPolicy: "GET" "/invitation-policy".into();
    /// Says who may bring new people.
    invitation_policy_update(update: &InvitationPolicyUpdate) -> InvitationPolicy:
        "PATCH" "/invitation-policy".into(), update;
    /// The ways to sign in.
    sign_in_options() -> SignInOptions: "GET" "/sign-in-options".into();
    /// What a program asks me to agree to.
    consent_info(params: &ConsentQuery) -> Consent: "GET" format!("/oauth/consent{}", query(params));
    /// Makes an OAuth client.
    oauth_client_create(create: &OauthClientCreate) -> OauthClient: "POST" "/oauth/clients".into(), create;
    /// Removes an OAuth client with its tokens.
    oauth_client_delete(id: &str) -> OauthClient: "DELETE" format!("/oauth/clients/{}", segment(id));
    /// What the platform's own machinery does.
    platform_info() -> PlatformInfo: "GET" "/platform".into();
    /// Ends a console session.
    session_delete(id: &str) -> Value: "DELETE" format!("/account/sessions/{}", segment(id));
    /// Whom a one-time link would sign in; does not use it up.
    sign_in_link_info(secret: &str) -> SignInLinkInfo: "GET" format!("/sign-in-links/{}", segment(secret));
    /// Ends all my console sessions but this one.
    session_delete_others() -> Value: "DELETE" "/account/sessions".into();
    /// Whether the audit log is what was written.
    event_verify() -> EventVerdict: "GET" "/events/verify".into();
    /// Makes a link that signs a browser in, once.
    sign_in_link_create() -> SignInLink: "POST" "/account/sign-in-links".into();
}

lists! {
    /// My tokens, masked.
    authorization_list() -> Authorization: "/oauth/authorizations".into();
    /// All apps that I may see.
    app_list() -> App: "/apps".into();
    /// All apps that I may see, at a glance.
    app_summary_list() -> AppSummary: "/app-statuses".into();
    /// The builds of an app, oldest first.
    build_list(app: &str) -> Build: of(app, "/builds");
    /// The buildpacks of an app, in order.
    buildpack_installation_list(app: &str) -> BuildpackInstallation: of(app, "/buildpack-installations");
    /// Who works on an app.
    collaborator_list(app: &str) -> Collaborator: of(app, "/collaborators");
    /// The dynos of an app.
    dyno_list(app: &str) -> Dyno: of(app, "/dynos");
    /// All sizes.
    dyno_size_list() -> DynoSize: "/dyno-sizes".into();
    /// What was changed on an app, newest first.
    event_list(app: &str, max: u32) -> Event: of(app, &format!("/events?max={max}"));
    /// Without those that only say that what was begun before went well.
    event_list_news(app: &str, max: u32) -> Event: of(app, &format!("/events?max={max}&news=true"));
    /// What was changed anywhere, newest first.
    event_list_all() -> Event: "/events".into();
    /// What was changed and is looked for, newest first.
    event_find(params: &EventQuery) -> Event: format!("/events{}", query(params));
    /// The switches of an app.
    feature_list(app: &str) -> Feature: of(app, "/features");
    /// The process types of an app.
    formation_list(app: &str) -> Formation: of(app, "/formation");
    /// The accounts at providers that sign me in.
    identity_list() -> Identity: "/account/identities".into();
    /// The identities that wait for me to say that they are mine.
    identity_proposal_list() -> IdentityProposal: "/account/identity-proposals".into();
    /// The accounts at providers that sign somebody in, for administrators.
    user_identity_list(user: &str) -> Identity: format!("/users/{}/identities", segment(user));
    /// All providers of identities.
    identity_provider_list() -> IdentityProvider: "/identity-providers".into();
    /// The drains of an app.
    log_drain_list(app: &str) -> LogDrain: of(app, "/log-drains");
    /// The samples that come with the platform.
    sample_list() -> Sample: "/samples".into();
    /// My OAuth clients.
    oauth_client_list() -> OauthClient: "/oauth/clients".into();
    /// Everybody who has an account, for administrators.
    user_list() -> Account: "/users".into();
    /// The quotas that hold for all who have none of their own.
    quota_list() -> Quota: "/quotas".into();
    /// What somebody may have, and has; `~` is oneself.
    user_quota_list(user: &str) -> Quota: format!("/users/{}/quotas", segment(user));
    /// What a team may have, and has.
    team_quota_list(team: &str) -> Quota: format!("/teams/{}/quotas", segment(team));
    /// My console sessions.
    session_list() -> Session: "/account/sessions".into();
    /// The apps that were offered to me, and those that I offered.
    app_transfer_list() -> AppTransfer: "/account/app-transfers".into();
    /// The teams that I am a member of.
    team_list() -> Team: "/teams".into();
    /// The apps of a team that I may see.
    team_app_list(team: &str) -> App: format!("/teams/{}/apps", segment(team));
    /// Who may do what with the apps of a team.
    team_access_list(team: &str) -> TeamAccess: format!("/teams/{}/access", segment(team));
    /// Who is in a team.
    team_member_list(team: &str) -> TeamMember: format!("/teams/{}/members", segment(team));
    /// The open invitations of a team.
    team_invitation_list(team: &str) -> TeamInvitation: format!("/teams/{}/invitations", segment(team));
    /// The open invitations to me.
    team_invitation_list_own() -> TeamInvitation: "/account/team-invitations".into();
    /// The service accounts of a team.
    service_account_list(team: &str) -> ServiceAccount: format!("/teams/{}/service-accounts", segment(team));
    /// The tokens of a service account, masked.
    service_account_authorization_list(team: &str, who: &str) -> Authorization:
        format!("/teams/{}/service-accounts/{}/authorizations", segment(team), segment(who));
    /// What can be given to a collaborator.
    permission_list() -> Permission: "/teams/permissions".into();
    /// All stacks.
    stack_list() -> Stack: "/stacks".into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_leave_out_what_is_absent() {
        let params = LogLinesQuery { lines: Some(3), ..Default::default() };
        assert_eq!(query(&params), "?lines=3");
        assert_eq!(query(&MetricsQuery::default()), "");
        assert_eq!(segment("a b/ü@x"), "a%20b%2F%C3%BC%40x");
    }
}
