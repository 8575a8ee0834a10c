//! The PROXY protocol, versions 1 and 2: a proxy below HTTP states the client's address ahead of everything else.
//!
//! It is expected only from trusted peers, and required from them: an optional header could be sent by the client.

use std::io;
use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use ppp::{HeaderResult, PartialResult as _, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Maximum length; no proxy sends more.
const MOST: usize = 4096;

/// The contents of the header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Introduction {
    /// The client; `None` for a connection of the proxy's own, such as a health check.
    pub(crate) ip: Option<IpAddr>,
    /// Bytes received after the header.
    pub(crate) rest: Bytes,
}

/// Reads the header. Fails at the end of the connection, or if the header is missing or invalid.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Introduction> {
    let mut buffer = BytesMut::with_capacity(MOST);
    loop {
        let mut limited = (&mut *stream).take((MOST - buffer.len()) as u64);
        if limited.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some((ip, length)) = parse(&buffer)? {
            let rest = buffer.split_off(length).freeze();
            return Ok(Introduction { ip, rest });
        }
    }
}

/// The client and the length of the header; `None` if it is incomplete.
fn parse(bytes: &[u8]) -> io::Result<Option<(Option<IpAddr>, usize)>> {
    let found = HeaderResult::parse(bytes);
    if found.is_incomplete() && bytes.len() < MOST {
        return Ok(None);
    }
    match found {
        HeaderResult::V1(Ok(header)) => {
            let ip = match header.addresses {
                v1::Addresses::Tcp4(pair) => Some(pair.source_address.into()),
                v1::Addresses::Tcp6(pair) => Some(pair.source_address.into()),
                v1::Addresses::Unknown => None,
            };
            Ok(Some((ip.map(|ip: IpAddr| ip.to_canonical()), header.header.len())))
        }
        HeaderResult::V2(Ok(header)) => {
            let ip = match (header.command, &header.addresses) {
                (v2::Command::Local, _) => None,
                (_, v2::Addresses::IPv4(pair)) => Some(IpAddr::from(pair.source_address)),
                (_, v2::Addresses::IPv6(pair)) => Some(IpAddr::from(pair.source_address)),
                _ => None,
            };
            Ok(Some((ip.map(|ip| ip.to_canonical()), header.len())))
        }
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    async fn introduction(bytes: &[u8]) -> Option<(Option<String>, Bytes)> {
        let read = read(&mut &*bytes).await.ok()?;
        Some((read.ip.map(|ip| ip.to_string()), read.rest))
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u16).to_be_bytes();
        [V2, &[command, family], &length, body, b"GET"].concat()
    }

    #[tokio::test]
    async fn both_versions_name_the_client() {
        let get = Bytes::from_static(b"GET");
        let some = |ip: &str| Some((Some(ip.to_owned()), get.clone()));
        assert_eq!(introduction(b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\nGET").await, some("192.0.2.1"));
        assert_eq!(introduction(b"PROXY TCP6 2001:db8::1 ::1 4711 80\r\nGET").await, some("2001:db8::1"));
        assert_eq!(introduction(b"PROXY UNKNOWN\r\nGET").await, Some((None, get.clone())));
        let pair = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0, 80];
        assert_eq!(introduction(&v2(0x21, 0x11, &pair)).await, some("192.0.2.1"));
        let with_extra = [&pair[..], &[4, 0, 1, 0]].concat();
        assert_eq!(introduction(&v2(0x21, 0x11, &with_extra)).await, some("192.0.2.1"));
        assert_eq!(introduction(&v2(0x20, 0x00, b"")).await, Some((None, get)));
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        for bad in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"PROXY TCP4 192.0.2.1\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 99999\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\nGET",
            b"PROXY",
            b"",
            V2,
        ] {
            assert_eq!(introduction(bad).await, None, "{}", bad.escape_ascii());
        }
        assert_eq!(introduction(&v2(0x31, 0x11, &[0; 12])).await, None);
        assert_eq!(introduction(&v2(0x21, 0x11, &[0; 3])).await, None);
        assert_eq!(introduction(&v2(0x21, 0x11, &[0; 5000])).await, None);
    }

    /// Neither panics nor reads past the end, whatever the input.
    #[tokio::test]
    async fn any_bytes_are_read_or_refused() {
        let seeds: [&[u8]; 3] =
            [b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\n", &v2(0x21, 0x11, &[7; 12]), &v2(0x21, 0x21, &[7; 60])];
        for round in 0..30_000u32 {
            let mut bytes = seeds[round as usize % 3].to_vec();
            for _ in 0..=round % 4 {
                let at = rand::random_range(0..bytes.len());
                bytes[at] = rand::random();
            }
            bytes.truncate(rand::random_range(0..=bytes.len()));
            let whole = bytes.len();
            if let Some((_, rest)) = introduction(&bytes).await {
                assert!(rest.len() < whole, "{}", bytes.escape_ascii());
            }
        }
    }
}
