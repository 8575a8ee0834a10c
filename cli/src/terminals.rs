//! This terminal as that of a process on the platform, over a websocket.
//!
//! While a session is open, the terminal is raw: every key goes to the process, also Ctrl-C. The output is written
//! exactly as it comes, since programs draw with it; it is that of a command which the user has asked to run.

use std::{
    io::{IsTerminal as _, Write as _},
    os::fd::{AsFd as _, AsRawFd as _},
};

use anyhow::{Context as _, Result};
use api::{
    dynos::Window,
    terminals::{FromTerminal, STDERR, ToTerminal},
};
use futures::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use tokio::{
    io::AsyncReadExt as _,
    signal::unix::{SignalKind, signal},
};
use tokio_tungstenite::tungstenite::Message;

use crate::transport::Socket;

/// How a session ended.
pub enum Exit {
    /// With the exit status of the process.
    Status(i32),
    /// For this reason, without one.
    Failed(String),
}

/// The size of this terminal.
pub fn window() -> Window {
    let mut size = nix::libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the argument is of the type that the request expects, and outlives the call.
    let done = unsafe { nix::libc::ioctl(std::io::stdout().as_raw_fd(), nix::libc::TIOCGWINSZ, &raw mut size) };
    match done == 0 && size.ws_row > 0 && size.ws_col > 0 {
        true => Window { columns: size.ws_col, rows: size.ws_row },
        false => Window { columns: 80, rows: 24 },
    }
}

/// Connects this terminal, or standard input and output, with a process until that ends.
pub async fn run(socket: Socket, has_window: bool) -> Result<Exit> {
    let _raw = has_window.then(Raw::begin).transpose()?;
    let (sink, stream) = socket.split();
    // Both at once: a process that waits until its output is read does not read its input.
    tokio::select! {
        exit = receive(stream) => exit,
        failed = send(sink, has_window) => failed,
    }
}

/// Writes output until the process has ended.
async fn receive(mut stream: SplitStream<Socket>) -> Result<Exit> {
    loop {
        match stream.next().await {
            Some(Ok(Message::Binary(bytes))) => write(&bytes)?,
            Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                Ok(FromTerminal::Exited { status, .. }) => return Ok(Exit::Status(status)),
                Ok(FromTerminal::Failed { message }) => return Ok(Exit::Failed(message)),
                // Attached, or a message of a newer platform.
                _ => {}
            },
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Ok(Exit::Failed("the connection to the platform was lost".into())),
        }
    }
}

/// Sends input, and the size of the window when it changes. Ends only if that fails here.
async fn send(mut sink: SplitSink<Socket, Message>, has_window: bool) -> Result<Exit> {
    let mut input = tokio::io::stdin();
    let mut buffer = vec![0; 16 << 10];
    let mut is_open = true;
    let mut resized = signal(SignalKind::window_change()).context("watch the size of the terminal")?;
    loop {
        let message = tokio::select! {
            read = input.read(&mut buffer), if is_open => match read.context("read the input")? {
                0 => {
                    is_open = false;
                    said(ToTerminal::EndOfInput)?
                }
                read => Message::binary(buffer[..read].to_vec()),
            },
            _ = resized.recv() => match has_window {
                true => said(ToTerminal::Resize(window()))?,
                false => continue,
            },
        };
        if sink.send(message).await.is_err() {
            // Whoever reads learns why.
            return std::future::pending().await;
        }
    }
}

fn said(message: ToTerminal) -> Result<Message> {
    Ok(Message::text(serde_json::to_string(&message).context("write JSON")?))
}

/// Writes output: the first byte says where.
fn write(bytes: &[u8]) -> Result<()> {
    let Some((channel, bytes)) = bytes.split_first() else { return Ok(()) };
    let written = match *channel {
        STDERR => std::io::stderr().write_all(bytes).and_then(|()| std::io::stderr().flush()),
        _ => std::io::stdout().write_all(bytes).and_then(|()| std::io::stdout().flush()),
    };
    written.context("write the output")
}

/// Makes the terminal raw until it is dropped.
struct Raw(Termios);

impl Raw {
    fn begin() -> Result<Self> {
        let stdin = std::io::stdin();
        debug_assert!(stdin.is_terminal());
        let before = tcgetattr(stdin.as_fd()).context("read the settings of the terminal")?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &raw).context("change the settings of the terminal")?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin().as_fd(), SetArg::TCSANOW, &self.0);
    }
}
