//! Identifies a person with a provider: OAuth 2 code flow with PKCE, and OpenID Connect where supported.
//!
//! Nothing from the browser is trusted. A person is identified by the provider's own responses: the signed ID token, or
//! GitHub's API.

use anyhow::{Context as _, anyhow, bail};
use api::identity_providers::ProviderKind;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse as _, TokenUrl,
    basic::BasicClient,
};
use openidconnect::{
    AccessTokenHash, IssuerUrl, Nonce, TokenResponse as _,
    core::{
        CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreJwsSigningAlgorithm as Alg, CoreProviderMetadata,
        CoreTokenResponse,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::identity_providers::Row;

use super::provider_client::ProviderClient;

/// The URL for the browser, and the state to be stored until it returns.
pub(crate) struct AuthorizationRequest {
    pub url: String,
    pub state: String,
    pub pending: PendingSignIn,
}

/// The secret state of a sign-in in progress.
#[derive(Deserialize, Serialize)]
pub(crate) struct PendingSignIn {
    nonce: String,
    verifier: String,
}

/// A person as described by their provider.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Person {
    /// The stable identifier.
    pub subject: String,
    /// The email address, if the provider has verified it.
    pub email: Option<String>,
    pub name: Option<String>,
    pub groups: Vec<String>,
}

/// A provider with its credentials.
pub(crate) struct Provider<'a> {
    pub row: &'a Row,
    pub asks: ProviderClient,
    /// The decrypted client secret.
    pub secret: String,
    /// The console's callback URL.
    pub redirect: String,
    /// Whether rules depend on groups.
    pub wants_groups: bool,
}

type OpenId =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// Whether an OpenID provider is at `issuer`.
pub(crate) async fn discover(client: &outbound::Client, issuer: &str) -> anyhow::Result<()> {
    let asks = ProviderClient::of(client, issuer);
    CoreProviderMetadata::discover_async(IssuerUrl::new(issuer.to_owned())?, &asks).await?;
    Ok(())
}

