//! From the grid's errors to DataFusion's and back, so that no code is lost on the way.

use datafusion::error::DataFusionError;
use isogrid_core::{Error, ErrorCode};

/// What DataFusion writes before an error that came from elsewhere.
const WRAPPERS: [&str; 4] =
    ["External error: ", "Execution error: ", "Internal error: ", "Shared error: "];

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

/// The grid's error in what another node says: only its text travels, behind the names of what it went through.
fn of_other_node(text: &str) -> Option<Error> {
    let mut text = text;
    while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| text.strip_prefix(wrapper)) {
        text = rest;
    }
    let from = text.strip_prefix("IG-")?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_another_nodes_error_is_found_and_not_in_what_users_write() {
        let there = Error::new(ErrorCode::NoPrimary, "partition 7; of 16");
        let told = of_query(&DataFusionError::Execution(format!("External error: {there}")));
        assert_eq!((told.code(), told.detail()), (ErrorCode::NoPrimary, "partition 7; of 16"));
        let user = "Cannot cast string 'External error: IG-0301 x' to Int32".to_owned();
        assert_eq!(of_query(&DataFusionError::Execution(user)).code(), ErrorCode::QueryFailed);
    }
}
