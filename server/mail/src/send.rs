//! Sending: one connection per message, with a time limit for all of it.

use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor,
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
        extension::ClientId,
    },
};

use crate::{
    addresses,
    error::{Error, line, of_smtp},
    message::Message,
};

/// How a connection is encrypted. Certificates are checked against the CAs of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Required, after a greeting in plain text.
    StartTls,
    /// From the beginning.
    Tls,
    None,
}

/// An SMTP server.
#[derive(Clone)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    /// User and password.
    pub credentials: Option<(String, String)>,
    /// The name by which this machine introduces itself.
    pub hello: String,
    /// The time limit for everything.
    pub patience: Duration,
}

impl Server {
    fn tls(&self) -> Result<Tls, Error> {
        let parameters = || {
            let made = TlsParameters::new(self.host.clone());
            made.map_err(|err| Error::Temporary(line(&format!("TLS could not be set up: {err}"))))
        };
        Ok(match self.encryption {
            Encryption::StartTls => Tls::Required(parameters()?),
            Encryption::Tls => Tls::Wrapper(parameters()?),
            Encryption::None => Tls::None,
        })
    }
}

/// Sends `message` through `server`. Returns the server's answer.
///
/// # Errors
/// The server's answer, or why there is none. If the connection broke, the message may have been accepted all the same.
pub async fn send(server: &Server, message: &Message) -> Result<String, Error> {
    let sent = tokio::time::timeout(server.patience, send_now(server, message)).await;
    let late = || {
        let seconds = server.patience.as_secs().max(1);
        Error::Temporary(format!("The server did not answer within {seconds} s."))
    };
    sent.unwrap_or_else(|_| Err(late()))
}

async fn send_now(server: &Server, message: &Message) -> Result<String, Error> {
    let message = message.build()?;
    let at = addresses::resolve(&server.host, server.port).await?;
    // By address, which was checked; the certificate has to be for the name.
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(at.ip().to_string())
        .port(at.port())
        .tls(server.tls()?)
        .hello_name(ClientId::Domain(server.hello.clone()))
        .timeout(Some(server.patience));
    if let Some((user, password)) = &server.credentials {
        builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
    }
    let transport: AsyncSmtpTransport<Tokio1Executor> = builder.build();
    let answer = transport.send(message).await.map_err(|err| of_smtp(&err))?;
    let text: Vec<&str> = answer.message().collect();
    Ok(line(&format!("{} {}", answer.code(), text.join(" "))))
}