impl Provider<'_> {
    /// Starts a sign-in; sends a discovery request, except to GitHub.
    pub async fn begin(&self) -> anyhow::Result<AuthorizationRequest> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = match self.row.kind {
            ProviderKind::GitHub => {
                let client = self.github()?;
                let ask = client.authorize_url(CsrfToken::new_random).add_scope(Scope::new("user:email".into()));
                let ask = if self.wants_groups { ask.add_scope(Scope::new("read:org".into())) } else { ask };
                let (url, state) = ask.set_pkce_challenge(challenge).url();
                (url, state, Nonce::new(String::new()))
            }
            _ => {
                let (client, metadata) = self.open_id().await?;
                let flow = CoreAuthenticationFlow::AuthorizationCode;
                let mut ask = client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
                for scope in ["email", "profile"].into_iter().chain(self.groups_scope(&metadata)) {
                    ask = ask.add_scope(Scope::new(scope.into()));
                }
                ask.set_pkce_challenge(challenge).url()
            }
        };
        let pending = PendingSignIn { nonce: nonce.secret().clone(), verifier: verifier.into_secret() };
        Ok(AuthorizationRequest { url: url.into(), state: state.into_secret(), pending })
    }

    /// The person who returned with `code`.
    pub async fn identify(&self, pending: PendingSignIn, code: String) -> anyhow::Result<Person> {
        let code = AuthorizationCode::new(code);
        let verifier = PkceCodeVerifier::new(pending.verifier);
        if self.row.kind == ProviderKind::GitHub {
            let client = self.github()?;
            let token = client.exchange_code(code).set_pkce_verifier(verifier).request_async(&self.asks).await;
            return self.github_person(token.context("exchange the code")?.access_token().secret()).await;
        }
        let (client, metadata) = self.open_id().await?;
        let token = client.exchange_code(code)?.set_pkce_verifier(verifier).request_async(&self.asks).await;
        let token = token.context("exchange the code")?;
        let mut claims = signed_claims(&client, &token, &Nonce::new(pending.nonce))?;
        if let Some(at) = metadata.userinfo_endpoint() {
            let more = self.asks.get(at.as_str(), token.access_token().secret()).await.context("fetch the claims")?;
            if more["sub"] != claims["sub"] {
                bail!("the claims have another subject than the ID token");
            }
            add(&mut claims, more);
        }
        person(&claims, &self.row.groups_claim)
    }

    /// The scope for groups, if rules depend on them: the configured one, or `groups` if the provider supports it.
    fn groups_scope(&self, metadata: &CoreProviderMetadata) -> Option<&str> {
        let has = |name: &str| metadata.scopes_supported().is_some_and(|all| all.iter().any(|s| s.as_str() == name));
        let scope = self.row.groups_scope.as_deref().or_else(|| has("groups").then_some("groups"));
        scope.filter(|_| self.wants_groups)
    }

    async fn open_id(&self) -> anyhow::Result<(OpenId, CoreProviderMetadata)> {
        let issuer = IssuerUrl::new(self.row.issuer.clone())?;
        let metadata =
            CoreProviderMetadata::discover_async(issuer, &self.asks).await.context("discover the provider")?;
        let secret = Some(ClientSecret::new(self.secret.clone()));
        let client =
            CoreClient::from_provider_metadata(metadata.clone(), ClientId::new(self.row.client_id.clone()), secret)
                .set_redirect_uri(RedirectUrl::new(self.redirect.clone())?);
        let posts = metadata.token_endpoint_auth_methods_supported().is_some_and(|methods| {
            methods.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
        });
        let client = if posts { client.set_auth_type(AuthType::RequestBody) } else { client };
        Ok((client, metadata))
    }

    fn github(
        &self,
    ) -> anyhow::Result<BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>> {
        let base = self.row.issuer.trim_end_matches('/');
        Ok(BasicClient::new(ClientId::new(self.row.client_id.clone()))
            .set_client_secret(ClientSecret::new(self.secret.clone()))
            .set_auth_uri(AuthUrl::new(format!("{base}/login/oauth/authorize"))?)
            .set_token_uri(TokenUrl::new(format!("{base}/login/oauth/access_token"))?)
            .set_redirect_uri(RedirectUrl::new(self.redirect.clone())?)
            .set_auth_type(AuthType::RequestBody))
    }

    /// GitHub does not support OpenID Connect, but has an API.
    async fn github_person(&self, token: &str) -> anyhow::Result<Person> {
        let api = match self.row.issuer.trim_end_matches('/') {
            "https://github.com" => "https://api.github.com".to_owned(),
            enterprise => format!("{enterprise}/api/v3"),
        };
        let user = self.asks.get(&format!("{api}/user"), token).await.context("fetch the user")?;
        let id = user["id"].as_u64().ok_or_else(|| anyhow!("the user does not have an id"))?;
        let emails = self.asks.get(&format!("{api}/user/emails"), token).await.context("fetch the email addresses")?;
        let mut groups = Vec::new();
        if self.wants_groups {
            let orgs =
                self.asks.get(&format!("{api}/user/orgs?per_page=100"), token).await.context("fetch the groups")?;
            groups.extend(texts(&orgs, |org| org["login"].as_str().map(String::from)));
            let teams =
                self.asks.get(&format!("{api}/user/teams?per_page=100"), token).await.context("fetch the teams")?;
            let name =
                |team: &Value| Some(format!("{}/{}", team["organization"]["login"].as_str()?, team["slug"].as_str()?));
            groups.extend(texts(&teams, name));
        }
        let is_theirs = |e: &&Value| e["primary"] == true && e["verified"] == true;
        let email = emails.as_array().and_then(|all| all.iter().find(is_theirs)).and_then(|e| e["email"].as_str());
        let name = user["name"].as_str().or(user["login"].as_str()).map(String::from);
        Ok(Person { subject: id.to_string(), email: email.map(String::from), name, groups })
    }
}

