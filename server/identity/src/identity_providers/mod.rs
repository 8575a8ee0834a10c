//! Identity providers: their settings, trusted domains and rules.

pub(crate) mod membership;
pub(crate) mod person;
mod provider_client;
pub(crate) mod rules;

use api::{
    identity_providers::ProviderKind,
    ids::{AccountId, IdentityProviderId, IdentityRuleId},
    team_members::Role,
};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{
    Base, Change, Error, Result, pages,
    web::{Created, Input},
};
use chrono::{DateTime, Utc};
use store::identity_providers::{LIST, Row, Rule};

use self::{person::Provider, provider_client::ProviderClient};
use crate::{actor::Actor, subjects, urls};

/// The public services: kind, title, issuer, claim with the groups.
const PRESETS: [(ProviderKind, &str, &str, &str); 3] = [
    (ProviderKind::GitHub, "GitHub", "https://github.com", "orgs"),
    (ProviderKind::GitLab, "GitLab", "https://gitlab.com", "groups_direct"),
    (ProviderKind::Google, "Google", "https://accounts.google.com", "groups"),
];

fn missing() -> Error {
    Error::not_found("identity_provider", "Couldn't find that identity provider.")
}

/// The provider called `name`, with its rules.
pub(crate) async fn find(base: &Base, name: &str) -> Result<(Row, Vec<Rule>)> {
    find_in(&mut *base.db().acquire().await?, name).await
}

/// As [`find`], in a transaction.
pub(crate) async fn find_in(tx: &mut sqlx::PgConnection, name: &str) -> Result<(Row, Vec<Rule>)> {
    let row = store::identity_providers::identity_provider_by_name(&mut *tx, name).await?.ok_or_else(missing)?;
    let rules = store::identity_providers::identity_rule_list(tx, row.id).await?;
    Ok((row, rules))
}

/// The console's own callback URL. From the settings, never from a request.
pub(crate) fn redirect_uri(base: &Base, name: &str) -> String {
    format!("{}/login/oauth/{name}/callback", base.settings().url())
}

/// The connection settings of a provider.
pub(crate) fn provider<'a>(base: &Base, row: &'a Row, rules: &[Rule]) -> anyhow::Result<Provider<'a>> {
    let secret = base.secrets().open(PURPOSE, &row.secret)?;
    Ok(Provider {
        row,
        asks: ProviderClient::of(base.outbound(), &row.issuer),
        secret: String::from_utf8(secret)?,
        redirect: redirect_uri(base, &row.name),
        wants_groups: rules.iter().any(|rule| rule.group.is_some()),
    })
}

const PURPOSE: &str = "identity provider";

