//! Watches over WebSockets: the same events, a message each.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::header::{HOST, ORIGIN, UPGRADE};
use axum::response::Response;
use isogrid_core::Error;
use serde_json::{Value, json};

use super::Api;
use super::answer::{Answer, Failure, body};
use super::ask::Ask;
use super::watch::{Follow, Next, PARAMETERS, Wish};
use crate::clients::{Call, Did};
use crate::http::server::Place;

/// The largest message taken from a client: none is expected.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// How long the other end may take to say goodbye.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// Whether a request wants a WebSocket.
pub(super) fn is_wanted(request: &Request) -> bool {
    let upgrade = request.headers().get(UPGRADE);
    upgrade.is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// `GET /v1/maps/{map}/watch/ws`
pub(super) async fn watch(State(api): State<Api>, request: Request) -> Answer {
    if !is_wanted(&request) {
        let why = "it is for WebSockets: Connection: upgrade, Upgrade: websocket";
        return Err(Failure::malformed(why).with_status(StatusCode::UPGRADE_REQUIRED));
    }
    check_origin(&request)?;
    let place = request.extensions().get::<Arc<Place>>().cloned();
    let mut ask = Ask::new(request, Did::Watch, &PARAMETERS)?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut ask.parts, &()).await;
    let upgrade = upgrade.map_err(|rejection| Failure::malformed(rejection.body_text()))?;
    let (wish, call) = (Wish::of(&ask, None)?, ask.call());
    let follow = Follow::begin(&api, wish).await?;
    let upgrade = upgrade.max_message_size(MESSAGE_BYTES_MAX);
    let response: Response = upgrade.on_upgrade(move |socket| async move {
        let _place = place;
        serve(socket, follow, call).await;
    });
    Ok(response)
}

/// Browsers let any page open a WebSocket to any site, and say which page it was: only pages of this site may.
fn check_origin(request: &Request) -> Result<(), Failure> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = header(ORIGIN) else { return Ok(()) };
    let host = origin.split_once("://").map_or("", |(_, host)| host);
    match header(HOST) {
        Some(own) if own.eq_ignore_ascii_case(host) => Ok(()),
        _ => {
            let why = format!("a page of {origin} asks, which is another site");
            Err(Failure::malformed(why).with_status(StatusCode::FORBIDDEN))
        }
    }
}

/// Tells until one end has had enough.
async fn serve(mut socket: WebSocket, mut follow: Follow, call: Option<Call>) {
    loop {
        let next = tokio::select! {
            next = follow.next() => next,
            said = socket.recv() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                // Nothing is expected, and nothing is done with it.
                Some(Ok(_)) => continue,
            },
        };
        let sent = match next {
            Next::Events(events, place) => send(&mut socket, events, place).await,
            Next::Heartbeat => socket.send(Message::Ping(bytes::Bytes::new())).await,
            Next::Failed(error) => {
                let _ = socket.send(farewell(&error)).await;
                break;
            }
            Next::End => break,
        };
        if sent.is_err() {
            break;
        }
    }
    // Whoever says goodbye first, the other one answers.
    let goodbye = async {
        let _ = socket.send(Message::Close(None)).await;
        while let Some(Ok(_)) = socket.recv().await {}
    };
    let _ = tokio::time::timeout(GOODBYE_MAX, goodbye).await;
    drop(call);
}

/// One message for each event; the last one says where to go on.
async fn send(
    socket: &mut WebSocket,
    mut events: Vec<Value>,
    place: Option<String>,
) -> Result<(), axum::Error> {
    if let Some(place) = place {
        match events.last_mut() {
            Some(last) => last["resume"] = place.into(),
            None => events.push(json!({ "event": "begun", "resume": place })),
        }
    }
    for event in events {
        socket.send(Message::Text(event.to_string().into())).await?;
    }
    Ok(())
}

fn farewell(error: &Error) -> Message {
    let mut said = body(error);
    said["event"] = "error".into();
    Message::Text(said.to_string().into())
}
