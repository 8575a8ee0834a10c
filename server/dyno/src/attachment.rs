//! The server's end of the socket of an attached process.

use std::io;

use shim::terminal::{END_OF_INPUT, ERRORS, EXIT, INPUT, MOST_CONTENT, OUTPUT, Parser, RESIZE, WindowSize, message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::Exit;

/// A connection to an attached process. If it is dropped before the process has ended, the process gets SIGHUP, and is
/// killed if it does not end within 30 seconds.
pub struct Attachment {
    /// Its output.
    pub output: AttachedOutput,
    /// Its input.
    pub input: AttachedInput,
}

impl Attachment {
    /// From the stream to the process's supervisor.
    pub fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        let output = AttachedOutput { reader, parser: Parser::new(MOST_CONTENT) };
        Self { output, input: AttachedInput { writer } }
    }
}

/// What comes from an attached process.
#[derive(Clone, PartialEq, Debug)]
pub enum FromProcess {
    /// Output, of its terminal or of stdout.
    Output(Vec<u8>),
    /// Output of stderr. Only without a terminal.
    Errors(Vec<u8>),
    /// It has ended; the last item.
    Exited(Exit),
}

/// The output of an attached process.
pub struct AttachedOutput {
    reader: OwnedReadHalf,
    parser: Parser,
}

impl AttachedOutput {
    /// The next item, or `None` if the connection to the process is lost. Dropped while it waits, it loses nothing.
    ///
    /// # Errors
    /// If the supervisor does not follow the protocol.
    pub async fn next(&mut self) -> io::Result<Option<FromProcess>> {
        let mut buffer = vec![0; 16 << 10];
        loop {
            while let Some((kind, content)) = self.parser.take()? {
                match kind {
                    OUTPUT => return Ok(Some(FromProcess::Output(content))),
                    ERRORS => return Ok(Some(FromProcess::Errors(content))),
                    EXIT => return Ok(Some(FromProcess::Exited(serde_json::from_slice(&content)?))),
                    // Of a newer supervisor.
                    _ => {}
                }
            }
            match self.reader.read(&mut buffer).await {
                Ok(0) => return Ok(None),
                Ok(read) => self.parser.push(&buffer[..read]),
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }
}

/// The input of an attached process. Each method waits while the process does not read. One that is dropped while it
/// waits may have sent a part: nothing can be sent afterwards.
pub struct AttachedInput {
    writer: OwnedWriteHalf,
}

impl AttachedInput {
    /// Sends input.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(MOST_CONTENT) {
            self.writer.write_all(&message(INPUT, part)).await?;
        }
        Ok(())
    }

    /// Ends the input: the process reads the end of the file.
    pub async fn end(&mut self) -> io::Result<()> {
        self.writer.write_all(&message(END_OF_INPUT, b"")).await
    }

    /// Changes the size of the terminal's window. Without a terminal, it does nothing.
    pub async fn resize(&mut self, size: WindowSize) -> io::Result<()> {
        self.writer.write_all(&message(RESIZE, &size.to_bytes())).await
    }
}
