//! The part of rtnetlink that is needed for a veth pair.
//!
//! Our own code, since it is a handful of messages, and starting `ip` about eight times takes longer than the rest of a
//! dyno's start.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const VETH_INFO_PEER: u16 = 1;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;

/// A socket to the network namespace that the process was in when it was opened.
pub(super) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    pub fn open() -> io::Result<Socket> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: plain system call.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Socket { fd, sequence: 0 })
    }

    /// Creates a pair of interfaces: `outer` here, `inner` in the other namespace. Both are down, since the kernel
    /// refuses to bring up an end without a peer.
    pub fn make_veth(&mut self, outer: &str, inner: &str, namespace: i32) -> io::Result<()> {
        let mut m = Message::new(libc::RTM_NEWLINK, CREATE);
        m.link(0, false);
        m.text(libc::IFLA_IFNAME, outer);
        m.nest(libc::IFLA_LINKINFO, |m| {
            m.text(IFLA_INFO_KIND, "veth");
            m.nest(IFLA_INFO_DATA, |m| {
                m.nest(VETH_INFO_PEER, |m| {
                    m.link(0, false);
                    m.text(libc::IFLA_IFNAME, inner);
                    m.bytes(libc::IFLA_NET_NS_FD, &namespace.to_ne_bytes());
                });
            });
        });
        self.ask(m).map(drop)
    }

    pub fn up(&mut self, index: i32) -> io::Result<()> {
        let mut m = Message::new(libc::RTM_NEWLINK, 0);
        m.link(index, true);
        self.ask(m).map(drop)
    }

    pub fn delete(&mut self, name: &str) -> io::Result<()> {
        let mut m = Message::new(libc::RTM_DELLINK, 0);
        m.link(0, false);
        m.text(libc::IFLA_IFNAME, name);
        self.ask(m).map(drop)
    }

    pub fn index(&mut self, name: &str) -> io::Result<i32> {
        let mut m = Message::new(libc::RTM_GETLINK, 0);
        m.link(0, false);
        m.text(libc::IFLA_IFNAME, name);
        let reply = self.ask(m)?;
        // The third field of struct ifinfomsg.
        let index = reply.get(4..8).and_then(|bytes| bytes.try_into().ok());
        index.map(i32::from_ne_bytes).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    pub fn add_address(&mut self, index: i32, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
        let mut m = Message::new(libc::RTM_NEWADDR, CREATE);
        // struct ifaddrmsg: family, prefix, flags, scope, index.
        m.raw(&[libc::AF_INET as u8, prefix, 0, 0]);
        m.raw(&index.to_ne_bytes());
        m.bytes(libc::IFA_LOCAL, &address.octets());
        m.bytes(libc::IFA_ADDRESS, &address.octets());
        self.ask(m).map(drop)
    }

    pub fn add_default_route(&mut self, gateway: Ipv4Addr) -> io::Result<()> {
        let mut m = Message::new(libc::RTM_NEWROUTE, CREATE);
        // struct rtmsg: family, prefixes of target and source, tos, table, protocol, scope, type.
        let family = libc::AF_INET as u8;
        let (table, protocol) = (libc::RT_TABLE_MAIN, libc::RTPROT_BOOT);
        m.raw(&[family, 0, 0, 0, table, protocol, libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST]);
        m.raw(&0u32.to_ne_bytes());
        m.bytes(libc::RTA_GATEWAY, &gateway.octets());
        self.ask(m).map(drop)
    }

    /// Sends a request and returns the body of the reply, empty if it is only "done".
    fn ask(&mut self, message: Message) -> io::Result<Vec<u8>> {
        self.sequence += 1;
        let request = message.finish(self.sequence);
        // SAFETY: the length is that of the buffer.
        let sent = unsafe { libc::send(self.fd.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut body = Vec::new();
        let mut buffer = vec![0u8; 32 * 1024];
        loop {
            // SAFETY: the length is that of the buffer.
            let read = unsafe { libc::recv(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            if read < 0 {
                match io::Error::last_os_error() {
                    e if e.kind() == io::ErrorKind::Interrupted => continue,
                    e => return Err(e),
                }
            }
            if let Some(result) = take_replies(&buffer[..read as usize], &mut body) {
                return result.map(|()| body);
            }
        }
    }
}

/// Parses the messages of one datagram; the acknowledgement, if present, is the result.
fn take_replies(mut rest: &[u8], body: &mut Vec<u8>) -> Option<io::Result<()>> {
    while let Some(header) = rest.get(..16) {
        let length = u32::from_ne_bytes(header[..4].try_into().expect("four bytes")) as usize;
        let kind = u16::from_ne_bytes(header[4..6].try_into().expect("two bytes"));
        let content = rest.get(16..length)?;
        if i32::from(kind) == libc::NLMSG_ERROR {
            let code = i32::from_ne_bytes(content.get(..4)?.try_into().expect("four bytes"));
            return Some(match code {
                0 => Ok(()),
                code => Err(io::Error::from_raw_os_error(-code)),
            });
        }
        body.extend_from_slice(content);
        rest = rest.get(aligned(length)..).unwrap_or_default();
    }
    None
}

/// A request being built.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16) -> Message {
        let flags = flags | (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        Message(bytes)
    }

    /// struct ifinfomsg: family, type, index, flags, which flags to change.
    fn link(&mut self, index: i32, up: bool) {
        let flags = if up { libc::IFF_UP as u32 } else { 0 };
        self.raw(&[0; 4]);
        self.raw(&index.to_ne_bytes());
        self.raw(&flags.to_ne_bytes());
        self.raw(&flags.to_ne_bytes());
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.nest(kind, |m| m.raw(value));
    }

    fn text(&mut self, kind: u16, value: &str) {
        self.nest(kind, |m| {
            m.raw(value.as_bytes());
            m.raw(&[0]);
        });
    }

    /// An attribute whose value is written by `fill`.
    fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Message)) {
        let start = self.0.len();
        self.raw(&[0; 2]);
        self.raw(&kind.to_ne_bytes());
        fill(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(aligned(self.0.len()), 0);
    }

    fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}
