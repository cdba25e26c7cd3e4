//! From the grid's errors to DataFusion's and back, so that no code is lost on the way.

use datafusion::error::DataFusionError;
use isogrid_core::{Error, ErrorCode};

/// An error of the grid on its way through a plan.
pub(crate) fn of_grid(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// What a caller is told.
pub(crate) fn of_query(error: &DataFusionError) -> Error {
    let root = error.find_root();
    if let DataFusionError::External(cause) = root
        && let Some(error) = cause.downcast_ref::<Error>()
    {
        return error.clone();
    }
    if let Some(error) = of_other_node(&error.to_string()) {
        return error;
    }
    match root {
        DataFusionError::External(cause) if cause.is::<tonic::Status>() => {
            Error::new(ErrorCode::ConnectionLost, cause.to_string())
        }
        DataFusionError::External(cause) => Error::new(ErrorCode::QueryFailed, cause.to_string()),
        DataFusionError::ResourcesExhausted(why) => {
            Error::new(ErrorCode::QueryTooLarge, first_line(why))
        }
        cause @ (DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Configuration(_)) => {
            Error::new(ErrorCode::QueryInvalid, first_line(&cause.strip_backtrace()))
        }
        cause => Error::new(ErrorCode::QueryFailed, first_line(&cause.strip_backtrace())),
    }
}

/// The grid's error in what another node says: only its text travels.
fn of_other_node(text: &str) -> Option<Error> {
    let (_, from) = text.split_once("External error: IG-")?;
    let code = ErrorCode::from_number(from.get(..4)?.parse().ok()?)?;
    let said = from[4..].trim_start();
    let said = said.strip_prefix(code.explanation().what).unwrap_or(said);
    let said = said.strip_prefix(": ").unwrap_or(said);
    let next = format!("; {}", code.explanation().next);
    Some(Error::new(code, said.split(&next).next().unwrap_or(said)))
}

/// What follows are hints for those who write DataFusion itself.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
