//! Requests to providers: an administrator supplies the issuer's URL, and the provider supplies further ones.

use std::{future::Future, pin::Pin, time::Duration};

use anyhow::bail;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use outbound::{Client, Error, Limits};
use serde_json::Value;

/// Limits of a response. Redirects are not followed: a response from another host is not the provider's.
const LIMITS: Limits = Limits { time: Duration::from_secs(10), idle: Duration::from_secs(10), bytes: 1 << 20, hops: 0 };

/// A client for one provider.
#[derive(Clone)]
pub(crate) struct ProviderClient {
    client: Client,
    /// Whether secrets are only sent over HTTPS, regardless of the URLs that the provider supplies.
    is_secure: bool,
}

impl ProviderClient {
    /// A client for the provider at `issuer`.
    pub fn of(client: &Client, issuer: &str) -> Self {
        Self { client: client.clone(), is_secure: issuer.starts_with("https://") }
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        if self.is_secure && request.uri().scheme_str() != Some("https") {
            return Err(Error::Address("the URL of the provider must use https"));
        }
        self.client.send(request, &LIMITS).await
    }

    /// Fetches `url` with the bearer token `token`.
    pub async fn get(&self, url: &str, token: &str) -> anyhow::Result<Value> {
        let request = http::Request::get(url).header("accept", "application/json");
        let answer = self.send(request.header("authorization", format!("Bearer {token}")).body(Vec::new())?).await?;
        if !answer.status().is_success() {
            bail!("the provider responded with {}", answer.status());
        }
        Ok(serde_json::from_slice(answer.body())?)
    }
}

impl<'c> AsyncHttpClient<'c> for ProviderClient {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
