//! The websocket of a terminal, for the console and the command line. Its messages are in `api::terminals`.

use std::io;

use api::terminals::{FromTerminal, STDERR, STDOUT, ToTerminal};
use async_trait::async_trait;
use axum::{
    extract::{
        Path, State, WebSocketUpgrade,
        ws::{Message, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use base::{Error, Result};
use dyno::FromProcess;
use futures::{SinkExt as _, StreamExt as _, future, stream::SplitSink};
use identity::Actor;

use super::{
    session::{self, End, FromClient, Screen},
    window_size,
};
use crate::OneOffs;

/// The maximum size of a client's message, in bytes.
const MOST: usize = 64 << 10;

/// `GET /terminals/{secret}`
pub async fn terminal_attach(
    State(one_offs): State<OneOffs>,
    actor: Actor,
    Path(secret): Path<String>,
    upgrade: std::result::Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response> {
    let missing = || {
        Error::not_found(
            "terminal",
            "This terminal does not exist, has expired or was attached to before. Run it again.",
        )
    };
    // A request without an upgrade does not use up the secret.
    let upgrade = upgrade.map_err(|_| missing())?;
    let opening = one_offs.terminals().claim(&secret, Some(actor.account.id)).ok_or_else(missing)?;
    let upgrade = upgrade.max_message_size(MOST).max_frame_size(MOST);
    Ok(upgrade.on_upgrade(async move |socket| {
        let (sink, stream) = socket.split();
        let there = stream.take_while(|message| future::ready(matches!(message, Ok(message) if !is_close(message))));
        let input = there.filter_map(|message| future::ready(message.ok().and_then(received)));
        session::serve(&one_offs, opening, input.boxed(), &mut Socket(sink)).await;
    }))
}

fn is_close(message: &Message) -> bool {
    matches!(message, Message::Close(_))
}

/// What a message means; unknown ones are ignored.
fn received(message: Message) -> Option<FromClient> {
    match message {
        Message::Binary(bytes) => Some(FromClient::Input(bytes.to_vec())),
        Message::Text(text) => match serde_json::from_str(&text).ok()? {
            ToTerminal::Resize(window) => window_size(window).ok().map(FromClient::Resize),
            ToTerminal::EndOfInput => Some(FromClient::EndOfInput),
        },
        _ => None,
    }
}

struct Socket(SplitSink<WebSocket, Message>);

impl Socket {
    async fn send(&mut self, message: Message) -> io::Result<()> {
        self.0.send(message).await.map_err(io::Error::other)
    }

    async fn say(&mut self, message: &FromTerminal) -> io::Result<()> {
        self.send(Message::Text(serde_json::to_string(message)?.into())).await
    }
}

#[async_trait]
impl Screen for Socket {
    async fn attached(&mut self) -> io::Result<()> {
        self.say(&FromTerminal::Attached).await
    }

    async fn show(&mut self, output: FromProcess) -> io::Result<()> {
        let (channel, bytes) = match output {
            FromProcess::Output(bytes) => (STDOUT, bytes),
            FromProcess::Errors(bytes) => (STDERR, bytes),
            FromProcess::Exited(_) => return Ok(()),
        };
        self.send(Message::Binary([&[channel][..], &bytes].concat().into())).await
    }

    async fn ping(&mut self) -> io::Result<()> {
        self.send(Message::Ping(Vec::new().into())).await
    }

    async fn end(&mut self, end: &End) -> io::Result<()> {
        let last = match end {
            End::Exited(exit) => {
                let (status, sentence) = End::of_exit(exit);
                FromTerminal::Exited { status, sentence }
            }
            End::Failed(message) => FromTerminal::Failed { message: message.clone() },
        };
        self.say(&last).await?;
        self.0.close().await.map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use dyno::WindowSize;

    use super::*;

    #[test]
    fn messages_are_input_or_understood() {
        let text = |text: &str| received(Message::Text(text.into()));
        assert_eq!(received(Message::Binary(vec![3].into())), Some(FromClient::Input(vec![3])));
        let size = WindowSize { columns: 80, rows: 24 };
        assert_eq!(text(r#"{"type":"resize","columns":80,"rows":24}"#), Some(FromClient::Resize(size)));
        assert_eq!(text(r#"{"type":"end_of_input"}"#), Some(FromClient::EndOfInput));
        for odd in ["", "{}", r#"{"type":"resize","columns":0,"rows":24}"#, r#"{"type":"new"}"#] {
            assert_eq!(text(odd), None, "{odd}");
        }
    }
}