fn shown(base: &Base, row: Row, rules: Vec<Rule>) -> api::identity_providers::IdentityProvider {
    let rule = |rule: Rule| api::identity_providers::IdentityRule {
        domain: rule.domain,
        group: rule.group,
        admin: rule.admin,
        team: rule.team,
        role: rule.role.map(|role| role.to_string()),
    };
    api::identity_providers::IdentityProvider {
        redirect_uri: redirect_uri(base, &row.name),
        rules: rules.into_iter().map(rule).collect(),
        id: row.id,
        name: row.name,
        title: row.title,
        kind: row.kind,
        issuer: row.issuer,
        client_id: row.client_id,
        domains: row.domains,
        admits: row.admits,
        groups_claim: row.groups_claim,
        groups_scope: row.groups_scope,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// `GET /identity-providers`
pub async fn identity_provider_list(State(base): State<Base>, actor: Actor, headers: HeaderMap) -> Result<Response> {
    actor.must_administer()?;
    let range = pages::requested(&headers, &LIST)?;
    let page = store::identity_providers::identity_provider_list(base.db(), &range).await?;
    let ids: Vec<IdentityProviderId> = page.rows.iter().map(|row| row.id).collect();
    let all = store::identity_providers::identity_rule_list_of(base.db(), &ids).await?;
    let page = page.map(|row| {
        let rules = all.iter().filter(|rule| rule.provider_id == row.id).cloned().collect();
        shown(&base, row, rules)
    });
    Ok(pages::respond(&LIST, &range, page))
}

/// `POST /identity-providers`
pub async fn identity_provider_create(
    State(base): State<Base>,
    actor: Actor,
    Input(create): Input<api::identity_providers::IdentityProviderCreate>,
) -> Result<Created<api::identity_providers::IdentityProvider>> {
    actor.must_administer()?;
    let unknown = || Error::invalid("kind must be github, gitlab, google or openid.");
    let kind = ProviderKind::named(&create.kind).ok_or_else(unknown)?;
    let preset = PRESETS.iter().find(|preset| preset.0 == kind);
    let given = |text: Option<String>| text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    let name =
        given(create.name).or(preset.map(|p| p.0.to_string())).ok_or_else(|| Error::invalid("name is required."))?;
    let issuer = given(create.issuer).or(preset.map(|p| p.2.into()));
    let (id, now) = (IdentityProviderId::now_v7(), Utc::now());
    let row = Row {
        id,
        title: given(create.title).or(preset.map(|p| p.1.into())).unwrap_or_else(|| name.clone()),
        issuer: issuer.ok_or_else(|| Error::invalid("issuer is required: the URL of the OpenID provider."))?,
        groups_claim: given(create.groups_claim).unwrap_or_else(|| preset.map_or("groups", |p| p.3).into()),
        name,
        kind,
        client_id: create.client_id.trim().into(),
        secret: base.secrets().seal(PURPOSE, create.client_secret.trim().as_bytes()),
        domains: domains(create.domains)?,
        admits: create.admits.unwrap_or(true),
        groups_scope: given(create.groups_scope),
        created_at: now,
        updated_at: now,
    };
    if create.client_secret.trim().is_empty() {
        return Err(Error::invalid("client_secret is required."));
    }
    check(&base, &row, true).await?;
    let rules = self::read_rules(&base, id, create.rules, now).await?;
    must_be_trusted(&row, &rules)?;
    let mut tx = actor.change(subjects::identity_provider(&row)).await?;
    if let Err(err) = store::identity_providers::identity_provider_create(&mut *tx, &row).await {
        return Err(match store::broken_constraint(&err).as_deref() {
            Some("identity_providers_name_key") => Error::invalid(format!("Name {} is already taken.", row.name)),
            _ => err.into(),
        });
    }
    store::identity_providers::identity_rules_replace(&mut tx, id, &rules).await?;
    note(&mut tx, "identity_provider.create", &row, &rules, "Added");
    tx.commit().await?;
    Ok(Created(shown(&base, row, rules)))
}

/// `PATCH /identity-providers/{provider}`. A different issuer has different subjects, so the identities of the previous
/// one are unlinked. Accounts with an identity for which the provider is no longer trusted are signed out.
pub async fn identity_provider_update(
    State(base): State<Base>,
    actor: Actor,
    Path(name): Path<String>,
    Input(mut update): Input<api::identity_providers::IdentityProviderUpdate>,
) -> Result<Json<api::identity_providers::IdentityProvider>> {
    actor.must_administer()?;
    let (mut row, mut rules) = find(&base, &name).await?;
    let (now, issuer) = (Utc::now(), row.issuer.clone());
    if let Some(given) = update.rules.take() {
        rules = self::read_rules(&base, row.id, given, now).await?;
    }
    change(&base, &mut row, update)?;
    row.updated_at = now;
    let moves = row.issuer != issuer;
    check(&base, &row, moves).await?;
    must_be_trusted(&row, &rules)?;
    let mut tx = actor.change(subjects::identity_provider(&row)).await?;
    store::identity_providers::identity_provider_update(&mut *tx, &row).await?;
    store::identity_providers::identity_rules_replace(&mut tx, row.id, &rules).await?;
    note(&mut tx, "identity_provider.update", &row, &rules, "Changed");
    if moves {
        unlink_all(&mut tx, &actor, &row).await?;
    }
    membership::sign_out_untrusted(&mut tx, &actor, &row, &rules).await?;
    tx.commit().await?;
    Ok(Json(shown(&base, row, rules)))
}

/// Applies the given fields.
fn change(base: &Base, row: &mut Row, update: api::identity_providers::IdentityProviderUpdate) -> Result<()> {
    let put = |field: &mut String, value: Option<String>| {
        if let Some(value) = value {
            *field = value.trim().to_owned();
        }
    };
    put(&mut row.title, update.title);
    put(&mut row.issuer, update.issuer);
    put(&mut row.client_id, update.client_id);
    put(&mut row.groups_claim, update.groups_claim);
    if let Some(secret) = update.client_secret.filter(|secret| !secret.trim().is_empty()) {
        row.secret = base.secrets().seal(PURPOSE, secret.trim().as_bytes());
    }
    if let Some(given) = update.domains {
        row.domains = domains(given)?;
    }
    if let Some(scope) = update.groups_scope {
        row.groups_scope = Some(scope.trim().to_owned()).filter(|scope| !scope.is_empty());
    }
    row.admits = update.admits.unwrap_or(row.admits);
    Ok(())
}

/// Unlinks the identities of a provider that has been replaced.
async fn unlink_all(tx: &mut Change, actor: &Actor, row: &Row) -> Result<()> {
    store::sign_in::sign_in_attempt_delete_all(&mut **tx, row.id).await?;
    for identity in store::identities::identity_delete_all(&mut **tx, row.id).await? {
        membership::take_back(tx, &identity).await?;
        membership::sign_out(tx, actor, identity.account_id).await?;
    }
    Ok(())
}

/// `DELETE /identity-providers/{provider}`: accounts stay, are signed out, and need another sign-in method. Grants of
/// its rules alone are revoked. A later provider with the same name starts without identities.
pub async fn identity_provider_delete(
    State(base): State<Base>,
    actor: Actor,
    Path(name): Path<String>,
) -> Result<Json<api::identity_providers::IdentityProvider>> {
    actor.must_administer()?;
    let (row, rules) = find(&base, &name).await?;
    let mut tx = actor.change(subjects::identity_provider(&row)).await?;
    note(&mut tx, "identity_provider.delete", &row, &rules, "Removed");
    unlink_all(&mut tx, &actor, &row).await?;
    if !store::identity_providers::identity_provider_delete(&mut *tx, row.id).await? {
        return Err(missing());
    }
    tx.commit().await?;
    Ok(Json(shown(&base, row, rules)))
}

fn note(tx: &mut Change, action: &str, row: &Row, rules: &[Rule], done: &str) {
    let summary = format!("{done} the identity provider {} ({}).", row.title, row.issuer);
    let rule = |r: &Rule| serde_json::json!({ "domain": r.domain, "group": r.group, "admin": r.admin, "team": r.team, "role": r.role });
    let rules: Vec<_> = rules.iter().map(rule).collect();
    let data = serde_json::json!({
        "issuer": row.issuer, "client_id": row.client_id, "domains": row.domains, "admits": row.admits, "rules": rules
    });
    tx.record(action, summary, data);
}

/// Rejects unusable settings. `asks` checks whether there is an OpenID provider at the URL.
async fn check(base: &Base, row: &Row, asks: bool) -> Result<()> {
    let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if row.name.is_empty() || row.name.len() > 30 || !row.name.bytes().all(letters) {
        return Err(Error::invalid("name can only contain up to 30 lowercase letters, digits, and dashes."));
    }
    if row.title.is_empty() || row.title.chars().count() > 40 || row.title.chars().any(char::is_control) {
        return Err(Error::invalid("title must have 1 to 40 characters and no control characters."));
    }
    if row.client_id.is_empty() {
        return Err(Error::invalid("client_id is required."));
    }
    let url = urls::parse(&row.issuer).ok_or_else(|| Error::invalid("issuer is not a URL."))?;
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if !plain || !(url.scheme() == "https" || url.scheme() == "http" && is_here) {
        return Err(Error::invalid("issuer must be an https URL without a query, fragment or password."));
    }
    if asks && row.kind == ProviderKind::OpenId {
        person::discover(base.outbound(), &row.issuer)
            .await
            .map_err(|err| Error::invalid(format!("There is no OpenID provider at {}: {:#}.", row.issuer, err)))?;
    }
    Ok(())
}

/// Rejects a provider that is not trusted for any address.
fn must_be_trusted(row: &Row, rules: &[Rule]) -> Result<()> {
    match row.domains.is_empty() && rules.iter().all(|rule| rule.domain.is_none()) {
        true => Err(Error::invalid(
            "domains is required: the email domains that this provider is trusted for, such as example.com, or * for all.",
        )),
        false => Ok(()),
    }
}

pub(crate) fn domains(given: Vec<String>) -> Result<Vec<String>> {
    let mut domains = given.iter().map(|domain| self::domain(domain)).collect::<Result<Vec<_>>>()?;
    domains.sort();
    domains.dedup();
    Ok(domains)
}

fn domain(given: &str) -> Result<String> {
    let domain = given.trim().trim_start_matches('@').to_ascii_lowercase();
    if domain == "*" {
        return Ok(domain);
    }
    let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    match domain.contains('.') && domain.bytes().all(letters) {
        true => Ok(domain),
        false => Err(Error::invalid(format!("{given:?} is not an email domain, such as example.com."))),
    }
}

async fn read_rules(
    base: &Base,
    provider_id: IdentityProviderId,
    given: Vec<api::identity_providers::IdentityRule>,
    now: DateTime<Utc>,
) -> Result<Vec<Rule>> {
    let text = |t: Option<String>| t.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    let mut rules = Vec::new();
    for (position, rule) in (0..).zip(given) {
        let (domain, group) = (text(rule.domain).map(|d| self::domain(&d)).transpose()?, text(rule.group));
        if domain.as_deref() == Some("*") {
            return Err(Error::invalid("A rule for all domains would let everybody in. Specify domains."));
        }
        let (team, role) = (text(rule.team), text(rule.role));
        if domain.is_some() == group.is_some() {
            return Err(Error::invalid("A rule requires either a domain or a group."));
        }
        let role = match (&team, role.as_deref().map(Role::named)) {
            (None, None) => None,
            (Some(_), None) => Some(Role::Member),
            (Some(_), Some(Some(role))) => Some(role),
            _ => return Err(Error::invalid("A rule's role must be admin, member or viewer, with a team.")),
        };
        if let Some(team) = &team {
            let found = store::teams::team_info(base.db(), team, AccountId::nil()).await?;
            found
                .filter(|found| found.team.name == *team)
                .ok_or_else(|| Error::invalid(format!("There is no team {team}. Create it first.")))?;
        }
        rules.push(Rule {
            id: IdentityRuleId::now_v7(),
            provider_id,
            position,
            domain,
            group,
            admin: rule.admin,
            team,
            role,
            created_at: now,
            updated_at: now,
        });
    }
    Ok(rules)
}
