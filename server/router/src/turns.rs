//! The amount of work that a connection may do before others proceed.
//!
//! Each time tokio polls a task, the task gets a budget, of which an operation on a socket consumes one unit; when the
//! budget is used up, all sockets of the task are pending until the other tasks and the reactor have had their turn.
//! But a single read can bring thousands of chunks, and hyper parses all of them in a loop. So here, a read consumes
//! more of the budget, in proportion to its size.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::coop;

/// Maximum number of bytes per read: enough for 64 KiB, a common size, together with a head.
const READ_BYTES: usize = 128 * 1024;
/// Bytes per unit of the budget, which has 128 units.
const UNIT_BYTES: usize = 2 * 1024;

/// Reads from a socket, and charges the bytes to the budget.
pub(crate) fn poll_read(
    socket: Pin<&mut impl AsyncRead>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let mut part = buf.take(READ_BYTES);
    ready!(socket.poll_read(cx, &mut part))?;
    let read = part.filled().len();
    // SAFETY: `part` is the beginning of the unfilled part of `buf`, and its first `read` bytes are filled.
    unsafe { buf.assume_init(read) };
    buf.advance(read);
    spend(cx, read / UNIT_BYTES);
    Poll::Ready(Ok(()))
}

/// Consumes units of the budget, as far as there are any.
pub(crate) fn spend(cx: &mut Context<'_>, units: usize) {
    for _ in 0..units {
        if is_over() {
            return;
        }
        if let Poll::Ready(taken) = coop::poll_proceed(cx) {
            taken.made_progress();
        }
    }
}

/// Whether the budget is used up.
pub(crate) fn is_over() -> bool {
    !coop::has_budget_remaining()
}

/// Pending if the budget is used up; the task is woken for its next turn.
pub(crate) fn poll_continue(cx: &mut Context<'_>) -> Poll<()> {
    coop::poll_proceed(cx).map(drop)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Bytes that can be read until the turn ends.
    async fn read_in_a_turn(size: usize) -> usize {
        let mut buffer = vec![0; size];
        let mut endless = tokio::io::repeat(b'x');
        let mut total = 0;
        poll_fn(|cx| {
            // Enough for an endless turn.
            while total < 1 << 30 {
                let mut buf = ReadBuf::new(&mut buffer);
                match poll_read(Pin::new(&mut endless), cx, &mut buf) {
                    Poll::Ready(result) => result.expect("it never fails"),
                    Poll::Pending => break,
                }
                total += buf.filled().len();
            }
            Poll::Ready(())
        })
        .await;
        total
    }

    #[tokio::test]
    async fn a_turn_is_so_many_bytes_whatever_the_size_of_a_read() {
        for size in [8 << 10, 64 << 10, 1 << 20, 64 << 20] {
            let total = tokio::spawn(read_in_a_turn(size)).await.expect("it ends");
            assert!((64 << 10..=384 << 10).contains(&total), "{total} bytes by {size}");
        }
    }

    #[tokio::test]
    async fn a_turn_that_is_over_is_followed_by_another() {
        let turns = tokio::spawn(async {
            let mut turns = 0;
            poll_fn(|cx| {
                if turns == 3 {
                    return Poll::Ready(());
                }
                turns += 1;
                assert!(!is_over());
                spend(cx, 1000);
                assert!(is_over());
                // This is what wakes the task.
                poll_continue(cx)
            })
            .await;
            turns
        });
        assert_eq!(turns.await.expect("it ends"), 3);
    }
}
