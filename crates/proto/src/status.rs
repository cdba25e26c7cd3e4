//! Errors to and from their wire forms: the one place that knows how an [`Error`] becomes a message or a gRPC status.

use isogrid_core::{Error, ErrorCode, ErrorKind, Outcome};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::pb;

/// The metadata key that carries the error's number.
const CODE_KEY: &str = "isogrid-error";

/// The metadata key that carries the error's outcome.
const OUTCOME_KEY: &str = "isogrid-outcome";

/// An outcome's number on the wire; frozen.
pub fn outcome_number(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::NotApplied => 1,
        Outcome::Applied => 2,
        Outcome::Unknown => 3,
    }
}

/// The outcome with this number; a number from the future promises nothing.
pub fn outcome_from_number(number: u8) -> Outcome {
    match number {
        1 => Outcome::NotApplied,
        2 => Outcome::Applied,
        _ => Outcome::Unknown,
    }
}

/// An error from its parts; a code from the future keeps its number in the detail.
pub fn error_from_parts(code: u32, outcome: Outcome, detail: &str) -> Error {
    let known = u16::try_from(code).ok().and_then(ErrorCode::from_number);
    match known {
        Some(known) => Error::new(known, detail),
        None => Error::new(ErrorCode::Internal, format!("unknown code IG-{code:04}: {detail}")),
    }
    .with_outcome(outcome)
}

/// An error as a message.
pub fn error_to_pb(error: &Error) -> pb::Error {
    pb::Error {
        code: u32::from(error.code() as u16),
        outcome: i32::from(outcome_number(error.outcome())),
        detail: error.detail().to_owned(),
    }
}

/// An error from a message.
pub fn error_from_pb(error: &pb::Error) -> Error {
    let outcome = outcome_from_number(error.outcome.try_into().unwrap_or(0));
    error_from_parts(error.code, outcome, &error.detail)
}

/// An error as a gRPC status: its family as the code, its text as the message, its number and outcome as metadata.
pub fn error_to_status(error: &Error) -> Status {
    let mut status = Status::new(grpc_code(error), error.to_string());
    let metadata = status.metadata_mut();
    metadata.insert(CODE_KEY, MetadataValue::from(error.code() as u16));
    metadata.insert(OUTCOME_KEY, MetadataValue::from(u16::from(outcome_number(error.outcome()))));
    status
}

fn grpc_code(error: &Error) -> Code {
    match error.kind() {
        ErrorKind::InvalidRequest => match error.code() {
            ErrorCode::NotANumber | ErrorCode::NumberOverflow => Code::FailedPrecondition,
            ErrorCode::ProtocolUnknown => Code::Unimplemented,
            _ => Code::InvalidArgument,
        },
        ErrorKind::NotOwner => Code::FailedPrecondition,
        ErrorKind::Cluster => match error.code() {
            ErrorCode::WrongCluster
            | ErrorCode::ChangeRefused
            | ErrorCode::NodeNameTaken
            | ErrorCode::NotSafeToStop => Code::FailedPrecondition,
            ErrorCode::MapUnknown | ErrorCode::NodeUnknown => Code::NotFound,
            ErrorCode::PositionLost => Code::DataLoss,
            ErrorCode::SessionEnded => Code::Aborted,
            _ => Code::Unavailable,
        },
        ErrorKind::Overloaded => Code::ResourceExhausted,
        ErrorKind::Unavailable | ErrorKind::ConnectionLost => Code::Unavailable,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        _ => Code::Internal,
    }
}

/// The error a gRPC status carries, if it came from a node of the grid.
pub fn error_from_status(status: &Status) -> Option<Error> {
    let number = |key| status.metadata().get(key)?.to_str().ok()?.parse::<u16>().ok();
    let code = number(CODE_KEY)?;
    let outcome = outcome_from_number(number(OUTCOME_KEY)? as u8);
    // The message is the error's whole text; its detail stands between the first ": " and the last "; ".
    let text = status.message();
    let detail = text.split_once(": ").map_or("", |(_, rest)| rest);
    let detail = detail.rsplit_once("; ").map_or(detail, |(detail, _)| detail);
    Some(error_from_parts(u32::from(code), outcome, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_both_wire_forms() {
        for explanation in isogrid_core::catalog::EXPLANATIONS {
            for outcome in [Outcome::NotApplied, Outcome::Applied, Outcome::Unknown] {
                let error =
                    Error::new(explanation.code, "some: detail; here").with_outcome(outcome);
                assert_eq!(error_from_pb(&error_to_pb(&error)), error);
                assert_eq!(error_from_status(&error_to_status(&error)), Some(error));
            }
        }
    }

    #[test]
    fn a_code_from_the_future_is_kept_in_words() {
        let error = error_from_parts(7_777, Outcome::NotApplied, "new thing");
        assert_eq!(error.code(), ErrorCode::Internal);
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert!(error.detail().contains("IG-7777") && error.detail().contains("new thing"));
    }
}
