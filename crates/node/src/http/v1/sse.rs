//! Watches as Server-Sent Events: what browsers and curl read without a library.

use std::convert::Infallible;
use std::fmt::Write;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use bytes::Bytes;
use serde_json::Value;

use super::Api;
use super::answer::{Answer, body};
use super::ask::Ask;
use super::watch::{Follow, Next, PARAMETERS, Wish};
use super::websocket;
use crate::clients::Did;

/// How long a reader is to wait before it comes again, in milliseconds.
const COME_AGAIN_MS: u32 = 1_000;

/// `GET /v1/maps/{map}/watch`
pub(super) async fn watch(State(api): State<Api>, request: Request) -> Answer {
    if websocket::is_wanted(&request) {
        return websocket::watch(State(api), request).await;
    }
    let ask = Ask::new(request, Did::Watch, &PARAMETERS)?;
    // A browser that comes again has the same address as before: what it heard last counts.
    let wish = Wish::of(&ask, ask.header("last-event-id")?)?;
    let call = ask.call();
    let follow = Follow::begin(&api, wish).await?;
    let begin = Bytes::from(format!("retry: {COME_AGAIN_MS}\n\n"));
    let events = futures::stream::unfold(Some(follow), move |follow| {
        let _counts = &call;
        next(follow)
    });
    let begin = futures::stream::once(std::future::ready(Ok(begin)));
    let stream = Body::from_stream(futures::StreamExt::chain(begin, events));
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
    Ok((headers, stream).into_response())
}

type Chunk = Result<Bytes, Infallible>;

async fn next(follow: Option<Follow>) -> Option<(Chunk, Option<Follow>)> {
    let mut follow = follow?;
    let (text, follow) = match follow.next().await {
        Next::Events(events, place) => (text(&events, place.as_deref()), Some(follow)),
        Next::Heartbeat => (": heartbeat\n\n".to_owned(), Some(follow)),
        Next::Failed(error) => (one("error", &body(&error)), None),
        Next::End => return None,
    };
    Some((Ok(text.into()), follow))
}

/// Events, and the place behind the last one.
fn text(events: &[Value], place: Option<&str>) -> String {
    let mut text = String::new();
    let (last, others) = match events.split_last() {
        Some((last, others)) => (Some(last), others),
        None => (None, events),
    };
    for event in others {
        text.push_str(&one(name(event), event));
    }
    if let Some(place) = place {
        // Without data it is no event, and the reader still remembers it.
        let _ = writeln!(text, "id: {place}");
        if last.is_none() {
            text.push('\n');
        }
    }
    if let Some(last) = last {
        text.push_str(&one(name(last), last));
    }
    text
}

fn name(event: &Value) -> &str {
    event["event"].as_str().unwrap_or_default()
}

fn one(name: &str, data: &Value) -> String {
    // JSON has no line breaks but escaped ones.
    format!("event: {name}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_place_stands_with_the_last_event_it_is_behind() {
        let events = [json!({ "event": "put" }), json!({ "event": "deleted" })];
        let expected = "event: put\ndata: {\"event\":\"put\"}\n\n\
                        id: x\nevent: deleted\ndata: {\"event\":\"deleted\"}\n\n";
        assert_eq!(text(&events, Some("x")), expected);
        assert_eq!(text(&[], Some("x")), "id: x\n\n");
        assert_eq!(text(&[], None), "");
    }
}
