//! Requests to S3-compatible services. They go through `outbound` like any request to a URL that somebody typed.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use object_store::{
    ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    },
};

/// Parts of objects and lists are smaller.
const LIMITS: outbound::Limits =
    outbound::Limits { time: Duration::from_secs(300), idle: Duration::from_secs(60), bytes: 64 << 20, hops: 0 };

/// How a bucket is reached.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The URL of the service; nothing: Amazon S3.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<String>,
}

impl Access {
    /// As the environment variables that S3 clients use say.
    pub fn from_environment() -> Self {
        let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            endpoint: get("AWS_ENDPOINT_URL_S3").or_else(|| get("AWS_ENDPOINT_URL")),
            region: get("AWS_REGION").or_else(|| get("AWS_DEFAULT_REGION")),
            access_key_id: get("AWS_ACCESS_KEY_ID"),
            secret_access_key: get("AWS_SECRET_ACCESS_KEY"),
        }
    }
}

/// The bucket called `name`.
///
/// # Errors
/// If there are no credentials, or the endpoint is not a URL.
pub fn bucket(name: &str, access: &Access, client: &outbound::Client) -> anyhow::Result<AmazonS3> {
    let (Some(id), Some(secret)) = (&access.access_key_id, &access.secret_access_key) else {
        anyhow::bail!(
            "s3://{name} needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or enter them on the page Platform."
        );
    };
    let retry = RetryConfig { max_retries: 4, retry_timeout: Duration::from_secs(120), ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(name)
        .with_access_key_id(id)
        .with_secret_access_key(secret)
        .with_region(access.region.as_deref().unwrap_or("us-east-1"))
        .with_allow_http(true)
        .with_retry(retry)
        .with_http_connector(Connector(client.clone()));
    if let Some(endpoint) = &access.endpoint {
        check_endpoint(endpoint, client)?;
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    Ok(builder.build()?)
}

/// Rejects an endpoint that requests cannot be sent to. One with a password, or with parameters, is rejected too, since an
/// endpoint is displayed, logged and signed as it is.
///
/// # Errors
/// What is wrong with it, without the part that may be secret.
pub fn check_endpoint(text: &str, client: &outbound::Client) -> anyhow::Result<()> {
    let url = client.check(text).map_err(|err| anyhow::anyhow!("The endpoint cannot be used: {err}."))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        anyhow::bail!(
            "The endpoint cannot contain a user, a password or parameters. Credentials are access_key_id and \
             secret_access_key (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment)."
        );
    }
    Ok(())
}

struct Connector(outbound::Client);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector(…)")
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Connector(self.0.clone())))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        let response = self.0.send(http::Request::from_parts(parts, body), &LIMITS).await.map_err(failed)?;
        Ok(response.map(HttpResponseBody::from))
    }
}

/// What may work at the next attempt is repeated.
fn failed(err: outbound::Error) -> HttpError {
    use outbound::Error::{Slow, Unreachable};
    let kind = match err {
        Slow(_) => HttpErrorKind::Timeout,
        Unreachable { .. } => HttpErrorKind::Request,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_no_credentials() {
        let client = outbound::Client::new(outbound::Rules::default()).unwrap();
        assert!(check_endpoint("https://s3.example.com/path", &client).is_ok());
        for secret in
            ["https://AKIA:swordfish@s3.example.com", "https://s3.example.com?key=swordfish", "https://AKIA@x.test"]
        {
            let refused = check_endpoint(secret, &client).unwrap_err().to_string();
            assert!(refused.contains("cannot contain a user") && !refused.contains("swordfish"), "{refused}");
        }
        let inside = check_endpoint("http://169.254.169.254", &client).unwrap_err().to_string();
        assert!(inside.contains("cannot be used"), "{inside}");
    }
}
