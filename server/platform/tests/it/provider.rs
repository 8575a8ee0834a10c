//! A fake OpenID provider and a fake GitHub, on a local port, with responses determined by the test.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Form, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use chrono::Utc;
use openidconnect::{
    PrivateSigningKey as _,
    core::{CoreEdDsaPrivateSigningKey, CoreJwsSigningAlgorithm},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::world::path;

/// The data behind a code.
struct Grant {
    challenge: String,
    redirect: String,
    claims: Value,
}

#[derive(Default)]
struct Said {
    grants: HashMap<String, Grant>,
    count: usize,
    /// Signs with a key that is not the provider's.
    forged: bool,
    /// Does not sign at all.
    unsigned: bool,
    /// GitHub's data about the owner of a token.
    github: Value,
}

/// A provider with one client, `wharf`, with the secret `hush`.
#[derive(Clone)]
pub struct Provider {
    pub url: String,
    said: Arc<Mutex<Said>>,
}

fn key(seed: u8) -> CoreEdDsaPrivateSigningKey {
    let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let der = BASE64_STANDARD.encode([&prefix[..], &[seed; 32]].concat());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, None).unwrap()
}

impl Provider {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let provider = Self { url, said: Arc::default() };
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(async || Json(json!({ "keys": [key(1).as_verification_key()] }))))
            .route("/token", post(token))
            .route("/login/oauth/access_token", post(token))
            .route("/api/v3/user", get(async |State(p): State<Self>| github(&p, "user")))
            .route("/api/v3/user/emails", get(async |State(p): State<Self>| github(&p, "emails")))
            .route("/api/v3/user/orgs", get(async |State(p): State<Self>| github(&p, "orgs")))
            .route("/api/v3/user/teams", get(async |State(p): State<Self>| github(&p, "teams")))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        provider
    }

    /// A user consents to the request that the browser was redirected with. Returns the URL of the redirect back.
    pub fn agree(&self, location: &str, claims: Value) -> String {
        let asked: HashMap<String, String> =
            outbound::Url::parse(location).unwrap().query_pairs().into_owned().collect();
        assert_eq!((asked["client_id"].as_str(), asked["response_type"].as_str()), ("wharf", "code"), "{location}");
        assert_eq!(asked["code_challenge_method"], "S256");
        let mut all = json!({
            "iss": self.url, "aud": "wharf", "sub": "1", "iat": Utc::now().timestamp(),
            "exp": Utc::now().timestamp() + 300, "nonce": asked.get("nonce"),
        });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let mut said = self.said.lock().unwrap();
        said.count += 1;
        let code = format!("code-{}", said.count);
        let redirect = asked["redirect_uri"].clone();
        let back = format!("{}?code={code}&state={}", path(&redirect), asked["state"]);
        said.grants.insert(code, Grant { challenge: asked["code_challenge"].clone(), redirect, claims: all });
        back
    }

    pub fn forge(&self, forged: bool) {
        self.said.lock().unwrap().forged = forged;
    }

    pub fn unsign(&self, unsigned: bool) {
        self.said.lock().unwrap().unsigned = unsigned;
    }

    pub fn github(&self, told: Value) {
        self.said.lock().unwrap().github = told;
    }
}

async fn discovery(State(provider): State<Provider>) -> Json<Value> {
    let url = &provider.url;
    Json(json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"), "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA", "none"],
    }))
}

async fn token(
    State(provider): State<Provider>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let mut said = provider.said.lock().unwrap();
    let basic = format!("Basic {}", BASE64_STANDARD.encode("wharf:hush"));
    let is_wharf = headers.get("authorization").is_some_and(|v| v == basic.as_str())
        || form.get("client_secret").is_some_and(|secret| secret == "hush");
    let grant = said.grants.remove(&form["code"]);
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
    let Some(grant) = grant.filter(|g| is_wharf && g.challenge == challenge && g.redirect == form["redirect_uri"])
    else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    };
    let alg = if said.unsigned { "none" } else { "EdDSA" };
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&json!({ "alg": alg, "typ": "JWT" })), part(&grant.claims));
    let signature = key(if said.forged { 2 } else { 1 }).sign(&CoreJwsSigningAlgorithm::EdDsa, text.as_bytes());
    let signature = if said.unsigned { Vec::new() } else { signature.unwrap() };
    let id_token = format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
    Json(json!({ "access_token": "access", "token_type": "bearer", "id_token": id_token })).into_response()
}

fn github(provider: &Provider, what: &str) -> Json<Value> {
    Json(provider.said.lock().unwrap().github[what].clone())
}
