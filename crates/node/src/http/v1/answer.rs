//! Replies: JSON, and errors as JSON with a fitting status.

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, ETAG, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use isogrid_core::{Error, ErrorCode, ErrorKind, Outcome, Version};
use serde::Serialize;
use serde_json::{Value, json};

/// What a request comes to that was understood.
pub(super) type Answer = Result<Response, Failure>;

/// A request that failed.
#[derive(Debug)]
pub(super) struct Failure {
    error: Error,
    status: StatusCode,
    /// The methods that the address takes, if it was asked for another one.
    allowed: Option<String>,
    /// The version of the record that is there instead.
    version: Option<Version>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { status: status(&error), error, allowed: None, version: None }
    }
}

impl Failure {
    /// A request that cannot be read.
    pub(super) fn malformed(why: impl Into<String>) -> Self {
        Error::new(ErrorCode::HttpRequestInvalid, why).into()
    }

    /// The same, of an operation of a batch.
    pub(super) fn of_operation(mut self, index: usize) -> Self {
        let detail = format!("operation {index}: {}", self.error.detail());
        self.error = Error::new(self.error.code(), detail);
        self
    }

    /// The same, where HTTP has a status of its own for it.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(super) fn wrong_method(why: String, allowed: &str) -> Self {
        let mut failure = Failure::malformed(why).with_status(StatusCode::METHOD_NOT_ALLOWED);
        failure.allowed = Some(allowed.to_owned());
        failure
    }

    /// A condition did not hold; this is the version of what is there, if anything is.
    pub(super) fn conflict(there: Option<Version>) -> Self {
        let what = match there {
            Some(version) => format!("it has version {version}"),
            None => "there is none".to_owned(),
        };
        let mut failure = Failure::from(Error::new(ErrorCode::ConditionFailed, what));
        failure.version = there;
        failure
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = json_answer(self.status, &body(&self.error));
        let headers = response.headers_mut();
        if let Some(allowed) = self.allowed.and_then(|allowed| allowed.try_into().ok()) {
            headers.insert(ALLOW, allowed);
        }
        if let Some(version) = self.version {
            headers.insert(ETAG, etag(version));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The reply to a request that failed.
pub(crate) fn failed(error: &Error) -> Response {
    Failure::from(error.clone()).into_response()
}

/// An error as JSON.
pub(super) fn body(error: &Error) -> Value {
    let explanation = error.code().explanation();
    let message = match error.detail() {
        "" => explanation.what.to_owned(),
        detail => format!("{}: {detail}", explanation.what),
    };
    let outcome = match error.outcome() {
        Outcome::NotApplied => "not_applied",
        Outcome::Applied => "applied",
        Outcome::Unknown => "unknown",
    };
    json!({
        "code": error.code().to_string(),
        "message": message,
        "outcome": outcome,
        "next": explanation.next,
    })
}

/// What HTTP says of an error.
fn status(error: &Error) -> StatusCode {
    match error.code() {
        ErrorCode::NothingThere | ErrorCode::MapUnknown | ErrorCode::NodeUnknown => {
            StatusCode::NOT_FOUND
        }
        ErrorCode::ConditionFailed => StatusCode::PRECONDITION_FAILED,
        ErrorCode::UniqueViolated | ErrorCode::ChangeRefused | ErrorCode::KeyPresent => {
            StatusCode::CONFLICT
        }
        ErrorCode::ValueTooLarge
        | ErrorCode::FrameTooLarge
        | ErrorCode::BatchTooLarge
        | ErrorCode::ReplyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::ValueMisfit => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::MapFull | ErrorCode::DiskRefuses => StatusCode::INSUFFICIENT_STORAGE,
        _ => match error.kind() {
            ErrorKind::InvalidRequest | ErrorKind::Configuration => StatusCode::BAD_REQUEST,
            ErrorKind::Codec => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            ErrorKind::ConnectionLost => StatusCode::BAD_GATEWAY,
            ErrorKind::NotOwner
            | ErrorKind::Cluster
            | ErrorKind::Overloaded
            | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

/// JSON with this status.
pub(super) fn json_answer(status: StatusCode, value: &impl Serialize) -> Response {
    let text = serde_json::to_vec(value).expect("answers are plain data");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// JSON.
pub(super) fn ok(value: &impl Serialize) -> Response {
    json_answer(StatusCode::OK, value)
}

/// A version as HTTP tags what it names.
pub(super) fn etag(version: Version) -> HeaderValue {
    HeaderValue::try_from(format!("\"{}\"", version.0)).expect("digits in quotes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_happened_and_what_to_do() {
        let error = Error::new(ErrorCode::MapUnknown, "orders");
        let body = body(&error);
        assert_eq!(body["code"], "IG-0212");
        assert_eq!(body["outcome"], "not_applied");
        assert!(body["message"].as_str().is_some_and(|text| text.ends_with(": orders")), "{body}");
        assert!(body["next"].is_string());
        assert_eq!(status(&error), StatusCode::NOT_FOUND);
        let lost = Error::new(ErrorCode::ConnectionLost, "");
        assert_eq!(
            (status(&lost), &super::body(&lost)["outcome"]),
            (StatusCode::BAD_GATEWAY, &json!("unknown"))
        );
    }

    #[test]
    fn who_may_try_again_is_told_when() {
        let busy = failed(&Error::new(ErrorCode::MemoryFull, ""));
        assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(busy.headers().contains_key(RETRY_AFTER));
        let conflict = Failure::conflict(Some(Version(7))).into_response();
        assert_eq!(conflict.status(), StatusCode::PRECONDITION_FAILED);
        assert_eq!(conflict.headers()[ETAG], "\"7\"");
    }
}
