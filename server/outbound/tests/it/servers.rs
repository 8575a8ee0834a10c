//! Servers with a fixed response, and clients for them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use outbound::{Client, Error, Limits, Rules};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

pub const LIMITS: Limits =
    Limits { time: Duration::from_secs(60), idle: Duration::from_secs(60), bytes: 1 << 20, hops: 5 };

/// A server that always sends the same response, and records its requests.
pub struct Server {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Listens on an address of this machine.
    pub async fn at(ip: &str, answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, asked) = (Arc::new(answer.into()), Arc::<Mutex<Vec<String>>>::default());
        let kept = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let (answer, asked) = (answer.clone(), asked.clone());
                tokio::spawn(async move {
                    let mut read = Vec::new();
                    while !read.windows(4).any(|end| end == b"\r\n\r\n") {
                        if connection.read_buf(&mut read).await.unwrap_or(0) == 0 {
                            break;
                        }
                    }
                    asked.lock().unwrap().push(String::from_utf8_lossy(&read).into_owned());
                    let _ = connection.write_all(&answer).await;
                    let _ = connection.shutdown().await;
                });
            }
        });
        Self { address, asked: kept }
    }

    /// On the only address that these tests' client may connect to.
    pub async fn allowed(answer: impl Into<Vec<u8>>) -> Self {
        Self::at("127.0.0.1", answer).await
    }

    /// The requests so far, complete.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

/// A client that may connect to 127.0.0.1, and nothing else on this machine.
pub fn client() -> Client {
    Client::new(Rules { networks: vec!["127.0.0.1".parse().unwrap()], allowed_ports: Vec::new() }).unwrap()
}

/// A client for which every name resolves to `ip`.
pub fn client_where_names_lead_to(ips: &'static [&'static str]) -> Client {
    client().with_lookup(Arc::new(move |_, port| {
        Box::pin(
            async move { Ok(ips.iter().map(|ip| (ip.parse::<std::net::IpAddr>().unwrap(), port).into()).collect()) },
        )
    }))
}

pub async fn download(client: &Client, url: &str) -> Result<String, Error> {
    let mut into = Vec::new();
    client.download(url, None, &mut into, &LIMITS).await?;
    Ok(String::from_utf8(into).unwrap())
}