/// The claims of the ID token, after verifying signature, issuer, audience, time and nonce.
fn signed_claims(client: &OpenId, token: &CoreTokenResponse, nonce: &Nonce) -> anyhow::Result<Value> {
    let id_token = token.id_token().ok_or_else(|| anyhow!("the provider did not send an ID token"))?;
    // Signed by the provider's own key: neither unsigned nor signed with a shared secret.
    let asymmetric = [
        Alg::RsaSsaPkcs1V15Sha256,
        Alg::RsaSsaPkcs1V15Sha384,
        Alg::RsaSsaPkcs1V15Sha512,
        Alg::RsaSsaPssSha256,
        Alg::RsaSsaPssSha384,
        Alg::RsaSsaPssSha512,
        Alg::EcdsaP256Sha256,
        Alg::EcdsaP384Sha384,
        Alg::EdDsa,
    ];
    let verifier = client.id_token_verifier().set_allowed_algs(asymmetric);
    let claims = id_token.claims(&verifier, nonce).context("check the ID token")?;
    if let Some(expected) = claims.access_token_hash() {
        let (alg, key) = (id_token.signing_alg()?, id_token.signing_key(&verifier)?);
        if AccessTokenHash::from_token(token.access_token(), alg, key)? != *expected {
            bail!("the access token does not match the ID token");
        }
    }
    // Parsed again, for non-standard claims.
    let payload = id_token.to_string().split('.').nth(1).unwrap_or_default().to_owned();
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).context("read the ID token")?;
    serde_json::from_slice(&payload).context("read the ID token")
}

/// Adds missing claims: signed ones have priority. An address and its verification come from one source: neither is
/// added to the other.
fn add(claims: &mut Value, more: Value) {
    let (Value::Object(claims), Value::Object(more)) = (claims, more) else { return };
    let has_address = claims.contains_key("email");
    if !has_address {
        claims.remove("email_verified");
    }
    for (key, value) in more {
        if !(has_address && key == "email_verified") {
            claims.entry(key).or_insert(value);
        }
    }
}

fn person(claims: &Value, groups_claim: &str) -> anyhow::Result<Person> {
    // A value that cannot be stored is not a valid name.
    let text = |key: &str| claims[key].as_str().filter(|s| !s.is_empty() && !s.contains('\0')).map(String::from);
    // Some providers write booleans as strings. A missing claim counts as false.
    let verified = claims["email_verified"] == true || claims["email_verified"] == "true";
    Ok(Person {
        subject: text("sub").ok_or_else(|| anyhow!("the ID token has no subject"))?,
        email: text("email").filter(|_| verified),
        name: text("name").or_else(|| text("preferred_username")),
        groups: texts(&claims[groups_claim], |group| group.as_str().map(String::from)),
    })
}

fn texts(list: &Value, text: impl Fn(&Value) -> Option<String>) -> Vec<String> {
    list.as_array().map(|all| all.iter().filter_map(text).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_verified_address_counts() {
        let email = |claims: Value| person(&claims, "groups").unwrap().email;
        let address = Some("a@b.c".to_owned());
        assert_eq!(email(json!({ "sub": "1", "email": "a@b.c", "email_verified": true })), address);
        assert_eq!(email(json!({ "sub": "1", "email": "a@b.c", "email_verified": "true" })), address);
        assert_eq!(email(json!({ "sub": "1", "email": "a@b.c", "email_verified": false })), None);
        assert_eq!(email(json!({ "sub": "1", "email": "a@b.c" })), None);
        assert!(person(&json!({ "email": "a@b.c" }), "groups").is_err());
    }

    #[test]
    fn signed_claims_have_priority() {
        let mut claims = json!({ "sub": "1", "email": "a@b.c" });
        add(&mut claims, json!({ "email": "boss@b.c", "email_verified": true, "groups": ["dev"] }));
        let person = person(&claims, "groups").unwrap();
        assert_eq!((person.email, person.groups), (None, vec!["dev".to_owned()]));
    }

    #[test]
    fn an_address_is_verified_by_the_source_that_reports_it() {
        let email = |signed: Value, asked: Value| {
            let mut claims = json!({ "sub": "1" });
            claims.as_object_mut().unwrap().extend(signed.as_object().unwrap().clone());
            add(&mut claims, asked);
            super::person(&claims, "groups").unwrap().email
        };
        let whole = json!({ "email": "a@b.c", "email_verified": true });
        assert_eq!(email(json!({ "email_verified": true }), json!({ "email": "boss@b.c" })), None);
        assert_eq!(email(json!({ "email": "boss@b.c" }), json!({ "email_verified": true })), None);
        assert_eq!(email(json!({ "email": null }), whole.clone()), None);
        assert_eq!(email(json!({ "email_verified": false }), whole.clone()).as_deref(), Some("a@b.c"));
        assert_eq!(email(json!({}), whole).as_deref(), Some("a@b.c"));
    }
}
