//! Writes to a socket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

/// The head and the body of a small response.
const SMALL: usize = 1024;

/// Writes several buffers. If they are small, as one: copying them costs less than a system call for several.
pub(crate) fn poll_write_vectored(
    socket: Pin<&mut impl AsyncWrite>,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    if let [buf] = bufs {
        return socket.poll_write(cx, buf);
    }
    let total: usize = bufs.iter().map(|buf| buf.len()).sum();
    if total > SMALL {
        return socket.poll_write_vectored(cx, bufs);
    }
    let mut joined = [0; SMALL];
    let mut end = 0;
    for buf in bufs {
        joined[end..end + buf.len()].copy_from_slice(buf);
        end += buf.len();
    }
    socket.poll_write(cx, &joined[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_bytes_are_written_in_order_whatever_their_number() {
        for sizes in [&[][..], &[0], &[7], &[3, 4], &[0, 5, 0, 6], &[SMALL, 1], &[1, SMALL - 1], &[5000, 5000]] {
            let data: Vec<Vec<u8>> = sizes.iter().zip(b'a'..).map(|(size, letter)| vec![letter; *size]).collect();
            let bufs: Vec<IoSlice> = data.iter().map(|data| IoSlice::new(data)).collect();
            let mut written = Vec::new();
            let write = std::future::poll_fn(|cx| poll_write_vectored(Pin::new(&mut written), cx, &bufs));
            assert_eq!(write.await.expect("it never fails"), data.concat().len());
            assert_eq!(written, data.concat());
        }
    }
}
