//! For tests: an SMTP server that speaks the protocol over a real socket, and misbehaves on request.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// How the server behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    Accept,
    /// Rejects every recipient with this answer, such as `550 5.1.1 No such user`.
    Reject(String),
    /// Never answers.
    Hang,
    /// Closes the connection when the message comes.
    Cut,
    /// Answers like another kind of server.
    Odd,
    /// Accepts only this user and password.
    Login(String, String),
}

/// A message that was accepted.
#[derive(Clone, Debug)]
pub struct Received {
    /// The addresses of the envelope, as in `<ada@acme.test>`.
    pub from: String,
    pub to: Vec<String>,
    /// Headers and body.
    pub text: String,
}

/// An SMTP server on a free port of 127.0.0.1, until it is dropped.
pub struct SmtpServer {
    at: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    received: watch::Sender<Vec<Received>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl SmtpServer {
    /// Starts it.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let at = listener.local_addr().expect("the address");
        let (manner, received) = (Arc::new(Mutex::new(manner)), watch::Sender::new(Vec::new()));
        let (of_all, to) = (manner.clone(), received.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let manner = of_all.lock().expect("the manner").clone();
                tokio::spawn(converse(stream, manner, to.clone()));
            }
        });
        Self { at, manner, received, accepting }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.at.port()
    }

    /// Changes how it treats new connections.
    ///
    /// # Panics
    /// Never, unless a test has failed before.
    pub fn behave(&self, manner: Manner) {
        *self.manner.lock().expect("the manner") = manner;
    }

    /// What it has accepted so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }

    /// Waits until it has accepted this many messages.
    ///
    /// # Panics
    /// Never.
    pub async fn has_received(&self, count: usize) -> Vec<Received> {
        let mut changes = self.received.subscribe();
        changes.wait_for(|all| all.len() >= count).await.expect("the server runs").clone()
    }
}

/// One connection.
struct Conversation {
    stream: BufReader<TcpStream>,
}

impl Conversation {
    async fn say(&mut self, answer: &str) -> Option<()> {
        self.stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await.ok()
    }

    /// The next line, without its end; `None` at the end of the connection.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).await {
            Ok(read) if read > 0 => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
            _ => None,
        }
    }

    /// The lines of a message, up to the dot.
    async fn data(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            let line = self.line().await?;
            if line == "." {
                return Some(text);
            }
            text.push_str(line.strip_prefix('.').unwrap_or(&line));
            text.push('\n');
        }
    }
}

async fn converse(stream: TcpStream, manner: Manner, received: watch::Sender<Vec<Received>>) -> Option<()> {
    let mut peer = Conversation { stream: BufReader::new(stream) };
    match manner {
        // The connection stays open until the client gives up.
        Manner::Hang => while peer.line().await.is_some() {},
        Manner::Odd => peer.say("SSH-2.0-secret-banner").await?,
        manner => {
            peer.say("220 mail.test ESMTP").await?;
            speak(&mut peer, &manner, &received).await?;
        }
    }
    Some(())
}

async fn speak(peer: &mut Conversation, manner: &Manner, received: &watch::Sender<Vec<Received>>) -> Option<()> {
    let (mut from, mut to) = (String::new(), Vec::new());
    let mut is_known = !matches!(manner, Manner::Login(..));
    loop {
        let line = peer.line().await?;
        let (verb, rest) = line.split_once([' ', ':']).unwrap_or((line.as_str(), ""));
        match (verb.to_uppercase().as_str(), manner) {
            ("EHLO" | "HELO", Manner::Login(..)) => peer.say("250-mail.test\r\n250 AUTH PLAIN").await?,
            ("EHLO" | "HELO", _) => peer.say("250 mail.test").await?,
            ("AUTH", Manner::Login(user, password)) => {
                is_known = rest.strip_prefix("PLAIN ").is_some_and(|given| given == plain(user, password));
                peer.say(if is_known { "235 2.7.0 Welcome" } else { "535 5.7.8 Wrong user or password" }).await?;
            }
            ("MAIL", _) if !is_known => peer.say("530 5.7.0 Authentication required").await?,
            ("MAIL", _) => {
                from = envelope(rest);
                peer.say("250 2.1.0 OK").await?;
            }
            ("RCPT", Manner::Reject(answer)) => peer.say(answer).await?,
            ("RCPT", _) => {
                to.push(envelope(rest));
                peer.say("250 2.1.5 OK").await?;
            }
            ("DATA", Manner::Cut) => return None,
            ("DATA", _) => {
                peer.say("354 Go ahead").await?;
                let text = peer.data().await?;
                let (from, to) = (std::mem::take(&mut from), std::mem::take(&mut to));
                received.send_modify(|all| all.push(Received { from, to, text }));
                peer.say("250 2.0.0 Queued as 4711").await?;
            }
            ("RSET" | "NOOP", _) => peer.say("250 2.0.0 OK").await?,
            ("QUIT", _) => {
                peer.say("221 2.0.0 Bye").await?;
                return Some(());
            }
            _ => peer.say("502 5.5.1 Unknown command").await?,
        }
    }
}

/// The address in `FROM:<…>` or `TO:<…>`, with its brackets.
fn envelope(rest: &str) -> String {
    let from = rest.find('<').unwrap_or(0);
    rest[from..].split_inclusive('>').next().unwrap_or_default().to_owned()
}

/// What a client sends for `AUTH PLAIN`: base64 of the user and the password, each after a zero byte.
fn plain(user: &str, password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("\0{user}\0{password}");
    let groups = text.as_bytes().chunks(3).map(|group| {
        let bits = (0..3).fold(0_u32, |bits, n| (bits << 8) | u32::from(group.get(n).copied().unwrap_or(0)));
        let digit = |n: usize| match n <= group.len() {
            true => char::from(DIGITS[(bits >> (18 - 6 * n)) as usize & 63]),
            false => '=',
        };
        (0..4).map(digit).collect::<String>()
    });
    groups.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_addresses_are_read() {
        assert_eq!(plain("ada", "secret"), "AGFkYQBzZWNyZXQ=");
        assert_eq!(envelope("FROM:<wharf@acme.test> SIZE=3"), "<wharf@acme.test>");
    }
}
