//! Encryption, with a real server: aiosmtpd, which `setup.sh` installs for tests.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use mail::{Encryption, Server, send};
use serde_json::{Value, json};

use crate::{message, refused, server};

/// Set in the process that trusts the certificate: the ports of the server.
const PORTS: &str = "WHARF_TEST_SMTP_PORTS";

/// Creates a certificate for localhost and 127.0.0.1, in `cert.pem`, and its key, in `key.pem`.
fn certify(folder: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        // That of a server, not of a CA.
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// A server that requires encryption, until it is dropped.
struct RealServer {
    process: Child,
    output: BufReader<ChildStdout>,
    /// As [`PORTS`].
    ports: String,
}

impl Drop for RealServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl RealServer {
    fn start(folder: &Path) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut process = Command::new(root.join("../../target/setup/python/bin/python"))
            .arg(root.join("tests/it/smtp_server.py"))
            .args([folder.join("cert.pem"), folder.join("key.pem")])
            .stdout(Stdio::piped())
            // It reports clients that do not trust it.
            .stderr(Stdio::null())
            .spawn()
            .expect("./setup.sh test has installed Python with aiosmtpd");
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut ports = String::new();
        output.read_line(&mut ports).unwrap();
        Self { process, output, ports: ports.trim().to_owned() }
    }

    /// The next message that it accepts, or has accepted.
    fn received(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

/// The ways to reach the server: with STARTTLS, with TLS, and at an address that is not in its certificate.
fn ways(ports: &str) -> [Server; 3] {
    let ports: Vec<u16> = ports.split(' ').map(|port| port.parse().unwrap()).collect();
    let at = |host: &str, port, encryption| Server { host: host.into(), encryption, ..server(port) };
    [
        // The name is resolved here, and the connection is made by address: the certificate has to be for the name.
        at("localhost", ports[0], Encryption::StartTls),
        at("127.0.0.1", ports[1], Encryption::Tls),
        at("127.0.0.2", ports[2], Encryption::StartTls),
    ]
}

#[tokio::test]
async fn encrypted_connections_are_made_to_servers_that_this_machine_trusts() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let mut real = RealServer::start(folder.path());
    // Nobody has signed its certificate.
    for way in ways(&real.ports) {
        let err = refused(&way).await;
        assert!(err.is_temporary() && err.to_string().to_lowercase().contains("certificate"), "{err}");
    }
    // It does not accept messages in plain text, either.
    let plain = Server { encryption: Encryption::None, ..ways(&real.ports)[0].clone() };
    assert!(refused(&plain).await.to_string().contains("STARTTLS"));

    // What is trusted is the same for a whole process.
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tls::a_process_that_trusts_the_server"])
        .env(PORTS, &real.ports)
        .env("SSL_CERT_FILE", folder.path().join("cert.pem"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    for subject in ["starttls", "tls"] {
        let message = real.received();
        assert_eq!((&message["from"], &message["to"]), (&json!("wharf@acme.test"), &json!(["ada@acme.test"])));
        assert!(message["text"].as_str().unwrap().contains(&format!("Subject: {subject}")), "{message}");
    }
}

/// Does nothing as a test of its own.
#[tokio::test]
async fn a_process_that_trusts_the_server() {
    let Ok(ports) = std::env::var(PORTS) else { return };
    let [starttls, tls, other] = ways(&ports);
    for (way, subject) in [(starttls, "starttls"), (tls, "tls")] {
        let answer = send(&way, &mail::Message { subject: subject.into(), ..message() }).await.unwrap();
        assert!(answer.starts_with("250") && answer.contains("Queued as 4711"), "{answer}");
    }
    let err = refused(&other).await;
    assert!(err.is_temporary() && err.to_string().to_lowercase().contains("certificate"), "{err}");
}
