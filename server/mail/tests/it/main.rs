//! Messages, through a real connection to a server that behaves or does not.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod tls;

use std::time::Duration;

use mail::{
    Encryption, Error, Message, Server, send,
    testing::{Manner, SmtpServer},
};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

fn server(port: u16) -> Server {
    Server {
        host: "127.0.0.1".into(),
        port,
        encryption: Encryption::None,
        credentials: None,
        hello: "wharf.test".into(),
        patience: LONG,
    }
}

fn message() -> Message {
    Message {
        id: "1@wharf.test".into(),
        from: "wharf@acme.test".into(),
        to: "ada@acme.test".into(),
        subject: "Grüße".into(),
        text: "Hello\n.\nend".into(),
        html: "<p>Hello</p>".into(),
    }
}

async fn refused(server: &Server) -> Error {
    send(server, &message()).await.unwrap_err()
}

#[tokio::test]
async fn a_message_arrives() {
    let smtp = SmtpServer::start(Manner::Accept).await;
    let answer = send(&server(smtp.port()), &message()).await.unwrap();
    assert!(answer.starts_with("250") && answer.contains("Queued as 4711"), "{answer}");
    let all = smtp.received();
    let [received] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((received.from.as_str(), received.to.join(" ").as_str()), ("<wharf@acme.test>", "<ada@acme.test>"));
    assert!(received.text.contains("Message-ID: <1@wharf.test>") && received.text.contains("end"), "{}", received.text);
}

#[tokio::test]
async fn a_rejection_has_the_servers_words() {
    let smtp = SmtpServer::start(Manner::Reject("550 5.1.1 No such user".into())).await;
    let err = refused(&server(smtp.port())).await;
    assert!(!err.is_temporary() && err.to_string().contains("No such user"), "{err}");
    smtp.behave(Manner::Reject("451 4.7.1 Come back later".into()));
    let err = refused(&server(smtp.port())).await;
    assert!(err.is_temporary() && err.to_string().contains("Come back later"), "{err}");
    assert!(smtp.received().is_empty());
}

#[tokio::test]
async fn a_server_that_hangs_or_breaks_off_is_tried_again() {
    let smtp = SmtpServer::start(Manner::Hang).await;
    let impatient = Server { patience: Duration::from_millis(300), ..server(smtp.port()) };
    let err = refused(&impatient).await;
    assert!(err.is_temporary() && err.to_string().contains("did not answer"), "{err}");
    smtp.behave(Manner::Cut);
    assert!(refused(&server(smtp.port())).await.is_temporary());
    let port = smtp.port();
    drop(smtp);
    assert!(refused(&Server { patience: Duration::from_secs(5), ..server(port) }).await.is_temporary());
    smtp_accepts_again().await;
}

async fn smtp_accepts_again() {
    let smtp = SmtpServer::start(Manner::Cut).await;
    refused(&server(smtp.port())).await;
    smtp.behave(Manner::Accept);
    send(&server(smtp.port()), &message()).await.unwrap();
    assert_eq!(smtp.received().len(), 1);
}

#[tokio::test]
async fn what_is_no_mail_server_is_not_read_out() {
    let smtp = SmtpServer::start(Manner::Odd).await;
    let err = refused(&server(smtp.port())).await;
    assert!(err.is_temporary() && !err.to_string().contains("secret-banner"), "{err}");
}

#[tokio::test]
async fn encryption_that_is_required_is_not_done_without() {
    let smtp = SmtpServer::start(Manner::Accept).await;
    for encryption in [Encryption::StartTls, Encryption::Tls] {
        let strict = Server { encryption, patience: Duration::from_secs(5), ..server(smtp.port()) };
        assert!(send(&strict, &message()).await.is_err(), "{encryption:?}");
    }
    assert!(smtp.received().is_empty());
}

#[tokio::test]
async fn credentials_are_checked_by_the_server() {
    let smtp = SmtpServer::start(Manner::Login("wharf".into(), "secret".into())).await;
    let with = |password: &str| Server { credentials: Some(("wharf".into(), password.into())), ..server(smtp.port()) };
    send(&with("secret"), &message()).await.unwrap();
    let err = refused(&with("wrong")).await;
    // The settings are wrong, not the message: it waits until they are corrected.
    assert!(err.is_temporary() && err.to_string().contains("Wrong user or password"), "{err}");
    assert_eq!(smtp.received().len(), 1);
}

#[tokio::test]
async fn metadata_services_are_not_connected_to() {
    let err = refused(&Server { host: "169.254.169.254".into(), ..server(25) }).await;
    assert!(err.to_string().contains("no mail server"), "{err}");
}
