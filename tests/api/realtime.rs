//! `/v1/realtime` as a client sees it: a real websocket against a real server, with a fake model behind the engine.

mod ends;
mod limits;
mod sessions;

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::server::{PATIENCE, Server};

pub const TRANSCRIBED: &str = "conversation.item.input_audio_transcription.";

/// A client that is connected.
pub struct Client {
    pub socket: WebSocketStream<TcpStream>,
    pub answer: Response,
}

pub async fn connect(server: &Server, query: &str, headers: &[(&'static str, &str)]) -> Client {
    let mut request = format!("ws://{}/v1/realtime{query}", server.address).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (socket, answer) = client_async(request, stream).await.unwrap();
    Client { socket, answer }
}

/// Connected, greeted, and set up so.
pub async fn open(server: &Server, input: Value) -> Client {
    let mut client = connect(server, "?intent=transcription", &[]).await;
    assert_eq!(client.next().await["type"], "session.created");
    client.tell(json!({"type": "session.update", "session": {"type": "transcription", "audio": {"input": input}}})).await;
    assert_eq!(client.next().await["type"], "session.updated");
    client
}

/// 16 kHz, and the client says when a turn ends.
pub fn manual() -> Value {
    json!({"format": {"type": "audio/pcm", "rate": 16_000}, "turn_detection": null})
}

impl Client {
    pub async fn tell(&mut self, event: Value) {
        self.socket.send(Message::text(event.to_string())).await.unwrap();
    }

    pub async fn append(&mut self, bytes: &[u8]) {
        self.tell(json!({"type": "input_audio_buffer.append", "audio": BASE64_STANDARD.encode(bytes)})).await;
    }

    pub async fn commit(&mut self) {
        self.tell(json!({"type": "input_audio_buffer.commit"})).await;
    }

    /// The next event.
    pub async fn next(&mut self) -> Value {
        match self.frame().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("no event but {other:?}"),
        }
    }

    /// The next frame that is no ping.
    pub async fn frame(&mut self) -> Option<Message> {
        loop {
            let frame =
                tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("the server is silent");
            match frame {
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(frame)) => return Some(frame),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Events up to the first of this kind.
    pub async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            events.push(self.next().await);
            if events.last().unwrap()["type"] == kind {
                return events;
            }
        }
    }

    /// The close frame's code and reason.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.frame().await {
                Some(Message::Close(Some(frame))) => return (frame.code.into(), frame.reason.to_string()),
                Some(Message::Text(_)) => {}
                other => panic!("no close frame but {other:?}"),
            }
        }
    }
}

/// 16-bit samples at 16 kHz: two sentences over and over.
pub fn speech(seconds: u32) -> Vec<u8> {
    crate::server::wav(seconds)[44..].to_vec()
}

pub fn silence(time: Duration) -> Vec<u8> {
    vec![0; time.as_millis() as usize * 32]
}
