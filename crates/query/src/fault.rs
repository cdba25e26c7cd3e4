//! From the grid's errors to DataFusion's and back, so that no code is lost on the way.

use datafusion::error::DataFusionError;
use isogrid_core::{Error, ErrorCode};

/// An error of the grid on its way through a plan.
pub(crate) fn of_grid(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// What a caller is told.
pub(crate) fn of_query(error: &DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::External(cause) => match cause.downcast_ref::<Error>() {
            Some(error) => error.clone(),
            None => Error::new(ErrorCode::QueryFailed, cause.to_string()),
        },
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

/// What follows are hints for those who write DataFusion itself.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
