//! [`Refused`]: an error of the grid with the code that PostgreSQL's clients know it by.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use isogrid_core::{Error, ErrorCode};

use crate::fault;

/// An error with a SQLSTATE.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Five characters that say what kind of error it is.
    pub state: &'static str,
    /// What is told.
    pub error: Error,
}

impl Refused {
    /// A statement that cannot be read.
    pub(crate) fn syntax(error: Error) -> Self {
        Refused { state: "42601", error }
    }

    /// A statement that cannot be planned.
    pub(crate) fn of_plan(cause: &DataFusionError) -> Self {
        let error = fault::of_query(cause);
        let state = match cause.find_root() {
            DataFusionError::SQL(..) => "42601",
            DataFusionError::SchemaError(reason, _) => match reason.as_ref() {
                SchemaError::FieldNotFound { .. } => "42703",
                SchemaError::AmbiguousReference { .. } => "42702",
                _ => "42P10",
            },
            DataFusionError::NotImplemented(_) => "0A000",
            DataFusionError::Plan(why) => of_plan_text(why),
            _ => return Refused::from(error),
        };
        Refused { state, error }
    }
}

/// What the planner says as text only.
fn of_plan_text(why: &str) -> &'static str {
    if why.starts_with("table '") || why.contains("not found") && why.contains("able") {
        "42P01"
    } else if why.starts_with("Invalid function") {
        "42883"
    } else if why.contains("DML not supported") || why.contains("DDL not supported") {
        "25006"
    } else {
        "42000"
    }
}

impl From<Error> for Refused {
    /// By what the grid says.
    fn from(error: Error) -> Self {
        let detail = error.detail();
        let state = match error.code() {
            ErrorCode::QueryTooLarge => "53200",
            ErrorCode::QueryTooLong => "57014",
            ErrorCode::QueryTooManyRows | ErrorCode::QueryTooManyScanned => "54000",
            ErrorCode::QueryNotPruned => "42000",
            ErrorCode::TooManyQueries | ErrorCode::TooManyConnections => "53300",
            ErrorCode::StillJoining | ErrorCode::NotReady => "57P03",
            ErrorCode::ShuttingDown => "57P01",
            ErrorCode::QueryInvalid if detail.contains("planning: table '") => "42P01",
            ErrorCode::QueryInvalid => "42000",
            ErrorCode::QueryFailed if detail.contains("Divide by zero") => "22012",
            ErrorCode::QueryFailed if detail.contains("Cannot cast") => "22P02",
            ErrorCode::QueryFailed if detail.contains("verflow") => "22003",
            _ => "XX000",
        };
        Refused { state, error }
    }
}
