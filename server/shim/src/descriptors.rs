//! Open files on their way to another process: at its start, or through a Unix socket.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::{mem, ptr};

/// Moves a standard descriptor to a number that is not inherited, and replaces it with /dev/null.
pub(crate) fn take(number: RawFd) -> io::Result<File> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    // SAFETY: both are open; the copy is owned by nobody else.
    unsafe {
        let copy = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3);
        if copy < 0 || libc::dup2(null.as_raw_fd(), number) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(File::from_raw_fd(copy))
    }
}

/// The space for one descriptor in a message, aligned as the kernel expects it.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Sends an open file to the process at the other end.
pub(crate) fn send(line: &UnixStream, file: &File) -> io::Result<()> {
    let mut byte = [0u8];
    let mut data = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = Control([0; 64]);
    // SAFETY: the structures outlive the call, and one descriptor fits into the control message.
    unsafe {
        let mut sent: libc::msghdr = mem::zeroed();
        sent.msg_iov = &raw mut data;
        sent.msg_iovlen = 1;
        sent.msg_control = (&raw mut control.0).cast();
        sent.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const sent);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
        ptr::write_unaligned(libc::CMSG_DATA(header).cast::<RawFd>(), file.as_raw_fd());
        match libc::sendmsg(line.as_raw_fd(), &raw const sent, libc::MSG_NOSIGNAL) {
            0.. => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Receives the file that [`send`] has sent.
pub(crate) fn receive(line: &UnixStream) -> io::Result<OwnedFd> {
    let mut byte = [0u8];
    let mut data = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = Control([0; 64]);
    let none = || io::Error::new(ErrorKind::UnexpectedEof, "the command did not open a terminal");
    // SAFETY: the structures outlive the call; a received descriptor is new and owned by nobody else.
    unsafe {
        let mut received: libc::msghdr = mem::zeroed();
        received.msg_iov = &raw mut data;
        received.msg_iovlen = 1;
        received.msg_control = (&raw mut control.0).cast();
        received.msg_controllen = control.0.len() as _;
        match libc::recvmsg(line.as_raw_fd(), &raw mut received, libc::MSG_CMSG_CLOEXEC) {
            1.. => {}
            0 => return Err(none()),
            _ => return Err(io::Error::last_os_error()),
        }
        let header = libc::CMSG_FIRSTHDR(&raw const received);
        if header.is_null() || (*header).cmsg_level != libc::SOL_SOCKET || (*header).cmsg_type != libc::SCM_RIGHTS {
            return Err(none());
        }
        Ok(OwnedFd::from_raw_fd(ptr::read_unaligned(libc::CMSG_DATA(header).cast::<RawFd>())))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_file_arrives_open() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"content").unwrap();
        send(&ours, &file).unwrap();
        drop((ours, file));
        let mut received = File::from(receive(&theirs).unwrap());
        std::io::Seek::rewind(&mut received).unwrap();
        let mut text = String::new();
        received.read_to_string(&mut text).unwrap();
        assert_eq!(text, "content");
        assert_eq!(receive(&theirs).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
