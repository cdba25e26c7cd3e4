//! A request taken apart: the names in its path, its parameters, its headers and its body.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use isogrid_core::limits::check_map_name;
use isogrid_core::{Error, ErrorCode, TraceParent};
use percent_encoding::percent_decode_str;

use super::answer::Failure;
use crate::clients::{Call, Client, Did};
use crate::engine::Deadline;
use crate::http::server::client_of;
use crate::traces;

/// How long an operation may take whose caller says nothing, and the longest that one may ask for, in milliseconds.
const TIMEOUT_MS: u32 = 10_000;
const TIMEOUT_MS_MAX: u32 = 60_000;

/// How long a body may take to come.
const BODY_MAX: Duration = Duration::from_secs(30);

/// The parameter and the header that say how long an operation may take.
const TIMEOUT: &str = "timeout_ms";
const TIMEOUT_HEADER: &str = "isogrid-timeout-ms";

/// A request, taken apart.
pub(super) struct Ask {
    /// The parts of the path behind `/v1`, decoded.
    path: Vec<Vec<u8>>,
    parameters: Vec<(String, Vec<u8>)>,
    pub(super) parts: Parts,
    body: Body,
    client: Option<Arc<Client>>,
    did: Did,
}

impl Ask {
    /// Takes a request apart. Parameters that nobody knows are refused: what is misspelt must not be passed over.
    pub(super) fn new(request: Request, did: Did, known: &[&str]) -> Result<Self, Failure> {
        let client = client_of(&request, did);
        let (parts, body) = request.into_parts();
        let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
        let path = parts.uri.path().split('/').skip(2).map(decoded).collect();
        let pairs =
            parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let mut parameters: Vec<(String, Vec<u8>)> = Vec::new();
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = String::from_utf8_lossy(&decoded(name)).into_owned();
            if name != TIMEOUT && !known.contains(&name.as_str()) {
                let known = known.join(", ");
                let why = format!("no parameter {name:?}; there are: {known}, {TIMEOUT}");
                return Err(Failure::malformed(why));
            }
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(Failure::malformed(format!("parameter {name} is there twice")));
            }
            parameters.push((name, decoded(&value.replace('+', " "))));
        }
        Ok(Ask { path, parameters, parts, body, client, did })
    }

    /// The map that the path names.
    pub(super) fn map(&self) -> Result<String, Failure> {
        let name = String::from_utf8_lossy(self.named(1)).into_owned();
        check_map_name(&name)?;
        Ok(name)
    }

    /// The key that the path names.
    pub(super) fn key(&self) -> &[u8] {
        self.named(3)
    }

    /// A part of the path behind `/v1`, by its place.
    pub(super) fn named(&self, place: usize) -> &[u8] {
        self.path.get(place).map(Vec::as_slice).unwrap_or_default()
    }

    /// A parameter, byte for byte.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// A parameter that is text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        let text = self.bytes(name).map(std::str::from_utf8).transpose();
        text.map_err(|_| Failure::malformed(format!("parameter {name} is not UTF-8")))
    }

    /// A parameter that is a whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        let wrong = |text: &str| {
            Failure::malformed(format!("parameter {name} = {text:?}: it is a whole number"))
        };
        self.text(name)?.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }

    /// A parameter that is yes or no; alone it is yes.
    pub(super) fn flag(&self, name: &str, unset: bool) -> Result<bool, Failure> {
        match self.text(name)? {
            None => Ok(unset),
            Some("" | "true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => {
                Err(Failure::malformed(format!("parameter {name} = {other:?}: true or false")))
            }
        }
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Result<Option<&str>, Failure> {
        header(&self.parts.headers, name)
    }

    /// Until when the caller waits.
    pub(super) fn deadline(&self) -> Result<Deadline, Failure> {
        Ok(Deadline::after_ms(self.timeout_ms()?.unwrap_or(TIMEOUT_MS)))
    }

    /// How long the caller says that it waits.
    pub(super) fn timeout_ms(&self) -> Result<Option<u32>, Failure> {
        let wrong = |text: &str| {
            let why = format!("{TIMEOUT} = {text:?}: milliseconds from 1 to {TIMEOUT_MS_MAX}");
            Failure::malformed(why)
        };
        let text = match self.text(TIMEOUT)? {
            Some(text) => Some(text),
            None => self.header(TIMEOUT_HEADER)?,
        };
        let read = |text: &str| {
            let ms = text.parse().ok().filter(|ms| (1..=TIMEOUT_MS_MAX).contains(ms));
            ms.ok_or_else(|| wrong(text))
        };
        text.map(read).transpose()
    }

    /// The trace that the request belongs to.
    pub(super) fn parent(&self) -> TraceParent {
        traces::parent_of(|name| self.parts.headers.get(name)?.to_str().ok())
    }

    /// Counts as an operation in flight of its client, until it is dropped.
    pub(super) fn call(&self) -> Option<Call> {
        self.client.as_ref().map(|client| client.begins(self.did))
    }

    /// The client that asks.
    pub(super) fn client(&self) -> Option<Arc<Client>> {
        self.client.clone()
    }

    /// The body; one that is too long, or takes too long, is an error.
    pub(super) async fn body(&mut self, bytes_max: usize) -> Result<Bytes, Failure> {
        let too_long = || {
            let detail = format!("the body has more than {bytes_max} bytes");
            Failure::from(Error::new(ErrorCode::ValueTooLarge, detail))
        };
        // One that says so beforehand need not come.
        if self.body.size_hint().lower() > bytes_max as u64 {
            return Err(too_long());
        }
        let body = Limited::new(std::mem::take(&mut self.body), bytes_max);
        let Ok(collected) = tokio::time::timeout(BODY_MAX, body.collect()).await else {
            let why = format!("the body has not come within {} s", BODY_MAX.as_secs());
            return Err(Failure::malformed(why).with_status(StatusCode::REQUEST_TIMEOUT));
        };
        match collected {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(too_long()),
            Err(error) => Err(Failure::malformed(format!("the body breaks off: {error}"))),
        }
    }

    /// The body, which is JSON and says so. A browser sends that to another site only when the site allows it, which this one does not.
    pub(super) async fn json<T: serde::de::DeserializeOwned>(
        &mut self,
        bytes_max: usize,
    ) -> Result<T, Failure> {
        if media_type(&self.parts.headers)?.as_deref() != Some("application/json") {
            let why = "the body is JSON, with Content-Type: application/json";
            return Err(Failure::malformed(why).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let body = self.body(bytes_max).await?;
        serde_json::from_slice(&body)
            .map_err(|error| Failure::malformed(format!("the body: {error}")))
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Failure> {
    let text = headers.get(name).map(|value| value.to_str()).transpose();
    text.map_err(|_| Failure::malformed(format!("header {name} is not plain text")))
}

/// What the body says it is, without parameters, in small letters.
pub(super) fn media_type(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let said = header(headers, "content-type")?;
    let alone = |text: &str| text.split(';').next().unwrap_or_default().trim().to_lowercase();
    Ok(said.map(alone).filter(|said| !said.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(uri: &str) -> Result<Ask, Failure> {
        let request = Request::builder().uri(uri).body(Body::empty()).expect("a request");
        Ask::new(request, Did::Get, &["prefix", "limit", "values"])
    }

    #[test]
    fn paths_and_parameters_are_any_bytes() {
        let asked = ask("/v1/maps/m/entries/a%2Fb%FF?prefix=x+y%26&limit=3&values").expect("good");
        assert_eq!(asked.map().expect("a name"), "m");
        assert_eq!(asked.key(), b"a/b\xff");
        assert_eq!(asked.bytes("prefix"), Some(&b"x y&"[..]));
        assert_eq!(asked.number("limit").expect("a number"), Some(3));
        assert!(asked.flag("values", false).expect("a flag"));
    }

    #[test]
    fn what_is_misspelt_is_refused() {
        for wrong in ["/v1/maps?limt=1", "/v1/maps?limit=1&limit=2"] {
            assert!(ask(wrong).is_err(), "{wrong}");
        }
        let asked =
            ask("/v1/maps/a%20b/entries?limit=x&timeout_ms=0&values=perhaps").expect("good");
        assert!(asked.map().is_err());
        assert!(asked.number("limit").is_err());
        assert!(asked.deadline().is_err());
        assert!(asked.flag("values", true).is_err());
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_an_error() {
        let request = Request::builder().uri("/v1/maps").body(Body::from(vec![0; 11]));
        let mut asked = Ask::new(request.expect("a request"), Did::Put, &[]).expect("good");
        assert!(asked.body(10).await.is_err());
    }
}
